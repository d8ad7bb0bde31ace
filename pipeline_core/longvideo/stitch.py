"""Join the decoded frames of overlapping windows into one clip, holding no more than one overlap."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from .plan import Window


def window_clips(frames: Iterable[Tensor], windows: list[Window]) -> Iterator[Tensor]:
    """Cut a stream of frames (H, W, 3) into the windows' clips (T, H, W, 3), repeating the last frame as padding.

    Holds one window at a time. Windows must be in order, as `plan_windows` gives them.
    """
    stream, held, first = iter(frames), [], 0
    for window in windows:
        del held[: window.start - first]
        first = window.start
        while len(held) < window.length:
            frame = next(stream, None)
            if frame is None:
                break
            held.append(frame)
        yield torch.stack(held + [held[-1]] * (window.length - len(held)))


def blend_windows(clips: Iterable[Tensor], windows: list[Window]) -> Iterator[Tensor]:
    """Crossfade the windows' clips (T, H, W, 3) in order and yield finished frames (H, W, 3) as soon as they are.

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
                rise = rise.reshape(-1, *[1] * (clip.ndim - 1))
                mixed = tail[len(tail) - shared :] * (1 - rise) + clip[:shared] * rise
                yield from tail[: len(tail) - shared]
                clip = torch.cat([mixed, clip[shared:]])
            else:
                yield from tail
        tail, tail_start = clip, window.start
    yield from tail
