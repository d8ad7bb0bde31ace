"""Depth control: disparity on one scale for the whole clip, near = 1 and far = 0, as all families have it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import UserError

FAR_PLANE = 1000.0  # metres; a depth at or beyond it is sky, as in CARLA's recordings
# Where the scale ends. min_max: at the clip's least and greatest disparity, the sky's too, as the Cosmos-Transfer
# releases scale Depth Anything's disparity and CARLA's Cosmos client 1 / depth. quantiles: without the outermost half
# percent at each end and without the sky, of the embedded model; one wrong pixel cannot darken a clip.
MIN_MAX, QUANTILES = DEPTH_SCALES = ("min_max", "quantiles")
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


def depth_limits(depth: Iterable[Tensor], scale: str) -> DisparityLimits:
    """The clip-wide ends of disparity on one of DEPTH_SCALES; depth: chunks (T, H, W), as `disparity_limits` takes."""
    if scale not in DEPTH_SCALES:
        raise UserError(f"The depth scale {scale!r} is unknown: choose one of {', '.join(DEPTH_SCALES)}.")
    return disparity_range(depth) if scale == MIN_MAX else disparity_limits(depth)


def disparity_range(depth: Iterable[Tensor]) -> DisparityLimits:
    """The least and the greatest disparity 1 / depth of a whole clip, the sky's 1 / FAR_PLANE included.

    depth: chunks (T, H, W) in metres, or in any unit where it was estimated. A clip at one distance gets `low` = 0.
    Raises UserError for depth that is not (T, H, W), not above 0, or NaN.
    """
    near, far = [], []
    for chunk in depth:
        _check(chunk)
        if chunk.numel():
            least, greatest = chunk.float().clamp(max=FAR_PLANE).aminmax()
            near.append(least)
            far.append(greatest)
    if not near:
        return DisparityLimits(0.0, 1.0)
    low, high = 1 / float(torch.stack(far).max()), 1 / float(torch.stack(near).min())
    if high <= 1 / FAR_PLANE:  # nothing but sky
        return DisparityLimits(0.0, 1.0)
    return DisparityLimits(low if high > 1.01 * low else 0.0, high)


def disparity_limits(depth: Iterable[Tensor], share: float = 0.005) -> DisparityLimits:
    """The clip-wide range of disparity 1 / depth, leaving out the nearest and the farthest `share` of the
    pixels.

    `depth` yields chunks (T, H, W) in metres, all of the clip, however many: they go into one histogram of
    constant size, so the limits are quantiles (to 0.14 %) that do not depend on the chunking. Sky (inf, or
    FAR_PLANE and beyond) does not count. A clip at one distance gets `low` = 0; a clip of nothing but sky
    gets (0, 1). Raises UserError for depth that is not (T, H, W), not above 0, or NaN.
    """
    counts: Tensor | int = 0
    width = math.log(FAR_PLANE / _NEAREST) / _BINS
    for chunk in depth:
        _check(chunk)
        near = chunk[chunk < FAR_PLANE].float()
        bins = ((near / _NEAREST).log() / width).long().clamp(0, _BINS - 1)
        counts = counts + torch.bincount(bins, minlength=_BINS)
    counts = torch.as_tensor(counts).cpu()
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
