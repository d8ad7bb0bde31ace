"""A clip of any length through a model of a fixed one: frames in, frames out, a window's worth held at a time."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from torch import Tensor

from .plan import Window
from .stitch import Mix, Say, blend_windows, crossfade, window_clips


@dataclass(frozen=True, eq=False)
class Finished:
    """A window that is done: its clean latent and the noise it started from, (B, C, t, h, w) each.

    entry: what to report of it, plain values. key: what it was made from, as hex.
    """

    latent: Tensor
    noise: Tensor
    entry: dict
    key: str = ""


# (index, the window's source frames (T, H, W, 3), the window before or None) -> the window, done
EnhanceWindow = Callable[[int, Tensor, "Finished | None"], Finished]
# the window, done -> its frames (T, H, W, 3)
DecodeWindow = Callable[[Finished], Tensor]


def enhance_stream(
    frames: Iterable[Tensor],
    windows: list[Window],
    enhance_window: EnhanceWindow,
    decode_window: DecodeWindow,
    mix: Mix = crossfade,
    say: Say = warnings.warn,
) -> Iterator[Tensor]:
    """Enhance a stream of frames (H, W, 3) window by window; yields as many finished frames in order.

    windows: as `plan_windows` gives them for the number of frames. Memory does not grow with the clip: held are one
    window of the source, one of the result, and the latent of the one before, which is handed on as it is, never
    through the VAE. mix: how the frames of an overlap become one, see `blend_windows`. say: what to do
    with the sentence that `window_clips` has on a stream shorter than planned.
    """

    def clips() -> Iterator[Tensor]:
        before = None
        for index, clip in enumerate(window_clips(frames, windows, say)):
            before = enhance_window(index, clip, before)
            yield decode_window(before)

    yield from blend_windows(clips(), windows, mix)
