"""The photoreal style of a town: light that arrives at the lens from sun, sky and lamps, off what stands there."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import tags
from ..camera import Camera
from ..looks import Look
from ..materials import INDEX
from ..raycast import Hits, Posed, sunlit
from ..scene import GROUND
from ..surfaces import Surface
from ..texture import hash01, sample_noise
from .scene import Town
from .sky import mirrored, sky_light
from .textures import Spots, albedo

LAMP_COLOUR, HEADLIGHT = (1.0, 0.70, 0.40), (0.50, 0.48, 0.44)
SLANTS = ((0.55, 0.35), (-0.55, -0.35))  # the two directions, besides straight up, that open sky is tested in

SOFT_SHADOWS = 30.0  # metres within which they are looked for


def town_light(
    town: Town, looks: list[Look], camera: Camera, seconds: Tensor, hits: Hits, solids: list[Posed], sample: int
) -> Tensor:
    """(F, H, W, 2): whether the sun is free, and whether the sky is, as far as vehicles go: each of the two
    samples of a pixel tests another direction, which makes the shadow under a car soft."""
    sun = torch.zeros_like(hits.depth)
    if any(max(look.sun) > 0 for look in looks):
        sun = sunlit(town, camera, seconds, hits, town.sun(), solids)
    east, north = SLANTS[sample % 2]
    up = torch.tensor([east, 1.0, north])
    near = [
        posed
        for posed in solids
        if posed.solid.material == INDEX["car_body"]
        and posed.solid.tag != tags.BICYCLE
        and float((posed.position[0] - camera.position[0]).norm()) < SOFT_SHADOWS
    ]
    sky = sunlit(town, camera, seconds, hits, up / up.norm(), near)
    level = (hits.solid == GROUND) | (hits.normal @ up > 0)
    return torch.stack([sun, torch.where(level, sky, torch.ones_like(sky))], dim=-1)


def town_radiance(
    town: Town, looks: dict[str, Look], camera: Camera, surface: Surface, hits: Hits, light: Tensor
) -> dict[str, Tensor]:
    """Linear light (F, H, W, 3) through each ray, by style."""
    seen = (surface.material >= 0).nonzero(as_tuple=True)
    sky = (surface.material < 0).nonzero(as_tuple=True)
    spots = _spots(town, surface, hits, seen)
    unit = F.normalize(spots.direction, dim=-1)
    sky_unit = F.normalize(hits.direction[sky], dim=-1)
    dry, light = albedo(town, spots), light[seen]
    result = {}
    for style, look in looks.items():
        matter = _weather(dry, spots, look)
        radiance = matter * _irradiance(town, look, camera, spots, light, seen[0])
        radiance = radiance + _sheen(town, look, spots, unit, light) + _emission(look, spots)
        clear = torch.exp(-look.haze * spots.depth)[:, None]
        level = F.normalize(unit * torch.tensor([1.0, 0.0, 1.0]) + torch.tensor([0.0, 1e-3, 0.0]), dim=-1)
        radiance = radiance * clear + sky_light(town, look, level, clouds=False) * (1 - clear)
        image = torch.empty_like(hits.direction)
        image[seen], image[sky] = radiance, sky_light(town, look, sky_unit)
        result[style] = _wet_mirror(image, surface, hits, camera, look) if look.wet else image
    return result


def _spots(town: Town, surface: Surface, hits: Hits, seen: tuple) -> Spots:
    solid = hits.solid[seen].long()
    variants = torch.tensor([s.variant for s in town.solids])
    material, normal, local = surface.material[seen], hits.normal[seen], hits.local[seen]
    panels = ((material == INDEX["car_body"]) | (material == INDEX["car_cabin"])).nonzero().flatten()
    # Panels are curved where the solids are flat: upwards above the waist, downwards below it, outwards to the ends.
    middle, bend = torch.tensor([0.0, 0.75, 0.0]), torch.tensor([0.14, 0.50, 0.10])
    bulge = ((local[panels] - middle) * bend).clamp(-0.3, 0.3) * (normal[panels].abs() < 0.8)
    normal[panels] = F.normalize(normal[panels] + bulge, dim=-1)
    return Spots(
        material, surface.paint[seen], solid, normal, hits.point[seen], local, hits.depth[seen],
        hits.direction[seen], surface.street[seen], surface.glass[seen], surface.glow[seen], surface.window[seen],
        surface.lamp[seen], variants[solid.clamp(min=0)],
    )  # fmt: skip


def _weather(dry: Tensor, spots: Spots, look: Look) -> Tensor:
    """Wet ground is darker; snow lies on what faces up, thinner where wheels and feet go."""
    level = spots.normal[:, 1] > 0.5
    if look.wet:
        dry = dry * (1 - 0.5 * look.wet * (level & (spots.solid < 0)).float())[:, None]
    if look.snow:
        e = spots.street[:, 1]
        road = (spots.solid == GROUND) & (spots.material <= INDEX["yellow_line"]) & (e.abs() < 40)
        drift = sample_noise(spots.point[:, 0], spots.point[:, 2], 6.0, 5, salt=31)
        track = torch.exp(-((((torch.remainder(e, 3.4) - 1.7).abs() - 0.8) / 0.45) ** 2))
        cover = torch.where(road, 0.66 - 0.60 * track + 0.30 * drift, 1.0 + 0.2 * drift)
        cover = cover * ((spots.normal[:, 1] - 0.25) * 2.2).clamp(0, 1) * (spots.glass == 0)
        leaves = spots.material == INDEX["canopy"]
        cover = (look.snow * torch.where(leaves, 0.7 * cover, cover)).clamp(0, 1)[:, None]
        white = torch.tensor([0.74, 0.77, 0.81]) * (1 + 0.06 * drift[:, None])
        dry = dry * (1 - cover) + white * cover
    return dry


def _irradiance(town: Town, look: Look, camera: Camera, spots: Spots, light: Tensor, frames: Tensor) -> Tensor:
    """Light on each spot: sun where it is free; sky by how far the surface faces it, less at the foot of things, under
    cars and inside crowns; what the sunlit ground throws back; lamps."""
    facing = (spots.normal @ town.sun()).clamp(min=0) * light[:, 0]
    leaves = spots.material == INDEX["canopy"]
    facing = torch.where(leaves, 0.25 + 0.75 * facing, facing) * (light[:, 0] * 0.8 + 0.2 * (~leaves))
    up = spots.normal[:, 1]
    open_sky = 0.52 + 0.48 * up
    foot = torch.where(spots.solid >= 0, (spots.local[:, 1] / 1.1).clamp(0, 1), 1.0)
    open_sky = open_sky * (0.45 + 0.55 * foot) * (0.25 + 0.75 * light[:, 1])
    sun, ambient = torch.tensor(look.sun), torch.tensor(look.ambient)
    bounce = (0.5 - 0.5 * up)[:, None] * 0.10 * (sun * 0.6 + ambient)
    total = facing[:, None] * sun + open_sky[:, None] * ambient + bounce
    return total + look.lamps * _lamps(town, camera, spots, frames) if look.lamps else total


def _lamps(town: Town, camera: Camera, spots: Spots, frames: Tensor) -> Tensor:
    """Warm pools under the street lamps in view, and the ego's own headlights."""
    total = torch.zeros_like(spots.depth)
    places = torch.tensor(town.lamps)
    pixels, depth = camera.project(places.expand(len(camera.position), -1, 3))
    in_view = (depth > 0) & (depth < 80) & ((pixels[..., 0] / camera.width - 0.5).abs() < 1.5)
    for x, y, z in places[(in_view | (depth.abs() < 20)).any(0)].tolist():
        dx, dy, dz = x - spots.point[:, 0], y - spots.point[:, 1], z - spots.point[:, 2]
        distance2 = dx * dx + dy * dy + dz * dz
        toward = spots.normal[:, 0] * dx + spots.normal[:, 1] * dy + spots.normal[:, 2] * dz
        total = total + toward.clamp(min=0) / distance2.clamp(min=1.0) ** 1.5 * (dy > 0) * 12.0
    rel = torch.einsum("nj,njk->nk", spots.direction, camera.rotation[frames])
    beam = torch.exp(-(rel[:, 0] ** 2 * 4.0 + (rel[:, 1] + 0.14) ** 2 * 26.0))
    beam = (beam * (11.0 / spots.depth.clamp(min=4.0)) ** 1.5).clamp(max=1.6)
    return total[:, None] * torch.tensor(LAMP_COLOUR) + beam[:, None] * torch.tensor(HEADLIGHT)


def _sheen(town: Town, look: Look, spots: Spots, unit: Tensor, light: Tensor) -> Tensor:
    """Mirror images in glass and clear coat by Schlick's Fresnel term, and the sun's own highlight."""
    car = (spots.material == INDEX["car_body"]) | (spots.material == INDEX["car_cabin"])
    at = (car | (spots.glass > 0)).nonzero().flatten()
    result = torch.zeros_like(spots.point)
    if not len(at):
        return result
    normal = spots.normal[at]
    facing = -(unit[at] * normal).sum(-1)
    bounced = unit[at] + 2 * facing[:, None] * normal
    fresnel = 0.045 + 0.955 * (1 - facing.clamp(0, 1)) ** 5
    strength = torch.where(spots.glass[at] > 0, 0.06 + 0.94 * fresnel, 0.9 * fresnel + 0.02)
    seen = mirrored(town, look, bounced)
    if max(look.sun) > 0:
        spark = (bounced @ town.sun()).clamp(min=0) ** 350 * light[at, 0]
        seen = seen + 14.0 * spark[:, None] * torch.tensor(look.sun)
    result[at] = strength[:, None] * seen
    return result


def _emission(look: Look, spots: Spots) -> Tensor:
    """Lit signal lamps always; car lamps and windows as far as the look switches lamps on."""
    linear = spots.paint**2.2
    signal = spots.lamp[:, None] * linear * (1.2 / look.exposure)
    if not look.lamps:
        return signal
    car = ((spots.glow > 0) & (spots.lamp == 0))[:, None] * linear * (1.5 * look.lamps)
    lit = (hash01((spots.window * 4096).long()) < 0.35) & (spots.window > 0)
    panes = lit[:, None] * torch.tensor([1.0, 0.72, 0.40]) * (0.30 * look.lamps)
    arm = (spots.material == INDEX["pole"]) & (spots.local[:, 0] < -1.2) & (spots.local[:, 1] > 6.3)
    return signal + car + panes + arm[:, None] * torch.tensor(LAMP_COLOUR) * (3.0 * look.lamps)


def _wet_mirror(image: Tensor, surface: Surface, hits: Hits, camera: Camera, look: Look) -> Tensor:
    """Wet ground shows what the mirrored ray would meet far away, smeared; more in puddles and at grazing angles."""
    flipped = hits.direction * torch.tensor([1.0, -1.0, 1.0])
    pixels, _ = camera.project(camera.position[:, None, None] + 1000.0 * flipped)
    grid = 2 * pixels / torch.tensor([camera.width, camera.height]) - 1
    planes = F.avg_pool2d(image.permute(0, 3, 1, 2), (5, 3), stride=1, padding=(2, 1), count_include_pad=False)
    reflection = F.grid_sample(planes, grid, padding_mode="border", align_corners=False).permute(0, 2, 3, 1)
    ground = (hits.solid == GROUND) & (surface.material != INDEX["grass"])
    steep = (-F.normalize(hits.direction, dim=-1)[..., 1]).clamp(0, 1)
    fresnel = 0.08 + 0.92 * (1 - steep) ** 4
    puddles = sample_noise(hits.point[..., 0], hits.point[..., 2], 15.0, 4, salt=32)
    share = (look.wet * ground * fresnel * (0.75 + 0.8 * puddles).clamp(0.1, 1.5)).clamp(0, 1)[..., None]
    return image * (1 - share) + reflection * share
