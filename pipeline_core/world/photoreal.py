"""The photoreal style: textured materials under sun, sky and lamps, haze, a tone curve, a lens and a sensor."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .camera import Camera
from .looks import Look
from .materials import INDEX, MATERIALS
from .raycast import Hits, Posed, sunlit
from .scene import Scene, sun_direction
from .surfaces import Surface
from .texture import hash01, sample_noise

LAMP_STEP, LAMP_HEIGHT, LAMP_COLOUR = 24.0, 6.5, (1.0, 0.72, 0.42)


def street_light(
    scene: Scene, looks: list[Look], camera: Camera, seconds: Tensor, hits: Hits, solids: list[Posed], sample: int
) -> Tensor:
    """(F, H, W): whether the sun is free, where any of the looks has one."""
    if any(max(look.sun) > 0 for look in looks):
        return sunlit(scene, camera, seconds, hits, scene.sun(), solids)
    return torch.zeros_like(hits.depth)


def street_radiance(
    scene: Scene, looks: dict[str, Look], camera: Camera, surface: Surface, hits: Hits, light: Tensor
) -> dict[str, Tensor]:
    """Linear light (F, H, W, 3) that arrives at the lens through each ray, haze included, by style."""
    return {style: _radiance(scene, look, camera, surface, hits, light) for style, look in looks.items()}


def _radiance(scene: Scene, look: Look, camera: Camera, surface: Surface, hits: Hits, light: Tensor) -> Tensor:
    albedo = _albedo(surface, hits, look)
    irradiance = _irradiance(scene, look, camera, hits, light)
    image = albedo * irradiance
    image = image + _reflections(surface, hits, look)
    image = image + _emission(surface, look)
    sky = sky_light(hits.direction, look)
    clear = torch.exp(-look.haze * hits.depth.clamp(max=1e4))[..., None]
    image = image * clear + torch.tensor(look.horizon) * (1 - clear)
    image = torch.where((surface.material < 0)[..., None], sky, image)
    return _wet_mirror(image, surface, camera, look)


def develop(scene: Scene, image: Tensor, look: Look, first_frame: int) -> Tensor:
    """Lens and sensor: bloom, slight blur, vignette, tone curve, gamma, noise. Linear in, sRGB in [0, 1] out."""
    frames, height, width, _ = image.shape
    planes = image.permute(0, 3, 1, 2) * look.exposure
    bright = (planes - 1.0).clamp(min=0, max=6)
    planes = planes + 0.10 * blur(bright, 2.2) + 0.05 * blur(bright, 5.0)
    planes = blur(planes, 0.40)
    y = torch.linspace(-1, 1, height)[:, None] ** 2
    x = torch.linspace(-1, 1, width)[None, :] ** 2
    planes = planes * (1 - 0.10 * (x + y))
    # A filmic curve (rational fit after Narkowicz 2015), then display gamma.
    toned = planes * (2.51 * planes + 0.03) / (planes * (2.43 * planes + 0.59) + 0.14)
    shown = toned.clamp(0, 1) ** (1 / 2.2)
    for frame in range(frames):
        generator = torch.Generator().manual_seed(scene.seed * 100003 + first_frame + frame)
        grain = torch.randn(3, height, width, generator=generator)
        shown[frame] += look.noise * (0.6 + 0.8 * (1 - shown[frame])) * grain
    return shown.clamp(0, 1).permute(0, 2, 3, 1).contiguous()


def sky_light(direction: Tensor, look: Look) -> Tensor:
    """Sky radiance by elevation, with clouds that stand still in the world."""
    unit = direction / direction.norm(dim=-1, keepdim=True)
    up = unit[..., 1].clamp(min=0)
    blend = (up * 2.6).clamp(max=1).sqrt()[..., None]
    sky = torch.tensor(look.horizon) * (1 - blend) + torch.tensor(look.zenith) * blend
    reach = 1.0 / (up + 0.12)
    clouds = sample_noise(unit[..., 0] * reach * 3, unit[..., 2] * reach * 3, 12.0, 4, salt=7)
    cover = ((clouds + 0.05) * 1.4).clamp(0, 1)[..., None] * (up * 6).clamp(max=1)[..., None]
    white = torch.tensor(look.horizon) * 0.9 + 0.25 * torch.tensor(look.ambient)
    return sky * (1 - 0.55 * cover) + white * 0.55 * cover


def _albedo(surface: Surface, hits: Hits, look: Look) -> Tensor:
    """Material colour times world-anchored texture; painted things get weathered, less saturated paint."""
    material = surface.material.clamp(min=0)
    linear = surface.paint**2.2
    grey = (linear * torch.tensor([0.30, 0.59, 0.11])).sum(-1, keepdim=True)
    painted = (0.70 * linear + 0.30 * grey) * 0.62 + 0.010
    wall = (surface.material == INDEX["wall"])[..., None]
    painted = torch.where(wall, (0.45 * linear + 0.55 * grey) * 0.85 * torch.tensor([1.0, 0.95, 0.88]), painted)
    fixed = torch.tensor([m.albedo or (0.0, 0.0, 0.0) for m in MATERIALS])[material]
    own = torch.tensor([m.albedo is None for m in MATERIALS])[material]
    details = surface.glow > 0
    albedo = torch.where((own | details)[..., None], painted, fixed)
    dark_lamp = (surface.material == INDEX["light_head"]) & (surface.paint[..., 0] > 0.15) & ~details
    albedo = torch.where(dark_lamp[..., None], torch.tensor([0.05, 0.05, 0.052]), albedo)
    albedo = torch.where(surface.glass[..., None] > 0, torch.tensor([0.02, 0.022, 0.026]), albedo)
    grain = torch.tensor([m.grain for m in MATERIALS])[material]
    patches = torch.tensor([m.patches for m in MATERIALS])[material]
    # Texture coordinates lie in the surface: x-z on level ground, along-height on walls; own frame for solids.
    level = hits.normal[..., 1].abs() > 0.5
    anchor = torch.where((hits.solid >= 0)[..., None], hits.local, hits.point)
    u = torch.where(hits.normal[..., 0].abs() > 0.5, anchor[..., 2], anchor[..., 0])
    v = torch.where(level, anchor[..., 2], anchor[..., 1])
    # Far away a pixel averages many grains.
    near = 18.0 / hits.depth.clamp(min=18.0)
    texture = 1 + grain * near * sample_noise(u, v, 1.0, 5, salt=1) * 0.9
    texture = texture * (1 + patches * sample_noise(u, v, 11.0, 4, salt=2))
    albedo = albedo * texture.clamp(min=0.25)[..., None]
    if look.snow:
        cover = (look.snow * ((hits.normal[..., 1] - 0.3) * 2).clamp(0, 1) * (surface.glass == 0))[..., None]
        albedo = albedo * (1 - cover) + torch.tensor([0.74, 0.77, 0.81]) * texture.clamp(0.8, 1.1)[..., None] * cover
    soaked = 1 - 0.45 * look.wet * (level & (hits.solid < 0)).to(albedo.dtype)
    return albedo * soaked[..., None]


def _irradiance(scene: Scene, look: Look, camera: Camera, hits: Hits, light: Tensor) -> Tensor:
    sun = sun_direction(scene.sun_azimuth, look.elevation)
    facing = (hits.normal @ sun).clamp(min=0) * light
    open_sky = 0.55 + 0.45 * hits.normal[..., 1]
    total = facing[..., None] * torch.tensor(look.sun) + open_sky[..., None] * torch.tensor(look.ambient)
    # Contact darkening where walls and objects meet the ground.
    foot = torch.where(hits.solid >= 0, (hits.point[..., 1] / 0.5).clamp(0, 1), torch.ones_like(light))
    total = total * (0.65 + 0.35 * foot)[..., None]
    if look.lamps > 0:
        total = total + look.lamps * _street_lamps(scene, camera, hits)
    return total


def _street_lamps(scene: Scene, camera: Camera, hits: Hits) -> Tensor:
    """Warm pools under lamps every 24 m on both sides, and the ego's own headlights."""
    edge = scene.road_half_width + 0.5
    total = torch.zeros(hits.depth.shape)
    base = (hits.point[..., 2] / LAMP_STEP).round() * LAMP_STEP
    for side in (-1, 1):
        for step in (-1, 0, 1):
            dx = hits.point[..., 0] - side * edge
            dz = hits.point[..., 2] - (base + step * LAMP_STEP)
            dy = LAMP_HEIGHT - hits.point[..., 1]
            distance2 = dx * dx + dy * dy + dz * dz
            toward = -hits.normal[..., 0] * dx + hits.normal[..., 1] * dy - hits.normal[..., 2] * dz
            total = total + toward.clamp(min=0) / distance2.clamp(min=1.0) ** 1.5 * 9.0
    warm = total[..., None] * torch.tensor(LAMP_COLOUR)
    side_angle = hits.direction[..., 0] ** 2 + (hits.direction[..., 1] + 0.12) ** 2 * 4
    beam = torch.exp(-side_angle * 4.0) * (9.0 / hits.depth.clamp(min=4.0)) ** 1.4
    return warm + beam.clamp(max=1.5)[..., None] * torch.tensor([0.42, 0.40, 0.36])


def _reflections(surface: Surface, hits: Hits, look: Look) -> Tensor:
    """Sky seen in glass and car paint, by Schlick's Fresnel term."""
    unit = hits.direction / hits.direction.norm(dim=-1, keepdim=True)
    facing = -(unit * hits.normal).sum(-1)
    bounced = unit + 2 * facing[..., None] * hits.normal
    fresnel = 0.04 + 0.96 * (1 - facing.clamp(0, 1)) ** 5
    car = (surface.material == INDEX["car_body"]) | (surface.material == INDEX["car_cabin"])
    strength = torch.where(surface.glass > 0, 0.05 + 0.45 * fresnel, torch.where(car, 0.6 * fresnel, 0.0))
    up = (bounced[..., 1] * 3 + 0.4).clamp(0, 1)[..., None]
    seen = up * sky_light(bounced, look) + (1 - up) * torch.tensor(look.ambient) * 0.25
    return strength[..., None] * seen


def _emission(surface: Surface, look: Look) -> Tensor:
    """Lit signal lamps always; car lamps and windows as far as the look switches lamps on."""
    linear = surface.paint**2.2
    signal = surface.lamp[..., None] * linear * (1.15 / look.exposure)
    car = ((surface.glow > 0) & (surface.lamp == 0))[..., None] * linear * (0.9 * look.lamps)
    lit = (hash01((surface.window * 4096).long()) < 0.35) & (surface.window > 0)
    panes = lit[..., None] * torch.tensor([1.0, 0.75, 0.42]) * (0.28 * look.lamps)
    return signal + car + panes


def _wet_mirror(image: Tensor, surface: Surface, camera: Camera, look: Look) -> Tensor:
    """Rain on the road mirrors what stands above: the row as far over the horizon as this one is under it."""
    if look.wet == 0:
        return image
    rows = torch.arange(image.shape[1])
    mirrored = (2 * camera.horizon_row - rows).round().long().clamp(0, image.shape[1] - 1)
    reflection = blur(image[:, mirrored].permute(0, 3, 1, 2), 1.6).permute(0, 2, 3, 1)
    grazing = 1 - ((rows - camera.horizon_row).clamp(min=0) / camera.focal).clamp(max=1)
    ground = (surface.material >= 0) & (surface.material <= INDEX["sidewalk"])
    share = look.wet * ground * (0.25 + 0.6 * grazing**3)[None, :, None]
    return image * (1 - share[..., None]) + reflection * share[..., None]


def blur(planes: Tensor, sigma: float) -> Tensor:
    """Separable Gaussian blur of (F, C, H, W), edges replicated."""
    radius = max(1, int(3 * sigma + 0.5))
    taps = torch.exp(-(torch.arange(-radius, radius + 1, dtype=planes.dtype) ** 2) / (2 * sigma * sigma))
    taps = taps / taps.sum()
    channels = planes.shape[1]
    for axis in (2, 3):
        pad = (0, 0, radius, radius) if axis == 2 else (radius, radius, 0, 0)
        shape = (channels, 1, -1, 1) if axis == 2 else (channels, 1, 1, -1)
        kernel = taps.reshape(1, 1, *shape[2:]).expand(channels, 1, *((len(taps), 1) if axis == 2 else (1, len(taps))))
        planes = F.conv2d(F.pad(planes, pad, mode="replicate"), kernel, groups=channels)
    return planes
