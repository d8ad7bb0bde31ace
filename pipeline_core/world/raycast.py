"""What each ray sees first, and whether the sun reaches it.

Every solid is only tested inside the screen rectangle that can contain it (or its shadow), which is what makes a
CPU render of a street take a second and not a minute.
"""

from dataclasses import dataclass
from math import ceil, floor

import torch
from torch import Tensor

from .camera import Camera
from .scene import SKY, Scene
from .shapes import Solid, intersect, normal_at, to_local, to_world

NEAR = 0.05


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


@dataclass(frozen=True)
class Posed:
    """A solid that is drawn, by its index in the scene: its positions (F, 3), rotations (F, 3, 3) if a motion gives
    them, and the frames (F,), bool, in which it is near enough."""

    index: int
    solid: Solid
    position: Tensor
    rotation: Tensor | None
    drawn: Tensor

    def to_local(self, vectors: Tensor) -> Tensor:
        """World vectors (F, H, W, 3) in the solid's axes."""
        if self.rotation is None:
            return to_local(vectors, self.solid.yaw)
        return (vectors.flatten(1, -2) @ self.rotation).reshape(len(self.rotation), *vectors.shape[1:])

    def to_world(self, vectors: Tensor) -> Tensor:
        """The inverse of `to_local`."""
        if self.rotation is None:
            return to_world(vectors, self.solid.yaw)
        return (vectors.flatten(1, -2) @ self.rotation.transpose(1, 2)).reshape(vectors.shape)

    def corners(self) -> Tensor:
        """World positions (F, 8, 3) of the bounding box's corners."""
        corners = self.solid.corners()
        if self.rotation is None:
            return self.position[:, None, :] + to_local(corners, -self.solid.yaw)[None]
        return self.position[:, None, :] + corners @ self.rotation.transpose(1, 2)


def visible_solids(scene: Scene, camera: Camera, seconds: Tensor) -> list[Posed]:
    """Everything that is near enough to be drawn in any frame, the nearest first.

    Each frame decides for itself, so that a frame looks the same whichever others are rendered with it.
    """
    positions, rotations = scene.poses(seconds)
    drawn = scene.draws(camera, positions)
    solids = [
        Posed(index, scene.solids[index], positions[index], rotations.get(index), drawn[index])
        for index in drawn.any(dim=1).nonzero().flatten().tolist()
    ]
    distance = (positions - camera.position).norm(dim=-1).amin(dim=-1)
    return sorted(solids, key=lambda posed: float(distance[posed.index]))


def cast(
    scene: Scene,
    camera: Camera,
    seconds: Tensor,
    dx: float = 0.5,
    dy: float = 0.5,
    solids: list[Posed] | None = None,
) -> Hits:
    """Trace one ray through offset (dx, dy) of every pixel of the camera's F frames.

    solids: what `visible_solids` gives for the same camera and times, where the caller has it already.
    """
    direction = camera.rays(dx, dy)
    height, width = direction.shape[1:3]
    origin = camera.position[:, None, None, :]
    depth, solid_id, normal = scene.meet_ground(camera.position, direction)
    face = torch.zeros(depth.shape, dtype=torch.int16)
    local = torch.zeros_like(direction)
    solids = visible_solids(scene, camera, seconds) if solids is None else solids
    corners = [posed.corners() for posed in solids]
    for posed, (window, nearest) in zip(solids, _screen_windows(camera, corners, height, width), strict=True):
        if window is None:
            continue
        y0, y1, x0, x1 = window
        at = (slice(None), slice(y0, y1), slice(x0, x1))
        if float(depth[at].max()) < nearest:
            continue  # all of it lies behind what is there already
        o = posed.to_local(origin - posed.position[:, None, None, :])
        d = posed.to_local(direction[at])
        t, entered = intersect(posed.solid, o, d)
        closer = (t < depth[at]) & posed.drawn[:, None, None]
        if not bool(closer.any()):
            continue
        point = o + d * torch.where(closer, t, torch.zeros_like(t))[..., None]
        depth[at] = torch.where(closer, t, depth[at])
        solid_id[at] = torch.where(closer, posed.index, solid_id[at])
        face[at] = torch.where(closer, entered.to(torch.int16), face[at])
        local[at] = torch.where(closer[..., None], point, local[at])
        outward = posed.to_world(normal_at(posed.solid, point, entered))
        normal[at] = torch.where(closer[..., None], outward, normal[at])
    seen = torch.where(torch.isinf(depth), torch.full_like(depth, 4000.0), depth)
    return Hits(depth, solid_id, face, origin + direction * seen[..., None], local, normal, direction)


def sunlit(
    scene: Scene,
    camera: Camera,
    seconds: Tensor,
    hits: Hits,
    sun: Tensor,
    solids: list[Posed] | None = None,
) -> Tensor:
    """(F, H, W) 1 where a ray towards the sun is free, 0 in shadow or facing away. solids: as for `cast`."""
    lit = ((hits.normal @ sun) > 0) & (hits.solid != SKY)
    height, width = lit.shape[1:]
    start = hits.point + hits.normal * 0.02
    solids = visible_solids(scene, camera, seconds) if solids is None else solids
    solids = [posed for posed in solids if posed.solid.casts_shadow]
    hulls = []
    for posed in solids:
        corners = posed.corners()
        hulls.append(torch.cat([corners, corners - sun * ((corners[..., 1:2] - scene.lowest) / sun[1])], dim=1))
    for posed, (window, _) in zip(solids, _screen_windows(camera, hulls, height, width), strict=True):
        if window is None:
            continue
        y0, y1, x0, x1 = window
        at = (slice(None), slice(y0, y1), slice(x0, x1))
        # Only what is still lit can fall into shadow, and it is often little of the window.
        frames, rows, columns = (lit[at] & posed.drawn[:, None, None]).nonzero(as_tuple=True)
        rows, columns = rows + y0, columns + x0
        o = start[frames, rows, columns] - posed.position[frames]
        if posed.rotation is None:
            o, towards = to_local(o, posed.solid.yaw), to_local(sun, posed.solid.yaw)
        else:
            turned = posed.rotation[frames]
            o, towards = torch.einsum("nj,njk->nk", o, turned), torch.einsum("j,njk->nk", sun, turned)
        t, _ = intersect(posed.solid, o, towards)
        lit[frames, rows, columns] = torch.isinf(t)
    return (lit | (hits.solid == SKY)).to(torch.float32)


Window = tuple[int, int, int, int]


def _screen_windows(camera: Camera, hulls: list[Tensor], height: int, width: int) -> list[tuple[Window | None, float]]:
    """For the points (F, P, 3) of each of some hulls: rows and columns (y0, y1, x0, x1) that cover the hull in all
    frames, or None if it is out of view, and the least depth of any point."""
    if not hulls:
        return []
    count, (frames, points, _) = len(hulls), hulls[0].shape
    pixels, depth = camera.project(torch.stack(hulls, dim=1).reshape(frames, count * points, 3))
    pixels, depth = pixels.reshape(frames, count, points, 2), depth.reshape(frames, count, points)
    low, high = pixels.amin(dim=(0, 2)).tolist(), pixels.amax(dim=(0, 2)).tolist()
    nearest, farthest = depth.amin(dim=(0, 2)).tolist(), depth.amax(dim=(0, 2)).tolist()
    windows = []
    for i in range(count):
        if farthest[i] <= NEAR:
            windows.append((None, nearest[i]))
            continue
        if nearest[i] <= NEAR:
            front = pixels[:, i][depth[:, i] > NEAR]
            cut = torch.cat([front, _cut_at_near_plane(camera, hulls[i], depth[:, i])]).reshape(-1, 2)
            low[i], high[i] = cut.amin(dim=0).tolist(), cut.amax(dim=0).tolist()
        # A hull can project to anywhere: keep within the screen before rounding to whole numbers.
        x0, x1 = (min(max(v, -2.0), width + 2.0) for v in (low[i][0], high[i][0]))
        y0, y1 = (min(max(v, -2.0), height + 2.0) for v in (low[i][1], high[i][1]))
        x0, x1 = max(0, floor(x0) - 1), min(width, ceil(x1) + 2)
        y0, y1 = max(0, floor(y0) - 1), min(height, ceil(y1) + 2)
        windows.append(((y0, y1, x0, x1) if x0 < x1 and y0 < y1 else None, nearest[i]))
    return windows


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
