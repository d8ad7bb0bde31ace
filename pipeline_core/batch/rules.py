"""What a recipe says to the gate: limits, what to try again with, and how many to choose the best of."""

from __future__ import annotations

from dataclasses import dataclass, field

from .checks import CHECKS


@dataclass(frozen=True)
class GateRules:
    """thresholds: name of a check -> its limit, None is off. retry: settings to try a rejected result again with, one
    after the other. best_of: results of every try, of which the best that is accepted is taken."""

    thresholds: dict[str, float | None] = field(default_factory=lambda: {n: c.limit for n, c in CHECKS.items()})
    retry: tuple[dict, ...] = ()
    best_of: int = 1

    def to_dict(self) -> dict:
        return {"thresholds": dict(self.thresholds), "retry": [dict(r) for r in self.retry], "best_of": self.best_of}
