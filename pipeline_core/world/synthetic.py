"""The synthetic style: flat shading, saturated paint, hard shadows, one sample per pixel, no noise."""

import torch
from torch import Tensor

from .raycast import Hits
from .surfaces import Surface

SKY_PAINT = (0.40, 0.70, 1.00)
SHADOW = 0.58


def shade_synthetic(surface: Surface, hits: Hits, light: Tensor) -> Tensor:
    """(F, H, W, 3) sRGB in [0, 1]. `light` is 1 in the sun and 0 in shadow."""
    up, across = hits.normal[..., 1], hits.normal[..., 0].abs()
    facet = 0.80 + 0.20 * up.clamp(min=0) - 0.10 * across
    shade = facet * (SHADOW + (1 - SHADOW) * light)
    shade = torch.where(surface.glow > 0, torch.ones_like(shade), shade)
    image = surface.paint * shade[..., None]
    return torch.where((surface.material < 0)[..., None], torch.tensor(SKY_PAINT), image)
