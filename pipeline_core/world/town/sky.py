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
    if sunny:
        cosine = (unit @ town.sun()).clamp(min=0)
        glow = 0.16 * cosine**6 + 0.35 * cosine**40 + 7.0 * cosine**1500
        sky = sky + glow[:, None] * torch.tensor(look.sun)
    elif look.horizon[0] > 1.5 * look.horizon[2]:
        # A red horizon: the glow of dusk stands where the sun went down.
        x, _, z = town.sun().tolist()
        cosine = (unit @ torch.tensor([x, 0.0, z]) / (x * x + z * z) ** 0.5).clamp(min=0)
        glow = (0.30 * cosine**8 + 0.55 * cosine**60) * torch.exp(-4 * up)
        sky = sky + glow[:, None] * torch.tensor([1.9, 1.05, 0.45])
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
