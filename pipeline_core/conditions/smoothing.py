"""Steady depth: estimated depth of a clip without the jitter of estimating every frame by itself.

A network that sees one frame at a time puts each on a scale of its own. First every frame's disparity is brought to
the scale of the frame before it (a gain and an offset, fitted robustly), then a bilateral filter over time averages
what stays and leaves alone what moves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from ..errors import UserError
from .depth import FAR_PLANE

_SAMPLES = 65536  # pixels that a fit looks at
_ROUNDS = 4
_RETURN = 0.01  # share per frame by which the scale goes back to the network's own: errors cannot pile up
_RANGE = 0.03  # differences of a few hundredths of the clip's near end are taken for noise, larger ones for motion


def align_disparity(reference: Tensor, disparity: Tensor) -> tuple[float, float]:
    """(gain, offset) with gain * disparity + offset close to reference where the two show the same: (H, W) each.

    The gain is the ratio of the spreads (reduced major axis), which unlike least squares does not shrink when both
    are noisy; pixels that do not fit, because something moved there, are left out in rounds. (1, 0) where there is
    nothing to fit.
    """
    step = max(1, disparity.numel() // _SAMPLES)
    r, d = (plane.flatten()[::step].cpu().double() for plane in (reference, disparity))
    both = (r > 2 / FAR_PLANE) & (d > 2 / FAR_PLANE)  # not the sky
    r, d = r[both], d[both]
    keep = torch.ones_like(r, dtype=torch.bool)
    gain, offset = 1.0, 0.0
    for _ in range(_ROUNDS):
        if int(keep.sum()) < 16 or float(d[keep].std()) < 1e-9:
            return 1.0, 0.0
        # Spreads around the median, by quantiles: the few pixels of a fast object do not turn them.
        low, middle, high = (torch.quantile(d[keep], q) for q in (0.1, 0.5, 0.9))
        spread = torch.quantile(r[keep], 0.9) - torch.quantile(r[keep], 0.1)
        gain = float(spread / (high - low)) if high > low else 1.0
        offset = float(torch.quantile(r[keep], 0.5) - gain * middle)
        error = (gain * d + offset - r).abs()
        keep = error <= 2.5 * torch.quantile(error[keep], 0.7).clamp(min=1e-9)
    return gain, offset


def smooth_depth(depth: Iterable[Tensor], radius: int) -> Iterator[Tensor]:
    """Depth chunks (T, H, W), steadied; the same frames come out in the same order, one at a time as (1, H, W).

    radius: how many frames before and after count, 1 to 32; 0 passes everything on. Holds 2 radius + 1 frames. The
    values are distances up to a scale, as estimators give them; FAR_PLANE and beyond is sky. UserError for a radius
    out of range.
    """
    if not 0 <= radius <= 32:
        raise UserError(f"A temporal smoothing of {radius} frames came: give 0 (off) to 32.")
    frames = (frame for chunk in depth for frame in chunk)
    if radius == 0:
        yield from (frame[None] for frame in frames)
        return
    held: deque[Tensor] = deque()
    first = 0  # number of held[0]
    wanted = 0
    for number, disparity in enumerate(_aligned(frames)):
        held.append(disparity)
        if number >= radius:
            yield _average(held, wanted - first, radius)
            wanted += 1
            if wanted - first > radius:
                held.popleft()
                first += 1
    while wanted < first + len(held):
        yield _average(held, wanted - first, radius)
        wanted += 1


def _aligned(frames: Iterable[Tensor]) -> Iterator[Tensor]:
    """Disparity of each frame on the scale of the first, which is slowly given up for the network's own."""
    previous = None
    for frame in frames:
        disparity = torch.where(frame >= FAR_PLANE, 0.0, 1 / frame.float())
        if previous is not None:
            gain, offset = align_disparity(previous, disparity)
            gain, offset = gain * (1 - _RETURN) + _RETURN, offset * (1 - _RETURN)
            aligned = (gain * disparity + offset).clamp(min=1 / FAR_PLANE)
            disparity = torch.where(disparity == 0, 0.0, aligned)
        previous = disparity
        yield disparity


def _average(held: deque[Tensor], place: int, radius: int) -> Tensor:
    """Depth (1, H, W) of held[place], averaged over its neighbours in time where they agree."""
    centre = held[place]
    # By quantile, not by maximum: one wild pixel must not open the filter for all.
    scale = _RANGE * float(torch.quantile(centre.flatten()[:: max(1, centre.numel() // _SAMPLES)], 0.95))
    total, weights = torch.zeros_like(centre), torch.zeros_like(centre)
    for other in range(max(0, place - radius), min(len(held), place + radius + 1)):
        near = torch.exp(-0.5 * ((held[other] - centre) / max(scale, 1e-9)) ** 2)
        weight = near * float(torch.exp(torch.tensor(-2.0 * ((other - place) / radius) ** 2)))
        total += weight * held[other]
        weights += weight
    disparity = total / weights
    return torch.where(centre == 0, FAR_PLANE, 1 / disparity.clamp(min=1 / FAR_PLANE))[None]
