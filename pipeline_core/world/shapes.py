"""Convex solids and ellipsoids, and where a ray meets them.

Axes everywhere in the world: x right, y up, z forward along the street, metres.
"""

from dataclasses import dataclass, field
from math import cos, pi, sin

import torch
from torch import Tensor

NO_HIT = float("inf")


@dataclass(frozen=True)
class Solid:
    """One convex part of an object, in its own frame (origin at the ground point under its centre).

    planes: (K, 4) rows (n, d) meaning n . p <= d; an ellipsoid has no planes but `radii`.
    position: (3,) metres at time 0; yaw: radians; velocity: (3,) m/s.
    material: index into materials.MATERIALS; paint: the sRGB colour in [0, 1] that the flat style shows.
    size: (3,) half extents, used by the painted details; variant: a small integer that varies them.
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
    bound: float = field(default=0.0)

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
    t = (-b - root.clamp(min=0).sqrt()) / a
    hit = (root > 0) & (t > 1e-3)
    face = torch.zeros(t.shape, dtype=torch.long)
    return torch.where(hit, t, torch.full_like(t, NO_HIT)), face


def normal_at(solid: Solid, point: Tensor, face: Tensor) -> Tensor:
    """Unit outward normals (..., 3) in world axes at local points (..., 3) of the given faces."""
    if solid.radii is not None:
        radii = torch.tensor(solid.radii, dtype=point.dtype)
        normal = (point - torch.tensor(solid.centre, dtype=point.dtype)) / (radii * radii)
        normal = normal / normal.norm(dim=-1, keepdim=True).clamp(min=1e-9)
    else:
        normal = torch.tensor(solid.planes, dtype=point.dtype)[:, :3][face]
    return to_world(normal, solid.yaw)
