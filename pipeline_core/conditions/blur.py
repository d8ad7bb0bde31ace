"""Blur control ("vis"): the clip without its detail, as Cosmos-Transfer1 prepares it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UserError
from .bilateral import bilateral

# Cosmos-Transfer1's presets: shrink before the bilateral filter, its diameter, colour and space sigma, and the factor
# by which the result is shrunk and enlarged again.
BLUR_PRESETS = {
    "very_low": (1, 15, 100.0, 50.0, 4),
    "low": (4, 15, 100.0, 50.0, 4),
    "medium": (2, 30, 150.0, 100.0, 10),
    "high": (1, 50, 300.0, 150.0, 16),
    "very_high": (4, 50, 300.0, 150.0, 16),
}


def blur_map(frames: Tensor, preset: str = "medium") -> Tensor:
    """The blur control of (T, H, W, 3) frames in [0, 1]: float32 of the same shape, in [0, 1].

    preset: one of BLUR_PRESETS. The frames are shrunk by area, filtered (see `bilateral`; OpenCV's filter), enlarged,
    and then shrunk and enlarged once more with antialiased bicubic interpolation. "high" filters whole frames with two
    thousand taps: seconds per frame even at small sizes without a GPU. UserError for an unknown preset and for frames
    too small for it.
    """
    if preset not in BLUR_PRESETS:
        raise UserError(f"The blur preset {preset!r} is unknown: choose one of {', '.join(BLUR_PRESETS)}.")
    shrink, diameter, sigma_colour, sigma_space, factor = BLUR_PRESETS[preset]
    height, width = frames.shape[1:3]
    least = max(factor, shrink * (diameter // 2 + 1))
    if min(height, width) < least:
        raise UserError(
            f"Frames of {width}x{height} are too small for the {preset} blur: choose a weaker preset, or give frames "
            f"of at least {least} pixels each way."
        )
    planes = frames.float().movedim(-1, 1)
    if shrink > 1:
        planes = F.interpolate(planes, size=(height // shrink, width // shrink), mode="area")
    planes = bilateral(planes.movedim(1, -1), diameter, sigma_colour, sigma_space).movedim(-1, 1)
    if shrink > 1:
        planes = F.interpolate(planes, size=(height, width), mode="bilinear")
    small = (height // factor, width // factor)
    for size in (small, (height, width)):
        planes = F.interpolate(planes, size=size, mode="bicubic", antialias=True)
    return planes.clamp(0, 1).movedim(1, -1).to(torch.float32)
