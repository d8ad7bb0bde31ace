"""The lens and sensor of a town's photoreal style: glare, vignette, exposure, shot noise, tone curve, sharpening."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..looks import Look
from ..photoreal import blur
from .scene import Town

SHARPEN, SOFTEN, CHROMA = 0.35, 0.45, 0.7


def town_develop(town: Town, image: Tensor, look: Look, first_frame: int) -> Tensor:
    """Linear light (F, H, W, 3) in, sRGB in [0, 1] out. No step moves a pixel."""
    frames, height, width, _ = image.shape
    planes = image.permute(0, 3, 1, 2) * (look.exposure * 2.0**town.stops)
    bright = planes.clamp(max=8)
    # Light scattered in lens and windscreen: a narrow halo around what is bright, a veil over everything.
    wide = F.avg_pool2d(bright, 8, ceil_mode=True)
    veil = F.interpolate(blur(wide, 1.6), size=(height, width), mode="bilinear", align_corners=False)
    planes = planes + 0.09 * blur((planes - 1).clamp(0, 8), 1.8) + 0.035 * veil
    y = torch.linspace(-1, 1, height)[:, None] ** 2
    x = torch.linspace(-1, 1, width)[None, :] ** 2
    planes = blur(planes, SOFTEN) / (1 + 0.16 * (x + y)) ** 2
    for frame in range(frames):
        generator = torch.Generator().manual_seed(town.seed * 100003 + first_frame + frame)
        grain = torch.randn(3, height, width, generator=generator)
        planes[frame] += look.noise * grain * (planes[frame].clamp(min=0).sqrt() * 0.9 + 0.10)
    return display(planes.clamp(min=0)).permute(0, 2, 3, 1).contiguous()


def display(planes: Tensor) -> Tensor:
    """(F, 3, H, W) exposed linear light to sRGB in [0, 1], as a small camera's processor does it.

    A filmic curve (rational fit after Narkowicz 2015) and gamma; colour at half the sharpness of brightness; edges
    sharpened.
    """
    toned = planes * (2.51 * planes + 0.03) / (planes * (2.43 * planes + 0.59) + 0.14)
    shown = toned.clamp(0, 1) ** (1 / 2.2)
    grey = (shown * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    colour = blur(shown - grey, CHROMA)
    sharp = grey + SHARPEN * (grey - blur(grey, 1.0))
    return (sharp + 1.06 * colour).clamp(0, 1)
