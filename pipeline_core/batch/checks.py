"""The gate's checks in one table: which figure each looks at, its usual limit, and what has to be there to make it.

Limits are measured on the embedded model (benchmarks/gate.py, docs/gate.md).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One check of a result: its figure has to be at least (or at most) a limit.

    fault: what a figure beyond the limit says, for people. limit: the usual one, None is off until somebody sets one.
    at_least: False for a figure that has to be at most its limit. high: what the limit may be at most; it is at least
    0. ideal: the figure of a perfect result. needs: what has to be there to measure it, "" is nothing. off_in:
    looks in which the usual limit does not hold, for they hide or cover by right.
    """

    fault: str
    limit: float | None
    at_least: bool = True
    high: float = 1.0
    ideal: float = 1.0
    needs: str = ""
    off_in: tuple[str, ...] = ()

    def passes(self, value: float, limit: float) -> bool:
        return value >= limit if self.at_least else value <= limit

    def margin(self, value: float, limit: float) -> float:
        """How far a figure is within its limit, as a share of the way to the ideal: 1 there, 0 at the limit."""
        way = abs(self.ideal - limit)
        return max(-1.0, min(1.0, (value - limit if self.at_least else limit - value) / way)) if way else 0.0


_CLASSES = "the source's classes and instances"
_MASKS = f"{_CLASSES}, and such an object in view"
_HAZE = ("fog", "rain")
_OTHER_LIGHT = ("dusk", "night", "snow", *_HAZE)  # puts light, reflections and snow where the source has none
_DETECTOR = "a detector or a segmentation model"


def _most(
    fault: str, limit: float | None, needs: str = "", high: float = 1000.0, off_in: tuple[str, ...] = ()
) -> Check:
    return Check(fault, limit, False, high, 0.0, needs, off_in)


CHECKS = {
    "lamp_least": Check(
        "a traffic light shows another colour", 0.7, needs="the source's lights.json, and a lamp in view"
    ),
    "light_least": Check("a traffic light shows another colour", 0.6, needs=_MASKS, off_in=_HAZE),
    "signs_kept": Check("traffic signs lost their colours", None, needs=_MASKS),
    "object_least": Check("an object of the source is gone", 0.34, needs=_MASKS, off_in=(*_HAZE, "snow")),
    "objects_lost_detected": _most("objects of the source are gone", None, _DETECTOR, 1.0),
    "objects_invented_detected": _most("there are objects that the source does not have", None, _DETECTOR),
    "invented_most": _most("there is something that the source does not have", 0.062, _CLASSES, off_in=_OTHER_LIGHT),
    "unexplained_most": _most("there is something that the source does not have", None),
    "edge_f1": Check("edges lie elsewhere than in the source", 0.35),
    "edge_f1_least": Check("the edges of a frame lie elsewhere than in the source", 0.25),
    "jump_worst": _most("brightness jumps at one step between frames", 2.5),
    "jumps": _most("brightness flickers", 0.008, high=1.0),
    "seam_ratio": _most("windows do not fit together", None, "more than one window, and the source's flow"),
    "contrast_least": Check("a frame is flat or black", 0.3, high=1000.0),
    "motion_least": Check("a frame repeats the one before", 0.3, high=1000.0),
    "critic": Check("it looks like a render", 0.3, needs="a critic"),
    "real_cmmd": _most("it lies far from real frames", None, "real frames and a feature network", 1e12),
}
