"""Join the decoded frames of overlapping windows into one clip, holding no more than one overlap."""

import warnings
from collections.abc import Callable, Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UserError
from .motion import pixel_grid
from .plan import Window

# (earlier, later (T, H, W, 3), the later one's weight per frame (T,)) -> the mixture
Mix = Callable[[Tensor, Tensor, Tensor], Tensor]
Say = Callable[[str], object]


def window_clips(frames: Iterable[Tensor], windows: list[Window], say: Say = warnings.warn) -> Iterator[Tensor]:
    """Cut a stream of frames (H, W, 3) into the windows' clips (T, H, W, 3), repeating the last frame as padding.

    Holds one window at a time. Windows must be in order, as `plan_windows` gives them. say gets one sentence where the
    stream ends before the frames that were planned; UserError where it leaves a whole window without a frame.
    """
    stream, held, first, planned = iter(frames), [], 0, windows[-1].keep.stop
    for window in windows:
        del held[: window.start - first]
        first = window.start
        while len(held) < window.length:
            frame = next(stream, None)
            if frame is None:
                break
            held.append(frame)
        seen = first + len(held)
        if seen < min(window.stop, planned):
            if seen <= windows[-1].start:
                raise UserError(
                    f"The clip ended after {seen} frames and {planned} were planned, which leaves a window without "
                    "any: save the clip anew, so that it has the frames it states."
                )
            if say is not None:
                say(f"The clip ended after {seen} of {planned} planned frames: the last one was repeated for the rest.")
            say = None
        yield torch.stack(held + [held[-1]] * (window.length - len(held)))


def crossfade(earlier: Tensor, later: Tensor, weight: Tensor) -> Tensor:
    """(1 - w) earlier + w later, per frame; clips (T, H, W, ...), weight (T,)."""
    weight = weight.to(earlier).reshape(-1, *[1] * (earlier.ndim - 1))
    return earlier * (1 - weight) + later * weight


def flow_aligned(estimate: Callable[[Tensor], Tensor]) -> Mix:
    """A crossfade of two versions of a frame that first moves both to where their mixture has its edges.

    estimate: frames (2, H, W, 3) -> forward flow (2, H, W, 2) in pixels, of which the first is used. With w the later
    one's weight, the earlier version is fetched at p - w f(p) and the later at p - (1 - w) g(p), f and g the flows from
    the one to the other and back: an edge that the two have in different places is not shown twice.
    """

    def mix(earlier: Tensor, later: Tensor, weight: Tensor) -> Tensor:
        moved = []
        for a, b, w in zip(earlier, later, weight.tolist()):
            there, back = (estimate(torch.stack(pair))[0].to(a) for pair in ((a, b), (b, a)))
            moved.append((_fetch(a, -w * there), _fetch(b, (w - 1) * back)))
        return crossfade(*(torch.stack(versions) for versions in zip(*moved)), weight)

    return mix


def _fetch(frame: Tensor, shift: Tensor) -> Tensor:
    """frame (H, W, 3) at p + shift(p), shift (H, W, 2) in pixels; bilinear, the border repeated."""
    H, W = frame.shape[:2]
    span = shift.new_tensor([max(1, W - 1), max(1, H - 1)])
    where = 2 * (pixel_grid(H, W, frame.device).to(shift) + shift) / span - 1
    planes = F.grid_sample(frame.movedim(-1, 0)[None], where[None], padding_mode="border", align_corners=True)
    return planes[0].movedim(0, -1)


def blend_windows(clips: Iterable[Tensor], windows: list[Window], mix: Mix = crossfade) -> Iterator[Tensor]:
    """Blend the windows' clips (T, H, W, 3) in order and yield finished frames (H, W, 3) as soon as they are.

    Over the frames that two windows share the weight of the later one rises linearly from 1 / (n + 1) to
    n / (n + 1), n the number of shared frames. The number of frames yielded is that of the clip.
    """
    total = windows[-1].keep.stop
    tail, tail_start = None, 0
    for window, clip in zip(windows, clips, strict=True):
        clip = clip[: max(0, min(window.stop, total) - window.start)]
        if tail is not None:
            shared = tail_start + len(tail) - window.start
            if shared > 0:
                rise = torch.arange(1, shared + 1, dtype=clip.dtype) / (shared + 1)
                mixed = mix(tail[len(tail) - shared :], clip[:shared], rise)
                yield from tail[: len(tail) - shared]
                clip = torch.cat([mixed, clip[shared:]])
            else:
                yield from tail
        tail, tail_start = clip, window.start
    yield from tail
