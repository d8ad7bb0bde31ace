"""The window plan: which frames each pass of the model sees, and which of them it contributes."""

import json
from dataclasses import dataclass

from ..errors import UserError


@dataclass(frozen=True)
class Window:
    """One pass. start, stop: global pixel frames it covers, stop exclusive; frames at or beyond the clip's end are
    padding (the last frame repeated). keep: the global frames it contributes when windows are joined by cuts."""

    start: int
    stop: int
    keep: range

    @property
    def length(self) -> int:
        return self.stop - self.start


def legal_length(frames: int, temporal_ratio: int) -> int:
    """The smallest 1 + k * temporal_ratio that is at least `frames`: what a causal video VAE takes."""
    return 1 + -(-(frames - 1) // temporal_ratio) * temporal_ratio


def plan_windows(frames: int, window: int, overlap: int, temporal_ratio: int = 1) -> list[Window]:
    """Windows of `window` frames, spread evenly, neighbours sharing at least `overlap` frames.

    frames: length of the clip, at least 1. window: frames of one pass, 1 + k * temporal_ratio. overlap: at least 0
    and below window. A clip shorter than the window is one window of the smallest legal length, padded at its end;
    a longer one needs no padding. The kept ranges tile range(frames) in order; the border between two windows lies
    in the middle of what they share.
    """
    if frames < 1:
        raise UserError(f"The clip has {frames} frames but at least one is needed: change the clip.")
    if temporal_ratio < 1 or window < 1 or (window - 1) % temporal_ratio:
        legal = legal_length(max(window, 1), max(temporal_ratio, 1))
        raise UserError(
            f"window is {window} but must be 1 + k x {temporal_ratio} frames, such as {legal}: change window."
        )
    if not 0 <= overlap < window:
        raise UserError(f"overlap is {overlap} but must be from 0 to {window - 1}, below the window: change overlap.")
    if frames <= window:
        return [Window(0, legal_length(frames, temporal_ratio), range(frames))]
    count = -(-(frames - overlap) // (window - overlap))
    starts = [round(i * (frames - window) / (count - 1)) for i in range(count)]
    borders = [0] + [(starts[i] + window + starts[i + 1]) // 2 for i in range(count - 1)] + [frames]
    return [Window(s, s + window, range(borders[i], borders[i + 1])) for i, s in enumerate(starts)]


def compute_factor(windows: list[Window], frames: int) -> float:
    """Frames passed through the model per frame of the clip; 1 is no overlap and no padding."""
    return sum(window.length for window in windows) / frames


def plan_text(frames: int, window: int, overlap: int, temporal_ratio: int = 1) -> str:
    """A plan as JSON, for whoever puts the windows together later; see `read_plan`."""
    windows = plan_windows(frames, window, overlap, temporal_ratio)
    plan = {"frames": frames, "window": window, "overlap": overlap, "temporal_ratio": temporal_ratio}
    factor = round(compute_factor(windows, frames), 3)
    return json.dumps({**plan, "windows": [[w.start, w.stop] for w in windows], "compute_factor": factor})


def read_plan(text: str) -> list[Window]:
    """The windows of a `plan_text`; UserError for any other text."""
    try:
        plan = json.loads(text)
        return plan_windows(*(int(plan[key]) for key in ("frames", "window", "overlap", "temporal_ratio")))
    except (ValueError, KeyError, TypeError):
        raise UserError("The plan is not a text that Chunk Plan wrote: connect its plan output to plan.") from None
