"""What a recipe says to the gate: limits, what to try again with, and how many to choose the best of."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..job.table import Setting, named_values
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


def parse_limits(text: str) -> dict[str, float | None]:
    """Thresholds from lines "name = value", a number or off, as `parse_settings` reads its lines.

    UserError for a name that is no check's, one that is given twice and a value that is no limit of it.
    """
    limits = {}
    for name, value in named_values(text, "limits", CHECKS).items():
        off = value.strip().lower() == "off"
        limits[name] = None if off else legal_limit(name).parse(f"{name} in limits", value)
    return limits


def legal_limit(name: str) -> Setting:
    """What a limit of this check may be."""
    return Setting("", high=CHECKS[name].high)
