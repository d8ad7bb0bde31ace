"""The bilateral filter of Tomasi and Manduchi 1998, as OpenCV defines it for 8-bit colour pictures."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import UserError


def bilateral(frames: Tensor, diameter: int, sigma_colour: float, sigma_space: float) -> Tensor:
    """Equation 5 of Tomasi and Manduchi 1998 on 8-bit levels: `cv2.bilateralFilter`, one value of 10,000 a level off.

    frames (T, H, W, 3) in [0, 1]; sigmas in 8-bit levels and in pixels. The weight of a neighbour within diameter / 2
    pixels is exp(-r^2 / (2 sigma_space^2)) exp(-d^2 / (2 sigma_colour^2)), d the sum of the channels' absolute
    differences; the border is mirrored without its edge pixel. (kornia's filter has a square window.) Returns float32
    (T, H, W, 3) on 8-bit levels. Costs some 350 passes over the picture at diameter 30, on a CPU up to a second for
    every tenth of a megapixel. UserError for a picture not larger than diameter / 2.
    """
    radius = max(diameter // 2, 1)
    if min(frames.shape[1:3]) <= radius:
        raise UserError(
            f"Frames of {frames.shape[1]}x{frames.shape[2]} came for a bilateral filter of diameter {diameter}: "
            f"give frames of at least {radius + 1} pixels each way."
        )
    if len(frames) == 0:
        return frames.clone()
    return torch.stack([_filtered(frame, radius, sigma_colour, sigma_space) for frame in frames])


def _filtered(frame: Tensor, radius: int, sigma_colour: float, sigma_space: float) -> Tensor:
    H, W = frame.shape[:2]
    levels = (frame.permute(2, 0, 1) * 255).round()
    padded = F.pad(levels[None], (radius,) * 4, mode="reflect")[0]
    total, weights = levels.clone(), torch.ones_like(levels[0])  # the pixel itself
    rows, columns = range(radius + 1), range(-radius, radius + 1)
    circle = [(dy, dx) for dy in rows for dx in columns if dy * dy + dx * dx <= radius * radius]
    for dy, dx in (step for step in circle if step > (0, 0)):  # half of it: see below
        # A pixel and its neighbour have one weight for each other, so it is found once for every pair of which either
        # is in the picture: `here` begins up to dy rows and dx columns before it.
        top, left, right = radius - dy, radius - max(dx, 0), radius + max(-dx, 0) + W
        here = padded[:, top : radius + H, left:right]
        there = padded[:, top + dy : radius + H + dy, left + dx : right + dx]
        distance = (there - here).abs_().sum(0)
        space = -(dy * dy + dx * dx) / (2 * sigma_space**2)
        weight = distance.square_().mul_(-1 / (2 * sigma_colour**2)).add_(space).exp_()
        for near, row, column in ((there, dy, radius - left), (here, 0, radius - left - dx)):
            share = weight[row : row + H, column : column + W]
            total.addcmul_(share, near[:, row : row + H, column : column + W])
            weights += share
    return (total / weights).round().permute(1, 2, 0) / 255
