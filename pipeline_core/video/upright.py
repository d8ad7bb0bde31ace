"""Frames as they are to be seen: cameras and phones store them as the sensor lies, with a matrix that turns them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class Turn:
    """How stored frames become upright: transposed first, then flipped left to right and top to bottom.

    oblique: the matrix asks for something else than quarter turns and flips, which is not done.
    """

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False
    oblique: bool = False

    def __bool__(self) -> bool:
        return self.transpose or self.flip_x or self.flip_y

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the upright frame."""
        return (width, height) if self.transpose else (height, width)

    def apply(self, frame: Tensor) -> Tensor:
        """A stored frame (H, W, C), upright."""
        frame = frame.transpose(0, 1) if self.transpose else frame
        sides = [side for side, flipped in ((0, self.flip_y), (1, self.flip_x)) if flipped]
        return frame.flip(sides) if sides else frame.contiguous()

    def in_words(self) -> str:
        """What was done to the stored frames."""
        turns = {(False, True, True): "180 degrees", (True, True, False): "90 degrees clockwise"}
        turns[True, False, True] = "90 degrees anticlockwise"
        done = turns.get((self.transpose, self.flip_x, self.flip_y))
        return f"turned by {done}" if done else "mirrored"


def turn_of(frame) -> Turn:
    """From the display matrix of a decoded frame: (x, y) is shown at (a x + c y, b x + d y), y downwards; entries in
    the order a b u c d v x y w, as 16.16 fixed point (ISO 14496-12, 6.2.2).

    Ask it of a clip's first frame alone: PyAV's side data and its frame hold each other, so that a frame that was asked
    waits for Python's garbage collector, which sees a small object and not the megabytes behind it.
    """
    from av.sidedata.sidedata import Type

    try:
        data = frame.side_data[Type.DISPLAYMATRIX]
    except KeyError:
        return Turn()
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
    straight, crossed = min(abs(a), abs(d)), min(abs(b), abs(c))
    if straight > 0 and max(abs(b), abs(c)) < 0.01 * straight:
        return Turn(False, a < 0, d < 0)
    if crossed > 0 and max(abs(a), abs(d)) < 0.01 * crossed:
        return Turn(True, c < 0, b < 0)
    return Turn(oblique=True)
