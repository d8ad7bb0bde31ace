"""Blur control ("vis"): the clip without its detail, as Cosmos-Transfer1 and 2.5 prepare it."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from ..errors import UserError
from ..video.frames import area_resize
from .bilateral import bilateral


class Blur(NamedTuple):
    """One strength of the blur.

    shrink: factor by which a frame is made smaller before the filter. diameter, sigma_colour, sigma_space: of the
    bilateral filter; without a sigma_colour a plain Gaussian over diameter x diameter pixels. factor: by which the
    result is shrunk and enlarged again.
    """

    shrink: int
    diameter: int
    sigma_colour: float | None
    sigma_space: float
    factor: int


# Both releases trained on random mixtures of bilateral and Gaussian blurs and prepare their own input by these. The
# Gaussian is the mixture's default; the releases' published example map was made with it.
_GAUSSIAN = {"gaussian": Blur(1, 25, None, 12.5, 1)}
TRANSFER1_BLUR = {
    "very_low": Blur(1, 15, 100.0, 50.0, 4),
    "low": Blur(4, 15, 100.0, 50.0, 4),
    "medium": Blur(2, 30, 150.0, 100.0, 10),
    "high": Blur(1, 50, 300.0, 150.0, 16),
    "very_high": Blur(4, 50, 300.0, 150.0, 16),
    **_GAUSSIAN,
}
# Transfer2.5 has one filter for all strengths.
TRANSFER25_BLUR = {
    "very_low": Blur(1, 30, 150.0, 100.0, 4),
    "low": Blur(4, 30, 150.0, 100.0, 4),
    "medium": Blur(2, 30, 150.0, 100.0, 10),
    "high": Blur(1, 30, 150.0, 100.0, 16),
    "very_high": Blur(4, 30, 150.0, 100.0, 16),
    **_GAUSSIAN,
}
BLUR_STRENGTHS = tuple(TRANSFER1_BLUR)


def blur_map(frames: Tensor, strength: str = "medium", table: dict[str, Blur] = TRANSFER1_BLUR) -> Tensor:
    """The blur control of (T, H, W, 3) frames in [0, 1]: float32 of the same shape, on 8-bit levels in [0, 1].

    strength: one of the table's. Frames of the model's own size are shrunk by area, filtered (see `bilateral`, or by a
    Gaussian), enlarged by bilinear interpolation, and then shrunk and enlarged once more by antialiased bicubic
    interpolation; every step rounds to 8 bits as OpenCV and torchvision do. "high" filters whole frames with two
    thousand taps: seconds per frame even at small sizes without a GPU; "gaussian" is quick. UserError for an unknown
    strength and for frames too small for it.
    """
    if strength not in table:
        raise UserError(f"The blur preset {strength!r} is unknown: choose one of {', '.join(table)}.")
    blur = table[strength]
    height, width = frames.shape[1:3]
    least = max(blur.factor, blur.shrink * (blur.diameter // 2 + 1))
    if min(height, width) < least:
        raise UserError(
            f"Frames of {width}x{height} are too small for the {strength} blur: choose a weaker preset, or give frames "
            f"of at least {least} pixels each way."
        )
    frames = _rounded(frames.float())
    if blur.shrink > 1:
        frames = _rounded(area_resize(frames, (height // blur.shrink, width // blur.shrink)))
    planes = _filtered(frames, blur).movedim(-1, 1)
    if blur.shrink > 1:
        planes = _rounded(F.interpolate(planes, size=(height, width), mode="bilinear"))
    if blur.factor > 1:
        for size in ((height // blur.factor, width // blur.factor), (height, width)):
            planes = _rounded(F.interpolate(planes, size=size, mode="bicubic", antialias=True).clamp(0, 1))
    return planes.movedim(1, -1)


def _rounded(values: Tensor) -> Tensor:
    return (values * 255).round() / 255


def _filtered(frames: Tensor, blur: Blur) -> Tensor:
    if blur.sigma_colour is not None:
        return bilateral(frames, blur.diameter, blur.sigma_colour, blur.sigma_space)
    from kornia.filters import gaussian_blur2d

    sigmas = (blur.sigma_space, blur.sigma_space)
    return _rounded(gaussian_blur2d(frames.movedim(-1, 1), blur.diameter, sigmas)).movedim(1, -1)
