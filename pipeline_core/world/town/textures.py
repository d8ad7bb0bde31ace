"""What a town's materials look like close up: albedo (linear RGB) from paint, wear, joints, bricks, leaves and grain.

All of it is anchored in the world or in the thing it lies on, so it moves as they do.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..materials import INDEX, MATERIALS
from ..objects import LANE
from ..texture import hash01, sample_noise
from .scene import Town

LUMA = (0.30, 0.59, 0.11)


@dataclass(frozen=True)
class Spots:
    """N places that are not sky, and what is known of each: see `Hits` and `Surface`."""

    material: Tensor
    paint: Tensor
    solid: Tensor
    normal: Tensor
    point: Tensor
    local: Tensor
    depth: Tensor
    direction: Tensor
    street: Tensor
    glass: Tensor
    glow: Tensor
    window: Tensor
    lamp: Tensor
    variant: Tensor


def albedo(town: Town, spots: Spots) -> Tensor:
    """(N, 3) linear reflectance in the dry."""
    material = spots.material
    linear = spots.paint**2.2
    grey = (linear * torch.tensor(LUMA)).sum(-1, keepdim=True)
    result = (0.72 * linear + 0.28 * grey) * 0.60 + 0.008
    fixed = torch.tensor([m.albedo or (0.0, 0.0, 0.0) for m in MATERIALS])[material]
    own = torch.tensor([m.albedo is None for m in MATERIALS])[material] | (spots.glow > 0)
    bare = (material == INDEX["light_head"]) | (material == INDEX["tyre"])
    result = torch.where((own | bare & (spots.paint[:, 0] > 0.15))[:, None], result, fixed)
    dark_lamp = (material == INDEX["light_head"]) & (spots.paint[:, 0] > 0.15) & (spots.glow == 0)
    result = torch.where(dark_lamp[:, None], torch.tensor([0.05, 0.05, 0.052]), result)
    # Two scales of noise serve all materials. Far away a pixel averages many grains.
    u, v = _plane(spots)
    near = (14.0 / spots.depth).clamp(max=1.0)
    fine = sample_noise(u, v, 2.0, 5, salt=1)
    broad = sample_noise(u, v, 13.0, 4, salt=2)
    grain = torch.tensor([m.grain for m in MATERIALS])[material]
    patches = torch.tensor([m.patches for m in MATERIALS])[material]
    result = result * ((1 + 1.3 * grain * near * fine) * (1 + 1.2 * patches * broad)).clamp(min=0.3)[:, None]
    for name, painter in PAINTERS.items():
        at = (material == INDEX[name]).nonzero().flatten()
        if len(at):
            result[at] = painter(result[at], spots, at, fine[at], broad[at], near[at])
    return torch.where(spots.glass[:, None] > 0, torch.tensor([0.014, 0.016, 0.019]), result)


def _plane(spots: Spots) -> tuple[Tensor, Tensor]:
    """Coordinates in metres within the surface: x-z on the level, along-height on walls; own frame on solids."""
    level = spots.normal[:, 1].abs() > 0.5
    anchor = torch.where((spots.solid >= 0)[:, None], spots.local, spots.point)
    u = torch.where(spots.local[:, 0].abs() > spots.local[:, 2].abs(), anchor[:, 2], anchor[:, 0])
    return torch.where(level, anchor[:, 0], u), torch.where(level, anchor[:, 2], anchor[:, 1])


def _asphalt(colour: Tensor, spots: Spots, at: Tensor, fine: Tensor, broad: Tensor, near: Tensor) -> Tensor:
    """Polished wheel tracks, an oily strip between them, mended patches, seams and cracks."""
    s, e = spots.street[at].unbind(-1)
    across = torch.remainder(e, LANE) - LANE / 2
    on_road = (e.abs() < 40).float()
    track = torch.exp(-(((across.abs() - 0.80) / 0.28) ** 2))
    oil = torch.exp(-((across / 0.35) ** 2))
    tone = 1 + on_road * (0.16 * track - 0.22 * oil * (0.7 + 0.6 * broad))
    slab = (s / 7.0).floor() * 31 + (e / (LANE / 2)).floor()
    patched = hash01(slab.long()) < 0.13
    tone = torch.where(patched & (on_road > 0), tone * 0.62, tone)
    seam = (torch.remainder(s, 21.0) < 0.07) | ((e + 0.12).abs() < 0.03)
    crack = (broad + 0.06 * fine).abs() < 0.010
    dark = (seam | crack).float() * on_road * near
    return colour * (tone * (1 - 0.42 * dark))[:, None]


def _line(colour: Tensor, spots: Spots, at: Tensor, fine: Tensor, broad: Tensor, near: Tensor) -> Tensor:
    """Paint that wheels have worn down to the road."""
    worn = ((0.9 * fine * near + 0.9 * broad - 0.25) * 2.2).clamp(0, 0.75)[:, None]
    return colour * (1 - worn) * 0.86 + 0.075 * worn


def _sidewalk(colour: Tensor, spots: Spots, at: Tensor, fine: Tensor, broad: Tensor, near: Tensor) -> Tensor:
    """Slabs of their own shade with dark joints, and stains."""
    s, e = spots.street[at].unbind(-1)
    inside = e.abs() < 200
    u, v = torch.where(inside, s, spots.point[at, 0]) / 1.5, torch.where(inside, e, spots.point[at, 2]) / 1.1
    shade = 0.84 + 0.32 * hash01(u.floor().long(), v.floor().long())
    joint = ((torch.remainder(u, 1.0) < 0.035) | (torch.remainder(v, 1.0) < 0.045)).float() * near
    return colour * (shade * (1 - 0.45 * joint) * (1 + 0.25 * broad.clamp(max=0)))[:, None]


def _grass(colour: Tensor, spots: Spots, at: Tensor, fine: Tensor, broad: Tensor, near: Tensor) -> Tensor:
    """Blades in light and shade, and dry patches."""
    dry = (0.35 + 0.8 * broad).clamp(0, 1)[:, None]
    colour = colour * (1 - dry) + colour.mean(-1, keepdim=True) * torch.tensor([1.75, 1.30, 0.62]) * dry
    return colour * (1 + 0.55 * near * fine).clamp(min=0.35)[:, None]


def _canopy(colour: Tensor, spots: Spots, at: Tensor, fine: Tensor, broad: Tensor, near: Tensor) -> Tensor:
    """Clumps of leaves that shade each other; trees differ in hue."""
    x, y, z = spots.local[at].unbind(-1)
    clumps = sample_noise(0.8 * x + 0.6 * z, y + 0.3 * z, 3.1, 4, salt=23)
    leaves = fine * (0.35 + 0.65 * near)
    hue = hash01(spots.solid[at].long() // 3)[:, None]
    tint = torch.tensor([0.72, 0.80, 0.75]) + hue * torch.tensor([0.40, 0.16, 0.12])
    return colour * tint * (0.80 + 0.60 * clumps + 0.75 * leaves).clamp(0.10, 1.9)[:, None]


def _far_trees(colour: Tensor, spots: Spots, at: Tensor, fine: Tensor, broad: Tensor, near: Tensor) -> Tensor:
    """Crowns against crowns: their tops catch light."""
    azimuth = torch.atan2(spots.point[at, 0], spots.point[at, 2])
    crowns = sample_noise(azimuth * 180, spots.point[at, 1], 16.0, 4, salt=24)
    return colour * (0.9 + 0.9 * crowns).clamp(0.25, 2.0)[:, None]


def _hill(colour: Tensor, spots: Spots, at: Tensor, fine: Tensor, broad: Tensor, near: Tensor) -> Tensor:
    """Dry slopes with scattered scrub."""
    azimuth = torch.atan2(spots.point[at, 0], spots.point[at, 2])
    scrub = sample_noise(azimuth * 120, spots.point[at, 1] * 1.5, 24.0, 5, salt=25) > 0.1
    return torch.where(scrub[:, None], torch.tensor([0.045, 0.055, 0.026]), colour * torch.tensor([1.5, 1.25, 0.95]))


def _wall(colour: Tensor, spots: Spots, at: Tensor, fine: Tensor, broad: Tensor, near: Tensor) -> Tensor:
    """Brick or plaster in faded colours, streaked by rain and grimy at the foot."""
    local, variant = spots.local[at], spots.variant[at]
    linear = spots.paint[at] ** 2.2
    grey = (linear * torch.tensor(LUMA)).sum(-1, keepdim=True)
    framed = (spots.paint[at, 0] > 0.91) & (spots.paint[at, 1] > 0.89) & (spots.paint[at, 2] < 0.87)
    faded = (0.27 * linear + 0.73 * grey) * 0.58 * torch.tensor([1.04, 0.97, 0.87]) + 0.02
    u, y = torch.where(spots.normal[at, 0].abs() > 0.5, local[:, 2], local[:, 0]), local[:, 1]
    row = (y / 0.19).floor()
    column = u / 0.5 + 0.5 * torch.remainder(row, 2)
    mortar = ((torch.remainder(y / 0.19, 1.0) < 0.16) | (torch.remainder(column, 1.0) < 0.07)).float()
    shade = 0.72 + 0.5 * hash01(column.floor().long(), row.long())
    brick = (0.30 * faded + torch.tensor([0.16, 0.075, 0.05])) * (1 + near * (shade - 0.97))[:, None]
    brick = brick * (1 - 0.75 * (near * mortar)[:, None]) + 0.17 * (near * mortar)[:, None]
    colour = torch.where(((variant == 1) & ~framed)[:, None], brick, faded)
    streaks = sample_noise(u, y * 0.08, 9.0, 4, salt=26)
    grime = 0.75 + 0.25 * (y / 2.2).clamp(0, 1)
    return colour * (grime * (1 + 0.22 * streaks + 0.10 * fine * near + 0.10 * broad))[:, None]


def _roof(colour: Tensor, spots: Spots, at: Tensor, fine: Tensor, broad: Tensor, near: Tensor) -> Tensor:
    """Rows of tiles."""
    row = torch.remainder(spots.local[at, 1] / 0.22, 1.0)
    return colour * (1 - 0.35 * near * (row < 0.22).float() + 0.2 * broad)[:, None]


PAINTERS = {
    "asphalt": _asphalt,
    "line": _line,
    "yellow_line": _line,
    "sidewalk": _sidewalk,
    "plaza": _sidewalk,
    "grass": _grass,
    "canopy": _canopy,
    "far_trees": _far_trees,
    "hill": _hill,
    "wall": _wall,
    "roof": _roof,
}
