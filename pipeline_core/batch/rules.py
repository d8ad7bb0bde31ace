"""What a recipe says to the gate: limits, what to try again with, and how many to choose the best of."""

from __future__ import annotations

from dataclasses import dataclass, field

from .checks import CHECKS


@dataclass(frozen=True)
class GateRules:
    """thresholds: the recipe's own limits by name of the check, None is off. retry: settings to try a rejected result
    again with, one after the other. best_of: results of every try, of which the best that is accepted is taken."""

    thresholds: dict[str, float | None] = field(default_factory=dict)
    retry: tuple[dict, ...] = ()
    best_of: int = 1

    def limits(self, look: str | None = None) -> dict[str, float | None]:
        """The limit of every check for a result of this look, the recipe's own before the usual ones; None is off."""
        usual = {name: None if look in check.off_in else check.limit for name, check in CHECKS.items()}
        return {**usual, **self.thresholds}

    def to_dict(self) -> dict:
        """Plain data, as `parse_recipe` reads it."""
        return {"thresholds": dict(self.thresholds), "retry": [dict(r) for r in self.retry], "best_of": self.best_of}
