"""The gate: is a result good enough, which of several is best, and what to try next. docs/gate.md has the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .checks import CHECKS
from .figures import figures
from .recipe import Variant, number_of
from .rules import GateRules

__all__ = ["Checked", "Verdict", "best", "figures", "judge", "rounds"]


@dataclass(frozen=True)
class Checked:
    """One check of one result. value and passed are None where it could not be made; needs says what it lacked."""

    name: str
    value: float | None
    limit: float
    passed: bool | None
    needs: str = ""

    def to_dict(self) -> dict:
        """As it stands in the row of a result."""
        plain = {"name": self.name, "value": self.value, "limit": self.limit, "passed": self.passed}
        return plain if self.passed is not None else {**plain, "needs": self.needs}


@dataclass(frozen=True)
class Verdict:
    """What the gate says of a result: `accepted` where no check failed that could be made."""

    checks: tuple[Checked, ...]

    @property
    def accepted(self) -> bool:
        return not self.failed

    @property
    def failed(self) -> tuple[Checked, ...]:
        return tuple(check for check in self.checks if check.passed is False)

    @property
    def missing(self) -> tuple[Checked, ...]:
        """The checks that could not be made."""
        return tuple(check for check in self.checks if check.passed is None)

    @property
    def reason(self) -> str | None:
        """Why it is rejected, in one sentence; None where it is not."""
        if self.accepted:
            return None
        faults = [
            f"{CHECKS[c.name].fault} ({c.name} {c.value:.3g}, {_bound(c.name)} {c.limit:.3g} needed)"
            for c in self.failed
        ]
        text = "; ".join(faults)
        return f"{text[0].upper()}{text[1:]}."

    @property
    def margin(self) -> float:
        """How far within their limits the figures are, 1 is perfect: mean of `Check.margin` over the checks that were
        made, 0 where none was."""
        margins = [CHECKS[c.name].margin(c.value, c.limit) for c in self.checks if c.passed is not None]
        return sum(margins) / len(margins) if margins else 0.0

    def to_dict(self, attempts: int = 1) -> dict:
        """As it stands in the row of a result. attempts: how many results were made for it."""
        return {"accepted": self.accepted, "checks": [check.to_dict() for check in self.checks], "attempts": attempts}


def judge(measured: Mapping[str, float], thresholds: Mapping[str, float | None]) -> Verdict:
    """Hold the figures of a result to the limits of a recipe; a check whose limit is None is off.

    measured: as `figures` gives them; a check whose figure is not among them could not be made and rejects nothing.
    """
    checks = []
    for name, limit in thresholds.items():
        if limit is not None:
            value, check = measured.get(name), CHECKS[name]
            passed = None if value is None else check.passes(value, limit)
            checks.append(Checked(name, value, limit, passed, check.needs))
    return Verdict(tuple(checks))


def best(verdicts: Sequence[Verdict]) -> int:
    """Which of several results to take: accepted before rejected, then by fewest failed checks, then by `margin`."""
    ranks = [(-len(verdict.failed), verdict.margin) for verdict in verdicts]
    return max(range(len(verdicts)), key=ranks.__getitem__)


def rounds(variant: Variant, rules: GateRules | None) -> list[list[Variant]]:
    """What to make for one variant: the results of each round, of which the best is taken if it is accepted; otherwise
    the next round is made, with the next settings of `rules.retry`.

    Every result has a seed of its own, which follows from the variant's; the first is the variant as it is. So looks
    that share their noise share it in every round.
    """
    if rules is None:
        return [[variant]]
    plans = []
    for place, changes in enumerate(({}, *rules.retry)):
        tried = replace(variant, settings={**variant.settings, **changes})
        seeds = [number_of(variant.seed, place, i) if place or i else variant.seed for i in range(rules.best_of)]
        plans.append([replace(tried, seed=seed) for seed in seeds])
    return plans


def _bound(name: str) -> str:
    return "at least" if CHECKS[name].at_least else "at most"
