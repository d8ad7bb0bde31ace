"""Depth control: disparity on one scale for the whole clip, near = 1, sky = 0 (Cosmos-Transfer1's
polarity)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import UserError

FAR_PLANE = 1000.0  # metres; a depth at or beyond it is sky, as in CARLA's recordings
_NEAREST = 0.01  # metres; what is nearer counts as this near in the histogram
_BINS = 8192  # of log depth: one bin is 0.14 %, so no frame can see the limits move


class DisparityLimits(NamedTuple):
    """The clip's own ends of the disparity scale in 1/metres: `low` maps to 0, `high` to 1."""

    low: float
    high: float


def _check(depth: Tensor) -> None:
    if depth.dim() != 3:
        raise UserError(f"Depth of shape {tuple(depth.shape)} came: give (T, H, W) in metres.")
    if not bool((depth > 0).all()):  # a NaN fails the comparison too
        raise UserError("Depth that is zero, negative or NaN came: give metres above 0, and inf for the sky.")


def disparity_limits(depth: Iterable[Tensor], share: float = 0.005) -> DisparityLimits:
    """The clip-wide range of disparity 1 / depth, leaving out the nearest and the farthest `share` of the
    pixels.

    `depth` yields chunks (T, H, W) in metres, all of the clip, however many: they go into one histogram of
    constant size, so the limits are quantiles (to 0.14 %) that do not depend on the chunking. Sky (inf, or
    FAR_PLANE and beyond) does not count. A clip at one distance gets `low` = 0; a clip of nothing but sky
    gets (0, 1). Raises UserError for depth that is not (T, H, W), not above 0, or NaN.
    """
    counts = torch.zeros(_BINS, dtype=torch.int64)
    width = math.log(FAR_PLANE / _NEAREST) / _BINS
    for chunk in depth:
        _check(chunk)
        near = chunk[chunk < FAR_PLANE].float()
        bins = ((near / _NEAREST).log() / width).long().clamp(0, _BINS - 1)
        counts += torch.bincount(bins, minlength=_BINS).cpu()
    total = int(counts.sum())
    if total == 0:
        return DisparityLimits(0.0, 1.0)
    reached = counts.cumsum(0)
    nearest = int((reached >= max(1.0, share * total)).nonzero()[0])
    farthest = int((reached >= (1 - share) * total).nonzero()[0])
    high = 1 / (_NEAREST * math.exp(width * nearest))
    low = 1 / (_NEAREST * math.exp(width * (farthest + 1)))
    return DisparityLimits(low if high > 1.01 * low else 0.0, high)


def disparity_map(depth: Tensor, limits: DisparityLimits) -> Tensor:
    """Map depth (T, H, W) in metres to (1 / depth - low) / (high - low), float32 in [0, 1]: near = 1, sky =
    0.

    With the limits of the whole clip (`disparity_limits`) a resting point keeps its value in every frame,
    whatever else comes into view. Values beyond the limits are held at 0 and 1. Raises UserError for depth
    that is not (T, H, W), not above 0, or NaN.
    """
    _check(depth)
    low, high = limits
    disparity = torch.where(depth >= FAR_PLANE, torch.zeros((), device=depth.device), 1 / depth.float())
    return ((disparity - low) / (high - low)).clamp(0, 1)
