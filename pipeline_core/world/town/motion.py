"""How the things of a town move: frames (poses) at given times, always on the ground they stand on.

A pose is a position (F, 3) and a rotation (F, 3, 3) whose columns are the thing's right, up and forward in the world.
Everything is computed in float64 and given as float32.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

from .route import Route
from .terrain import Terrain

Pose = tuple[Tensor, Tensor]


def level_pose(terrain: Terrain, x: Tensor, z: Tensor, heading: Tensor, lift: float = 0.0) -> Pose:
    """Standing upright on the ground at x, z (..., F), facing `heading`."""
    c, s, zero = torch.cos(heading), torch.sin(heading), torch.zeros_like(heading)
    right, up = torch.stack([c, zero, -s], dim=-1), torch.stack([zero, zero + 1, zero], dim=-1)
    forward = torch.stack([s, zero, c], dim=-1)
    position = torch.stack([x, terrain.height(x, z) + lift, z], dim=-1)
    return position.float(), torch.stack([right, up, forward], dim=-1).float()


def sloped_pose(terrain: Terrain, x: Tensor, z: Tensor, heading: Tensor, lift: float = 0.0) -> Pose:
    """Standing square on the ground at x, z (..., F), as something on wheels does."""
    up = terrain.normal(x, z)
    flat = torch.stack([torch.sin(heading), torch.zeros_like(heading), torch.cos(heading)], dim=-1)
    rise = -(flat * up).sum(-1) / up[..., 1]
    forward = flat + torch.stack([torch.zeros_like(rise), rise, torch.zeros_like(rise)], dim=-1)
    forward = forward / forward.norm(dim=-1, keepdim=True)
    right = torch.linalg.cross(up, forward)
    position = torch.stack([x, terrain.height(x, z), z], dim=-1) + lift * up
    return position.float(), torch.stack([right, up, forward], dim=-1).float()


@dataclass(frozen=True)
class LaneChange:
    """A move of `metres` to the right between `begin` and `begin + seconds`, without a jerk."""

    begin: float
    seconds: float
    metres: float

    def at(self, time: Tensor) -> tuple[Tensor, Tensor]:
        """Metres moved and metres per second."""
        u = ((time - self.begin) / self.seconds).clamp(0, 1)
        return self.metres * u * u * (3 - 2 * u), self.metres * 6 * u * (1 - u) / self.seconds


@dataclass(frozen=True, eq=False)
class Drive:
    """Along the street: s = start + speed t, `offset` metres right of the centreline (which turns aside at
    roundabouts), plus lane changes and a slow weave (amplitude m, rate Hz, phase). A negative speed drives against s.

    surge: the same three along s; burst: extra speed, and until which second; upright: on feet and not on wheels.
    """

    route: Route
    terrain: Terrain
    start: float
    speed: float
    offset: float
    changes: tuple[LaneChange, ...] = ()
    weave: tuple[float, float, float] = (0.0, 0.0, 0.0)
    surge: tuple[float, float, float] = (0.0, 0.0, 0.0)
    burst: tuple[float, float] = (0.0, 0.0)
    upright: bool = False

    def pose_at(self, seconds: Tensor) -> Pose:
        """Pose at each of the F times."""
        return drive_poses([self], seconds)[self]

    def track(self, seconds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x, z and heading (F,) in float64."""
        return tuple(value[0] for value in _tracks([self], seconds))

    def driven(self, seconds: Tensor) -> Tensor:
        """s (F,) in float64, not wrapped."""
        return _driven([self], seconds)[0]


def drive_poses(drives: list[Drive], seconds: Tensor) -> dict[Drive, Pose]:
    """The poses of many drives through one town, at once."""
    poses = {}
    for upright, standing in ((False, sloped_pose), (True, level_pose)):
        some = [drive for drive in drives if drive.upright == upright]
        if some:
            position, rotation = standing(some[0].terrain, *_tracks(some, seconds))
            poses |= {drive: (position[i], rotation[i]) for i, drive in enumerate(some)}
    return poses


def _column(drives: list[Drive], value: Callable[[Drive], float]) -> Tensor:
    return torch.tensor([[value(drive)] for drive in drives], dtype=torch.float64)


def _driven(drives: list[Drive], seconds: Tensor) -> Tensor:
    time = seconds.double()[None]
    amplitude, rate, phase = (_column(drives, lambda d, i=i: d.surge[i]) for i in range(3))
    extra, until = (_column(drives, lambda d, i=i: d.burst[i]) for i in range(2))
    ahead = _column(drives, lambda d: d.start) + _column(drives, lambda d: d.speed) * time
    return ahead + extra * torch.minimum(time, until) + amplitude * torch.sin(2 * pi * rate * time + phase)


def _tracks(drives: list[Drive], seconds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """x, z and heading, (M, F) in float64."""
    time, route = seconds.double()[None], drives[0].route
    speed, offset = _column(drives, lambda d: d.speed), _column(drives, lambda d: d.offset)
    amplitude, rate, phase = (_column(drives, lambda d, i=i: d.weave[i]) for i in range(3))
    angle = 2 * pi * rate * time + phase
    d, drift = offset + amplitude * torch.sin(angle), amplitude * 2 * pi * rate * torch.cos(angle)
    for row, drive in enumerate(drives):
        for change in drive.changes:
            moved, pace = change.at(time[0])
            d[row], drift[row] = d[row] + moved, drift[row] + pace
    s = _driven(drives, seconds)
    aside, slope = route.swing(s)
    side = torch.where(offset > 0, 1.0, -1.0).double()
    d, drift = d + side * aside, drift + side * slope * speed
    x, z, heading, curvature = route.at(s, d)
    return x, z, heading + torch.atan2(drift, speed * (1 - curvature * d))


@dataclass(frozen=True, eq=False)
class Parked:
    """Standing on its wheels."""

    terrain: Terrain
    x: float
    z: float
    heading: float

    def pose_at(self, seconds: Tensor) -> Pose:
        """Pose at each of the F times, all the same."""
        values = (torch.full((len(seconds),), v, dtype=torch.float64) for v in (self.x, self.z, self.heading))
        return sloped_pose(self.terrain, *values)


@dataclass(frozen=True, eq=False)
class Walk:
    """On foot from (x, z) at `speed` m/s towards `heading`, straight on."""

    terrain: Terrain
    x: float
    z: float
    heading: float
    speed: float

    def pose_at(self, seconds: Tensor) -> Pose:
        """Pose at each of the F times."""
        gone, heading = self.speed * seconds.double(), torch.full((len(seconds),), self.heading, dtype=torch.float64)
        return level_pose(self.terrain, self.x + gone * torch.sin(heading), self.z + gone * torch.cos(heading), heading)
