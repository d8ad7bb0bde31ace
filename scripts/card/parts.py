"""One part of the check: its rows, inside the minutes that are left."""

from __future__ import annotations

import importlib.util
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from card.places import Place

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


@dataclass(frozen=True)
class Row:
    """One figure. bound: the most it may be, None for a figure that is only told; value None: it was not measured,
    and `note` says why."""

    what: str
    value: float | None
    unit: str = ""
    bound: float | None = None
    note: str = ""

    @property
    def passed(self) -> bool | None:
        """None where nothing was asked of it."""
        if self.bound is None or self.value is None:
            return None
        return bool(self.value <= self.bound)  # a NaN is not

    def to_dict(self) -> dict:
        finite = self.value is None or math.isfinite(self.value)
        value = self.value if finite else str(self.value)  # JSON has no NaN
        row = {"what": self.what, "value": value, "unit": self.unit, "bound": self.bound, "note": self.note}
        return {**row, "passed": self.passed}


class Clock:
    """The minutes of a run."""

    def __init__(self, minutes: float):
        self.begun, self.seconds = time.monotonic(), 60 * minutes

    def gone(self) -> float:
        return time.monotonic() - self.begun

    def left(self) -> float:
        return self.seconds - self.gone()


@dataclass(frozen=True)
class Part:
    """make(place, small, clock) yields the rows. needs: packages it cannot do without. least: seconds that must be
    left for it at full size; small runs always begin."""

    name: str
    make: Callable[[Place, bool, Clock], Iterable[Row]]
    needs: tuple[str, ...] = ()
    least: float = 5.0

    def run(self, place: Place, small: bool, clock: Clock) -> dict:
        """{"state", "why", "seconds", "rows"}; whatever the part raises is in it, so that the next one still runs."""
        missing = [name for name in self.needs if importlib.util.find_spec(name) is None]
        if missing:
            return _skipped(f"needs the package {', '.join(missing)}")
        left = clock.left()
        if left <= 0 or (not small and left < self.least):
            return _skipped(f"{max(0, left):.0f} s are left and it takes at least {self.least:.0f}: raise --minutes")
        begun, rows, why = clock.gone(), [], ""
        try:
            for row in self.make(place, small, clock):
                rows.append(row)
        except Exception as error:  # a card that fails in one part still has the others to say
            why = f"{type(error).__name__}: {error}"
        failed = bool(why) or any(row.passed is False for row in rows)
        state, seconds = FAILED if failed else PASSED, clock.gone() - begun
        return {"state": state, "why": why, "seconds": seconds, "rows": [row.to_dict() for row in rows]}


def _skipped(why: str) -> dict:
    return {"state": SKIPPED, "why": why, "seconds": 0.0, "rows": []}


def timed(place: Place, action: Callable[[], object], times: int) -> float:
    """Seconds one `action` takes, the middle of `times`; run it once before, so that nothing is set up inside."""
    seconds = []
    for _ in range(times):
        place.wait()
        begun = time.perf_counter()
        action()
        place.wait()
        seconds.append(time.perf_counter() - begun)
    return sorted(seconds)[len(seconds) // 2]


def difference(answer, wanted) -> float:
    """Relative distance ||answer - wanted|| / ||wanted|| of a device's answer to the CPU's."""
    answer, wanted = answer.cpu().double(), wanted.double()
    return float((answer - wanted).norm() / wanted.norm().clamp(min=1e-30))


def together(rows: Iterable[tuple[str, Callable[[], float], float]]) -> Iterator[Row]:
    """A row for each (what, measure, bound): a relative distance."""
    for what, measure, bound in rows:
        yield Row(what, measure(), "relative", bound)
