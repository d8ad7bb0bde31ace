"""The sky of a town by direction: gradient, the glow around the sun, clouds; and what a mirror would see."""

import torch
from torch import Tensor

from ..looks import Look
from ..texture import sample_noise
from .scene import Town


def sky_light(town: Town, look: Look, unit: Tensor, clouds: bool = True) -> Tensor:
    """Radiance (N, 3) from unit directions (N, 3); those below the horizon get the horizon's."""
    up = unit[:, 1].clamp(min=0)
    blend = (1 - torch.exp(-3.2 * up))[:, None]
    sky = torch.tensor(look.horizon) * (1 - blend) + torch.tensor(look.zenith) * blend
    sunny = max(look.sun) > 0
    if sunny or look.lamps == 0.55:
        # At dusk the glow stands over where the sun went down.
        towards = town.sun() if sunny else torch.tensor(_set_sun(town))
        cosine = (unit @ towards).clamp(min=0)
        colour = torch.tensor(look.sun) if sunny else 1.6 * torch.tensor(look.horizon)
        glow = 0.16 * cosine**6 + 0.35 * cosine**40 + (7.0 * cosine**1500 if sunny else 0.0)
        sky = sky + glow[:, None] * colour
    if not clouds:
        return sky
    reach = 1.0 / (up + 0.10)
    noise = sample_noise(unit[:, 0] * reach * 3, unit[:, 2] * reach * 3, 14.0, 5, salt=7 + town.seed % 5)
    cover = ((noise + 0.9 * town.cloudiness - 0.75) * 1.8).clamp(0, 1) * (up * 7).clamp(max=1)
    white = torch.tensor(look.horizon) * 1.05 + 0.12 * torch.tensor(look.sun)
    shade = (1 - 0.35 * cover)[:, None]
    return sky * (1 - 0.85 * cover[:, None]) + white * shade * 0.85 * cover[:, None]


def mirrored(town: Town, look: Look, unit: Tensor) -> Tensor:
    """What a mirror sees towards unit directions (N, 3): sky, a dark band of houses and trees, the road below."""
    up = unit[:, 1]
    open_sky = ((up - 0.10) * 7).clamp(0, 1)[:, None]
    below = ((-up) * 10).clamp(0, 1)[:, None]
    ambient = torch.tensor(look.ambient)
    band = 0.16 * ambient + 0.03 * torch.tensor(look.sun)
    road = 0.085 * (ambient + 0.5 * torch.tensor(look.sun))
    seen = sky_light(town, look, unit, clouds=False) * open_sky + band * (1 - open_sky)
    return seen * (1 - below) + road * below


def _set_sun(town: Town) -> tuple[float, float, float]:
    x, _, z = town.sun().tolist()
    size = (x * x + z * z) ** 0.5
    return x / size, 0.02, z / size
