"""The window plan: which frames each pass of the model sees, and which of them it contributes."""

import json
from dataclasses import dataclass

from ..doors import parse_json
from ..doors.limits import FRAMES
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
    and at most window - temporal_ratio. A clip shorter than the window is one window of the smallest legal length.
    Windows start at multiples of temporal_ratio, so that their latent frames stand for the same pixel frames; the clip
    is padded at its end to a legal length for that. The kept ranges tile range(frames) in order; the border between
    two windows lies in the middle of what they share.
    """
    if frames < 1:
        raise UserError(f"The clip has {frames} frames but at least one is needed: change the clip.")
    if temporal_ratio < 1 or window < 1 or (window - 1) % temporal_ratio:
        above = legal_length(max(window, 1), max(temporal_ratio, 1))
        nearest = " or ".join(str(legal) for legal in (above - temporal_ratio, above) if legal > 0)
        raise UserError(
            f"window is {window} but must be 1 + k x {temporal_ratio} frames, such as {nearest}: change window."
        )
    most = max(0, window - temporal_ratio)
    if not 0 <= overlap <= most:
        raise UserError(
            f"overlap is {overlap} but must be from 0 to {most}, one step of {temporal_ratio} below the window: change "
            "overlap."
        )
    total = legal_length(frames, temporal_ratio)
    if total <= window:
        return [Window(0, total, range(frames))]
    if window < temporal_ratio:
        raise UserError(
            f"window is {window} but the clip has {frames} frames and windows step by {temporal_ratio}: change window."
        )
    steps = (total - window) // temporal_ratio
    count = 1 - -steps // ((window - overlap) // temporal_ratio)
    starts = [temporal_ratio * round(i * steps / (count - 1)) for i in range(count)]
    borders = [0] + [(starts[i] + window + starts[i + 1]) // 2 for i in range(count - 1)] + [frames]
    return [Window(s, s + window, range(borders[i], borders[i + 1])) for i, s in enumerate(starts)]


def latent_frames(window: Window, temporal_ratio: int) -> range:
    """The latent frames of the clip that a window covers; k stands for pixel frames up to k * temporal_ratio.

    A causal VAE makes a window's first latent frame from one pixel frame alone: where another window has that latent
    frame within, it is this one's lead-in.
    """
    return range(window.start // temporal_ratio, (window.stop - 1) // temporal_ratio + 1)


def shared_latent_frames(before: Window, after: Window, temporal_ratio: int) -> tuple[slice, slice]:
    """The latent frames two windows share, lead-in left out: as a slice of each one's own latent.

    Empty where they overlap by less than a lead-in and one latent frame. Image models (ratio 1) need no lead-in.
    """
    first, second = latent_frames(before, temporal_ratio), latent_frames(after, temporal_ratio)
    start = second.start + (temporal_ratio > 1)
    stop = max(start, min(first.stop, second.stop))
    return tuple(slice(start - own.start, stop - own.start) for own in (first, second))


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
        plan = parse_json(text, "The plan", "connect the plan output of Chunk Plan to plan")
        counts = [int(plan[key]) for key in ("frames", "window", "overlap", "temporal_ratio")]
        if not all(0 <= count <= FRAMES[1] for count in counts):
            raise ValueError
        return plan_windows(*counts)
    except (ValueError, KeyError, TypeError, OverflowError):
        raise UserError("The plan is not a text that Chunk Plan wrote: connect its plan output to plan.") from None
