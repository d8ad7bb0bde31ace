"""A foreground on a plain colour, with the alpha that put it there."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..photoreal import blur
from ..town.sensor import SOFTEN

STEPS = 6  # pixels that a foreground's colours go on beyond its edge, where a lens would blur it with nothing


def spread(image: Tensor, known: Tensor) -> Tensor:
    """Colours (F, H, W, 3) where `known` (F, H, W), bool, and around there the mean of the neighbours that are."""
    planes, weight = (image * known[..., None]).movedim(-1, 1), known[:, None].float()
    for _ in range(STEPS):
        total, count = (F.avg_pool2d(x, 3, 1, 1, divisor_override=1) for x in (planes * weight, weight))
        grown = (weight == 0) & (count > 0)
        planes = torch.where(grown, total / count.clamp(min=1), planes)
        weight = torch.where(grown, 1.0, weight)
    return planes.movedim(1, -1)


def lay(foreground: Tensor, alpha: Tensor, plain: tuple, soft: bool) -> tuple[Tensor, Tensor, Tensor]:
    """(the picture, alpha, foreground): C = alpha F + (1 - alpha) B (Porter & Duff 1984, over).

    foreground (F, H, W, 3) sRGB; alpha (F, H, W) as rays saw it; plain: sRGB B; soft: alpha through the lens that the
    photoreal style looks through. Where alpha is 0 the foreground is black.
    """
    if soft:
        alpha = blur(alpha[:, None], SOFTEN)[:, 0]
        alpha = torch.where(alpha < 1 / 512, torch.zeros_like(alpha), alpha)
    alpha = alpha.clamp(0, 1)
    foreground = foreground * (alpha > 0)[..., None]
    picture = alpha[..., None] * foreground + (1 - alpha)[..., None] * torch.tensor(plain)
    return picture.clamp(0, 1), alpha, foreground
