"""Convex solids and ellipsoids, and where a ray meets them.

Axes everywhere in the world: x right, y up, z forward along the street, metres.
"""

from dataclasses import dataclass
from math import cos, log, pi, sin
from typing import Protocol

import torch
from torch import Tensor

from .texture import sample_noise

NO_HIT = float("inf")
BOX_NORMALS = torch.tensor([[-1.0, 0, 0], [1, 0, 0], [0, -1, 0], [0, 1, 0], [0, 0, -1], [0, 0, 1]])


class Motion(Protocol):
    """What carries a solid; hashable."""

    def pose_at(self, seconds: Tensor) -> tuple[Tensor, Tensor]:
        """Position (F, 3) and rotation (F, 3, 3), columns right, up and forward in the world, at each of F times."""


@dataclass(frozen=True)
class Solid:
    """One convex part of an object, in its own frame (origin at the ground point under its centre).

    planes: (K, 4) rows (n, d) meaning n . p <= d; an ellipsoid has no planes but `radii`. Without either it is, by
    `centre` and `size`, a box, or if `round` a cylinder along x.
    position: (3,) metres at time 0; yaw: radians; velocity: (3,) m/s.
    material: index into materials.MATERIALS; paint: the sRGB colour in [0, 1] that the flat style shows.
    size: (3,) half extents, used by the painted details; variant: a small integer that varies them.
    motion: where given, it alone says where the solid is and how it is turned: position, yaw and velocity are idle.
    holes: share of an ellipsoid's shell that is missing, as between leaves; text: what is written on it.
    """

    position: tuple[float, float, float]
    material: int
    tag: int
    instance: int
    paint: tuple[float, float, float]
    size: tuple[float, float, float]
    planes: tuple[tuple[float, float, float, float], ...] = ()
    radii: tuple[float, float, float] | None = None
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
    yaw: float = 0.0
    velocity: tuple[float, float, float] = (0.0, 0.0, 0.0)
    variant: int = 0
    casts_shadow: bool = True
    round: bool = False
    motion: Motion | None = None
    holes: float = 0.0
    text: str = ""

    def position_at(self, seconds: Tensor) -> Tensor:
        """World position (F, 3) at each of the F times."""
        start = torch.tensor(self.position, dtype=seconds.dtype)
        return start + seconds[:, None] * torch.tensor(self.velocity, dtype=seconds.dtype)

    def corners(self) -> Tensor:
        """(8, 3) corners of the bounding box in the solid's frame."""
        half = torch.tensor(self.size)
        signs = torch.tensor([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])
        return torch.tensor(self.centre) + signs * half


def box_planes(centre: tuple, half: tuple) -> tuple:
    """Six planes of an axis-aligned box: order -x, +x, -y, +y, -z, +z."""
    rows = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            normal = [0.0, 0.0, 0.0]
            normal[axis] = sign
            rows.append((*normal, sign * centre[axis] + half[axis]))
    return tuple(rows)


def tapered_planes(centre: tuple, half: tuple, front: float, back: float, side: float) -> tuple:
    """A box whose front, back and side faces lean inwards: slopes are metres of lean over the full height."""
    height = 2 * half[1]
    rows = []
    for axis, sign, lean in ((0, -1.0, side), (0, 1.0, side), (2, -1.0, back), (2, 1.0, front)):
        normal = torch.zeros(3)
        normal[axis], normal[1] = sign * height, lean
        normal = normal / normal.norm()
        foot = torch.tensor(centre, dtype=torch.float32)
        foot[axis] += sign * half[axis]
        foot[1] -= half[1]
        rows.append((*normal.tolist(), float(normal @ foot)))
    rows += [(0.0, -1.0, 0.0, -(centre[1] - half[1])), (0.0, 1.0, 0.0, centre[1] + half[1])]
    return tuple(rows)


def gable_planes(centre: tuple, half: tuple) -> tuple:
    """A roof with its ridge along z."""
    slope = torch.tensor([2 * half[1], half[0]])
    slope = (slope / slope.norm()).tolist()
    foot = centre[1] - half[1]
    rows = [
        (-slope[0], slope[1], 0.0, -slope[0] * (centre[0] - half[0]) + slope[1] * foot),
        (slope[0], slope[1], 0.0, slope[0] * (centre[0] + half[0]) + slope[1] * foot),
        (0.0, -1.0, 0.0, -foot),
        (0.0, 0.0, -1.0, -(centre[2] - half[2])),
        (0.0, 0.0, 1.0, centre[2] + half[2]),
    ]
    return tuple(rows)


def prism_planes(centre: tuple, radius: float, thickness: float, sides: int, turn: float) -> tuple:
    """A regular prism lying in the x-y plane and `thickness` deep in z: signs are 3- or 12-sided."""
    inner = radius * cos(pi / sides)
    rows = []
    for k in range(sides):
        angle = turn + 2 * pi * k / sides
        normal = (sin(angle), cos(angle), 0.0)
        rows.append((*normal, normal[0] * centre[0] + normal[1] * centre[1] + inner))
    half = thickness / 2
    rows += [(0.0, 0.0, -1.0, -(centre[2] - half)), (0.0, 0.0, 1.0, centre[2] + half)]
    return tuple(rows)


def to_local(vectors: Tensor, yaw: float) -> Tensor:
    """Rotate world vectors (..., 3) into a frame turned by `yaw` about the y axis."""
    if yaw == 0.0:
        return vectors
    c, s = cos(yaw), sin(yaw)
    x, y, z = vectors.unbind(-1)
    return torch.stack([c * x - s * z, y, s * x + c * z], dim=-1)


def to_world(vectors: Tensor, yaw: float) -> Tensor:
    """The inverse of `to_local`."""
    return to_local(vectors, -yaw)


def intersect(solid: Solid, origin: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Nearest entry of rays into a solid, both in its own frame.

    origin (..., 3) broadcasts against direction (..., 3). Returns t (...) in units of |direction| (inf for a
    miss, for rays that start inside, and behind the origin) and the index of the plane that was entered.
    """
    if solid.radii is not None:
        return _intersect_ellipsoid(solid, origin, direction)
    if not solid.planes:
        return (_intersect_cylinder if solid.round else _intersect_box)(solid, origin, direction)
    planes = torch.tensor(solid.planes, dtype=direction.dtype)
    along = direction @ planes[:, :3].T
    gap = planes[:, 3] - origin @ planes[:, :3].T
    tiny = torch.where(along.abs() < 1e-9, torch.full_like(along, 1e-9), along)
    t = gap / tiny
    entering = along < 0
    near, face = torch.where(entering, t, torch.full_like(t, -NO_HIT)).max(dim=-1)
    far = torch.where(entering, torch.full_like(t, NO_HIT), t).amin(dim=-1)
    hit = (near < far) & (near > 1e-3)
    return torch.where(hit, near, torch.full_like(near, NO_HIT)), face


def _intersect_ellipsoid(solid: Solid, origin: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    radii = torch.tensor(solid.radii, dtype=direction.dtype)
    o = (origin - torch.tensor(solid.centre, dtype=direction.dtype)) / radii
    d = direction / radii
    a = (d * d).sum(-1)
    b = (o * d).sum(-1)
    c = (o * o).sum(-1) - 1.0
    root = b * b - a * c
    width = root.clamp(min=0).sqrt()
    t = (-b - width) / a
    hit = (root > 0) & (t > 1e-3)
    if solid.holes:
        t, hit = _through_holes(solid, origin, direction, t, (-b + width) / a, hit)
    face = torch.zeros(t.shape, dtype=torch.long)
    return torch.where(hit, t, torch.full_like(t, NO_HIT)), face


def _intersect_box(solid: Solid, origin: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """The slab method; faces are numbered as in `box_planes`."""
    half = torch.tensor(solid.size, dtype=direction.dtype)
    inverse = 1 / torch.where(direction.abs() < 1e-9, torch.full_like(direction, 1e-9), direction)
    middle = (torch.tensor(solid.centre, dtype=direction.dtype) - origin) * inverse
    reach = inverse.abs() * half
    near, axis = (middle - reach).max(dim=-1)
    hit = (near < (middle + reach).amin(dim=-1)) & (near > 1e-3)
    face = 2 * axis + (direction.expand(*axis.shape, 3).gather(-1, axis[..., None])[..., 0] < 0)
    return torch.where(hit, near, NO_HIT), face


def _intersect_cylinder(solid: Solid, origin: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """A cylinder along x of radius size[1]: faces 0 and 1 are its -x and +x ends, 2 its mantle."""
    (half, radius, _), (cx, cy, cz) = solid.size, solid.centre
    ox, oy, oz = (part - c for part, c in zip(origin.unbind(-1), (cx, cy, cz), strict=True))
    dx, dy, dz = direction.unbind(-1)
    inverse = 1 / torch.where(dx.abs() < 1e-9, torch.full_like(dx, 1e-9), dx)
    end = -ox * inverse - inverse.abs() * half
    a, b, c = dy * dy + dz * dz, oy * dy + oz * dz, oy * oy + oz * oz - radius * radius
    root = b * b - a * c
    width, a = root.clamp(min=0).sqrt(), a.clamp(min=1e-9)
    near = torch.maximum(end, (-b - width) / a)
    far = torch.minimum(-ox * inverse + inverse.abs() * half, (-b + width) / a)
    hit = (root > 0) & (near < far) & (near > 1e-3)
    face = torch.where(near > end, 2, (dx < 0).long())
    return torch.where(hit, near, NO_HIT), face


def _through_holes(
    solid: Solid, origin: Tensor, direction: Tensor, near: Tensor, far: Tensor, hit: Tensor
) -> tuple[Tensor, Tensor]:
    """Let rays through the holes of a shell: to its far side, or out through a hole there too."""
    t, stopped = near.clone(), hit.clone()
    origin, direction = origin.expand(*t.shape, 3), direction.expand(*t.shape, 3)
    for side in (near, far):
        open_rays = hit if side is near else hit & ~stopped
        o, d, there = origin[open_rays], direction[open_rays], side[open_rays]
        x, y, z = (o + d * there[:, None]).unbind(-1)
        leaves = sample_noise(0.8 * x + 0.6 * z, y + 0.4 * (z - x), 5.0, 3, salt=21)
        # Noise with a standard deviation of 0.5, cut at the logistic quantile, which is close enough to its own.
        solid_there = leaves > 0.28 * log(solid.holes / (1 - solid.holes))
        t[open_rays] = there
        stopped[open_rays] = solid_there
    return t, stopped


def normal_at(solid: Solid, point: Tensor, face: Tensor) -> Tensor:
    """Unit outward normals (..., 3) in the solid's axes at local points (..., 3) of the given faces."""
    if solid.radii is not None:
        radii = torch.tensor(solid.radii, dtype=point.dtype)
        normal = (point - torch.tensor(solid.centre, dtype=point.dtype)) / (radii * radii)
        normal = normal / normal.norm(dim=-1, keepdim=True).clamp(min=1e-9)
    elif solid.planes:
        normal = torch.tensor(solid.planes, dtype=point.dtype)[:, :3][face]
    elif solid.round:
        around = (point - torch.tensor(solid.centre, dtype=point.dtype)) * torch.tensor([0.0, 1.0, 1.0]) / solid.size[1]
        ends = torch.tensor([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])[face]
        normal = torch.where((face == 2)[..., None], around, ends)
    else:
        normal = BOX_NORMALS[face]
    return normal
