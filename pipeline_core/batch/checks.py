"""The gate's checks in one table: which figure each looks at, its usual limit, and what has to be there to make it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One check of a result: its figure has to be at least (or at most) a limit.

    help: what a figure beyond the limit says, for people. limit: the usual one, None is off until somebody sets one.
    low, high: what the limit may be. needs: what the figure cannot be measured without, "" is nothing.
    """

    help: str
    limit: float | None
    at_least: bool = True
    low: float = 0.0
    high: float = 1.0
    needs: str = ""

    def passes(self, value: float, limit: float) -> bool:
        return value >= limit if self.at_least else value <= limit

    def beyond(self, value: float, limit: float) -> str:
        """How a failed check is said."""
        return f"{value:.3g} is {'below' if self.at_least else 'above'} {limit:.3g}"


_MASKS = "the source's instance masks"
_FLOW = "the source's flow, or an estimator of it"

CHECKS = {
    "lamp_worst": Check("a traffic light shows another colour", 0.7, needs="the source's traffic lights"),
    "sign_worst": Check("a traffic sign lost its colour or outline", None, needs=_MASKS),
    "object_worst": Check("an object of the source is gone", 0.3, needs=_MASKS),
    "objects_invented": Check(
        "there are objects that the source does not have", None, False, high=1000.0, needs="a detector"
    ),
    "edge_f1": Check("edges lie elsewhere than in the source", 0.7),
    "edge_f1_worst": Check("a frame's edges lie elsewhere than in the source", 0.5),
    "step_worst": Check("a step between two frames changes far more than the others", 3.0, False, high=1000.0),
    "flicker": Check("brightness jumps from frame to frame", 0.03, False, needs=_FLOW),
    "contrast_least": Check("a frame is flat or black", 0.4, high=1000.0),
    "motion_least": Check("a frame repeats the one before", 0.2, high=1000.0),
    "critic": Check("it looks like a render", None, needs="a critic"),
    "real_distance": Check("it lies far from real frames", None, False, high=1e12, needs="real frames and a network"),
}
