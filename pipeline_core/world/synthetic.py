"""The synthetic style: Lambert light on saturated paint, hard shadows, one sample per pixel, no texture, no noise."""

import torch
from torch import Tensor

from .raycast import Hits
from .surfaces import Surface

SKY_PAINT = (0.40, 0.70, 1.00)
# Shares of the shade of level ground in full sun, which is 1: what the sky alone gives it, and what the sun adds.
AMBIENT, SUN = 0.50, 0.50
# A wall sees half the sky, a surface that faces down none of it; the rest is light that bounces.
FROM_SKY = 0.20


def shade_synthetic(surface: Surface, hits: Hits, light: Tensor, sun: Tensor) -> Tensor:
    """(F, H, W, 3) sRGB in [0, 1]. `light`: 1 in the sun, 0 in shadow; `sun`: the unit vector (3,) towards it."""
    facing = (hits.normal @ sun).clamp(min=0) / sun[1]
    shade = AMBIENT * (1 - FROM_SKY + FROM_SKY * hits.normal[..., 1]) + SUN * facing * light
    shade = torch.where(surface.glow > 0, torch.ones_like(shade), shade)
    image = (surface.paint * shade[..., None]).clamp(max=1)
    return torch.where((surface.material < 0)[..., None], torch.tensor(SKY_PAINT), image)
