"""What each ray sees first, and whether the sun reaches it.

Every solid is only tested inside the screen rectangle that can contain it (or its shadow), which is what makes a
CPU render of a street take a second and not a minute.
"""

from dataclasses import dataclass
from math import ceil, cos, floor, radians, sin

import torch
from torch import Tensor

from .camera import Camera
from .scene import Scene
from .shapes import NO_HIT, Solid, intersect, normal_at, to_local

FAR = 125.0
NEAR = 0.05
GROUND = -1
SKY = -2


@dataclass(frozen=True)
class Hits:
    """The first surface behind each ray of F frames.

    depth (F, H, W) metres along the camera axis (inf in the sky); solid (F, H, W) index into scene.solids, or
    GROUND or SKY; face (F, H, W) index of the entered plane; point (F, H, W, 3) world metres; local (F, H, W, 3)
    the same point in the solid's own frame; normal (F, H, W, 3) unit, world; direction (F, H, W, 3) the rays.
    """

    depth: Tensor
    solid: Tensor
    face: Tensor
    point: Tensor
    local: Tensor
    normal: Tensor
    direction: Tensor


def visible_solids(scene: Scene, camera: Camera, seconds: Tensor) -> list[tuple[int, Solid, Tensor, Tensor]]:
    """Index, solid, positions (F, 3) and frames (F,), bool, of everything that is near enough to be drawn in any frame.

    Each frame decides for itself, so that a frame looks the same whichever others are rendered with it.
    """
    near_z, far_z = camera.position[:, 2] - 25.0, camera.position[:, 2] + FAR
    found = []
    for index, solid in enumerate(scene.solids):
        position = solid.position_at(seconds)
        reach = max(solid.size)
        frames = (position[:, 2] + reach >= near_z) & (position[:, 2] - reach <= far_z)
        if bool(frames.any()):
            found.append((index, solid, position, frames))
    return found


def cast(scene: Scene, camera: Camera, seconds: Tensor, dx: float = 0.5, dy: float = 0.5) -> Hits:
    """Trace one ray through offset (dx, dy) of every pixel of the camera's F frames."""
    direction = camera.rays(dx, dy)
    frames, height, width, _ = direction.shape
    origin = camera.position[:, None, None, :]
    down = -direction[..., 1]
    depth = torch.where(down > 1e-6, origin[..., 1] / down.clamp(min=1e-6), torch.full_like(down, NO_HIT))
    beyond = depth > 4000.0
    depth = torch.where(beyond, torch.full_like(depth, NO_HIT), depth)
    solid_id = torch.where(beyond, SKY, GROUND).to(torch.int32)
    face = torch.zeros(depth.shape, dtype=torch.int16)
    normal = torch.zeros_like(direction)
    normal[..., 1] = 1.0
    local = torch.zeros_like(direction)
    for index, solid, position, drawn in visible_solids(scene, camera, seconds):
        window = _screen_window(camera, _world_corners(solid, position), height, width)
        if window is None:
            continue
        y0, y1, x0, x1 = window
        at = (slice(None), slice(y0, y1), slice(x0, x1))
        o = to_local(origin - position[:, None, None, :], solid.yaw)
        d = to_local(direction[at], solid.yaw)
        t, entered = intersect(solid, o, d)
        closer = (t < depth[at]) & drawn[:, None, None]
        if not bool(closer.any()):
            continue
        point = o + d * torch.where(closer, t, torch.zeros_like(t))[..., None]
        depth[at] = torch.where(closer, t, depth[at])
        solid_id[at] = torch.where(closer, index, solid_id[at])
        face[at] = torch.where(closer, entered.to(torch.int16), face[at])
        local[at] = torch.where(closer[..., None], point, local[at])
        normal[at] = torch.where(closer[..., None], normal_at(solid, point, entered), normal[at])
    seen = torch.where(torch.isinf(depth), torch.full_like(depth, 4000.0), depth)
    return Hits(depth, solid_id, face, origin + direction * seen[..., None], local, normal, direction)


def sun_direction(azimuth: float, elevation_degrees: float) -> Tensor:
    """Unit vector (3,) towards the sun; azimuth 0 is ahead along the street, pi/2 to the right."""
    up = radians(elevation_degrees)
    return torch.tensor([sin(azimuth) * cos(up), sin(up), cos(azimuth) * cos(up)])


def sunlit(scene: Scene, camera: Camera, seconds: Tensor, hits: Hits, sun: Tensor) -> Tensor:
    """(F, H, W) 1 where a ray towards the sun is free, 0 in shadow; surfaces facing away are 0."""
    light = ((hits.normal @ sun) > 0).to(torch.float32)
    light = torch.where(hits.solid == SKY, torch.ones_like(light), light)
    height, width = light.shape[1:]
    start = hits.point + hits.normal * 0.02
    for _, solid, position, drawn in visible_solids(scene, camera, seconds):
        if not solid.casts_shadow:
            continue
        corners = _world_corners(solid, position)
        foot = corners - sun * (corners[..., 1:2] / sun[1])
        window = _screen_window(camera, torch.cat([corners, foot], dim=1), height, width)
        if window is None:
            continue
        y0, y1, x0, x1 = window
        at = (slice(None), slice(y0, y1), slice(x0, x1))
        o = to_local(start[at] - position[:, None, None, :], solid.yaw)
        t, _ = intersect(solid, o, to_local(sun, solid.yaw))
        light[at] = torch.where(torch.isinf(t) | ~drawn[:, None, None], light[at], torch.zeros_like(t))
    return light


def _world_corners(solid: Solid, position: Tensor) -> Tensor:
    corners = to_local(solid.corners(), -solid.yaw)
    return position[:, None, :] + corners[None]


def _screen_window(camera: Camera, corners: Tensor, height: int, width: int) -> tuple[int, int, int, int] | None:
    """Rows and columns (y0, y1, x0, x1) that cover the corners' hull in all frames, or None if out of view."""
    pixels, depth = camera.project(corners)
    front = depth > NEAR
    if not bool(front.any()):
        return None
    if not bool(front.all()):
        pixels = torch.cat([pixels[front], _cut_at_near_plane(camera, corners, depth)])
    pixels = pixels.reshape(-1, 2)
    low, high = pixels.amin(dim=0), pixels.amax(dim=0)
    x0, x1 = max(0, floor(float(low[0])) - 1), min(width, ceil(float(high[0])) + 2)
    y0, y1 = max(0, floor(float(low[1])) - 1), min(height, ceil(float(high[1])) + 2)
    return (y0, y1, x0, x1) if x0 < x1 and y0 < y1 else None


def _cut_at_near_plane(camera: Camera, corners: Tensor, depth: Tensor) -> Tensor:
    """Pixels (N, 2) where lines from corners in front of the near plane to those behind it meet it.

    With the corners in front they span what is visible of the hull; not only its edges are cut, but every such line.
    corners (F, P, 3), depth (F, P) metres along the axis.
    """
    above, below = (depth - NEAR)[:, :, None], (depth - NEAR)[:, None, :]
    crossing = (above > 0) & (below <= 0)
    share = above / (above - below).clamp(min=1e-9)
    points = corners[:, :, None] + share[..., None] * (corners[:, None] - corners[:, :, None])
    return camera.project(points)[0][crossing]
