"""The bilateral filter of Tomasi and Manduchi 1998, as OpenCV defines it for 8-bit colour pictures."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import UserError


def bilateral(frames: Tensor, diameter: int, sigma_colour: float, sigma_space: float) -> Tensor:
    """Equation 5 of Tomasi and Manduchi 1998 on 8-bit levels: `cv2.bilateralFilter`.

    frames (T, H, W, 3) in [0, 1]; sigmas in 8-bit levels and in pixels. The weight of a neighbour within diameter / 2
    pixels is exp(-r^2 / (2 sigma_space^2)) exp(-d^2 / (2 sigma_colour^2)), d the sum of the channels' absolute
    differences; the border is mirrored without its edge pixel. Returns float32 (T, H, W, 3) on 8-bit levels. Costs
    some 700 passes over the picture at diameter 30, on a CPU seconds for every tenth of a megapixel. UserError for a
    picture not larger than diameter / 2.
    """
    radius = max(diameter // 2, 1)
    if min(frames.shape[1:3]) <= radius:
        raise UserError(
            f"Frames of {frames.shape[1]}x{frames.shape[2]} came for a bilateral filter of diameter {diameter}: "
            f"give frames of at least {radius + 1} pixels each way."
        )
    H, W = frames.shape[1:3]
    result = []
    for frame in frames:
        levels = (frame.permute(2, 0, 1) * 255).round()
        padded = F.pad(levels[None], (radius,) * 4, mode="reflect")[0]
        total, weights = torch.zeros_like(levels), torch.zeros_like(levels[0])
        for dy in range(-radius, radius + 1):
            for dx in range(-radius, radius + 1):
                if dy * dy + dx * dx > radius * radius:
                    continue
                near = padded[:, radius + dy : radius + dy + H, radius + dx : radius + dx + W]
                d = (near - levels).abs().sum(0)
                space = (dy * dy + dx * dx) / (2 * sigma_space**2)
                weight = torch.exp(-(d * d) / (2 * sigma_colour**2) - space)
                total += weight * near
                weights += weight
        result.append((total / weights).round().permute(1, 2, 0) / 255)
    return torch.stack(result) if result else frames.clone()
