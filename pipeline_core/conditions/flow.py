"""Optical flow of a window from the simulator's own buffers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .buffers import Buffers


def buffer_flow(buffers: Buffers, start: int, length: int) -> Tensor:
    """The simulator's flow over `length` frames from `start`, (T, H, W, 2) in pixels; nothing moves beyond its end."""
    known = buffers.flow(start, min(start + length, buffers.frames))
    if missing := length - len(known):
        known = known.clone()
        known[-1] = 0
        known = torch.cat([known, known.new_zeros(missing, *known.shape[1:])])
    return known
