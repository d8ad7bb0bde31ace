"""A town from a seed: version 2 of the world, behind the interface of `world.scene.Scene`."""

from dataclasses import dataclass, field
from functools import cached_property
from math import cos, pi, sin
from random import Random

import torch
from torch import Tensor

from ..camera import Camera
from ..objects import LANE
from ..scene import AREAS, BACKDROP, GROUND, SKY, Light
from ..shapes import NO_HIT, Solid
from .facts import town_facts
from .layout import CROSS_HALF_WIDTH, Builder
from .motion import Drive
from .people import Figure, poses_of
from .route import SWING_LENGTH, Route, make_route
from .terrain import Terrain, make_terrain
from .traffic import add_traffic

# Corners of the street and metres from the middle of town to a typical one.
MAP_SIZES = {"small": (6, 105.0), "large": (11, 230.0)}
CAMERA_HEIGHT = 1.5
SHAKE = (0.0022, 1.3)  # radians and Hz of the car's nodding


@dataclass(frozen=True)
class Town:
    """Everything that does not depend on the style. Made by `make_scene(seed, version=2)`; read-only.

    ego: how the camera's car drives; crossings: pairs (s, whether it has signals); sun_azimuth, sun_elevation: radians,
    in the world; lamps: places of street lamps; stops: the camera's exposure error in photographic stops.
    """

    seed: int
    area: str
    lanes: int
    fps: float
    map_size: str
    route: Route
    terrain: Terrain
    ego: Drive
    sun_azimuth: float
    sun_elevation: float
    cloudiness: float
    stops: float
    crossings: tuple[tuple[float, bool], ...]
    solids: tuple[Solid, ...]
    lights: tuple[Light, ...]
    figures: tuple[Figure, ...]
    lamps: tuple[tuple[float, float, float], ...]
    objects: tuple[dict, ...] = field(default=())
    version = 2

    @property
    def road_half_width(self) -> float:
        return self.lanes * LANE

    @property
    def lowest(self) -> float:
        """Height of the lowest ground a shadow can fall on."""
        return -self.terrain.highest

    @cached_property
    def facts(self) -> dict:
        """What a caption may tell; see `town_facts`."""
        return town_facts(self)

    def sun(self) -> Tensor:
        """Unit vector (3,) towards the sun."""
        up = self.sun_elevation
        return torch.tensor([sin(self.sun_azimuth) * cos(up), sin(up), cos(self.sun_azimuth) * cos(up)])

    def camera(self, frames: Tensor, height: int, width: int) -> Camera:
        """Ego poses at the given global frame numbers, which need not be whole."""
        seconds = frames.to(torch.float32) / self.fps
        position, rotation = self.ego.pose_at(seconds)
        nod = SHAKE[0] * torch.sin(2 * pi * SHAKE[1] * seconds + self.seed)
        right, up, forward = rotation.unbind(-1)
        c, s = torch.cos(nod)[:, None], torch.sin(nod)[:, None]
        rotation = torch.stack([right, c * up - s * forward, c * forward + s * up], dim=-1)
        yaw = torch.atan2(forward[:, 0], forward[:, 2])
        return Camera(position + CAMERA_HEIGHT * up, yaw, height, width, rotation)

    def poses(self, seconds: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
        """Positions (N, F, 3) of all solids, and rotations (F, 3, 3) by index of those that a motion carries."""
        positions = torch.tensor([s.position for s in self.solids])[:, None].repeat(1, len(seconds), 1)
        carried = {index: solid.motion for index, solid in enumerate(self.solids) if solid.motion is not None}
        poses, rotations = poses_of(set(carried.values()), seconds), {}
        for index, motion in carried.items():
            positions[index], rotations[index] = poses[motion]
        return positions, rotations

    def draws(self, camera: Camera, positions: Tensor) -> Tensor:
        """(N, F) bool: which of the solids at positions (N, F, 3) are near enough, for their size, to be drawn, and in
        view or so close by that their shadow may be."""
        reach = torch.tensor([max(s.size) for s in self.solids])[:, None]
        top = torch.tensor([s.centre[1] + s.size[1] if s.motion is None else 3.2 for s in self.solids])[:, None]
        rel = positions - camera.position
        ahead, aside = (rel * camera.rotation[..., 2]).sum(-1), (rel * camera.rotation[..., 0]).sum(-1).abs()
        margin = reach + torch.where(top > 0.3, (top / self.sun()[1]).clamp(max=40.0), torch.zeros_like(top))
        distance = (75 * reach).clamp(70, 350)
        return (ahead > -margin) & (ahead < distance) & (aside < 0.75 * ahead.clamp(min=0) + margin)

    def meet_ground(self, position: Tensor, direction: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What rays (F, H, W, 3) from position (F, 3) meet behind all solids: depth, kind and normals.

        The kind is GROUND, BACKDROP or SKY.
        """
        origin = position[:, None, None].expand(direction.shape)
        normal = torch.zeros_like(direction)
        normal[..., 1] = 1.0
        depth = torch.full(direction.shape[:-1], NO_HIT)
        what = torch.full(depth.shape, SKY, dtype=torch.int32)
        # Steeper rays than this leave the hills below them and can meet neither ground nor rim.
        low = (direction[..., 1] < 0.25).nonzero(as_tuple=True)
        o, d = origin[low], direction[low]
        ground = self.terrain.meet(o, d)
        on_ground = torch.isfinite(ground)
        point = o + d * torch.where(on_ground, ground, 0.0)[:, None]
        met, surface = ground, self.terrain.normal(point[:, 0], point[:, 2])
        kind = torch.where(on_ground, GROUND, SKY).to(torch.int32)
        past = (~on_ground).nonzero().flatten()
        rim = self.terrain.to_rim(o[past], d[past])
        x, y, z = (o[past] + d[past] * rim[:, None]).unbind(-1)
        wall = y < torch.maximum(*self.terrain.outline(x, z))
        met[past] = torch.where(wall, rim, NO_HIT)
        kind[past] = torch.where(wall, BACKDROP, SKY).to(torch.int32)
        surface[past] = torch.stack([-x, 0 * x, -z], dim=-1) / self.terrain.rim
        depth[low], what[low], normal[low] = met, kind, surface
        return depth, what, normal

    def joints_at(self, frames: Tensor) -> dict[int, Tensor]:
        """World positions (F, J, 3) of the joints `people.JOINTS` of everybody, by instance."""
        seconds = frames.to(torch.float32) / self.fps
        return {figure.instance: figure.joints_at(seconds) for figure in self.figures}


def make_town(seed: int, fps: float, area: str | None, map_size: str) -> Town:
    """The town of a seed; see `world.make_scene`."""
    rng = Random(f"{seed}/town")
    chosen = rng.choice(AREAS)
    area = area or chosen
    lanes = rng.choice((1, 1, 2))
    corners, size = MAP_SIZES[map_size]
    route = make_route(rng, corners, size, tightest=13.0 + 3.5 * lanes)
    route, crossings = _features(rng, route)
    terrain = make_terrain(rng, rim=1.3 * size + 140.0)
    speed = rng.uniform(3.0, 6.5)
    start = _start(rng, route, crossings)
    weave = (rng.uniform(0.0, 0.2), rng.uniform(0.03, 0.08), rng.uniform(0, 2 * pi))
    ego = Drive(route, terrain, start, speed, LANE / 2, weave=weave)
    heading = route.place(start, 0.0)[2]
    sun_azimuth = heading + rng.choice((-1, 1)) * rng.uniform(0.12, 0.9) * pi
    sun_elevation = rng.uniform(24.0, 60.0) * pi / 180
    cloudiness, stops = rng.uniform(0.0, 1.0), rng.gauss(0.0, 0.22)
    builder = Builder(seed, area, lanes, route, terrain, crossings)
    builder.furnish()
    add_traffic(builder, ego)
    return Town(
        seed, area, lanes, fps, map_size, route, terrain, ego, sun_azimuth, sun_elevation, cloudiness, stops,
        crossings, tuple(builder.solids), tuple(Light(**light) for light in builder.lights), tuple(builder.figures),
        tuple(builder.lamps), tuple(builder.objects),
    )  # fmt: skip


def _features(rng: Random, route: Route) -> tuple[Route, tuple[tuple[float, bool], ...]]:
    """Roundabouts and crossings on the straights that have room for them."""
    roundabouts, crossings = [], []
    for piece in route.pieces[::2]:
        low, high = piece.start + 4, piece.start + piece.length - 4
        if high - low > 2 * SWING_LENGTH and rng.random() < 0.4:
            roundabouts.append((low + high) / 2)
        elif high - low > 2 * CROSS_HALF_WIDTH + 16:
            count = 2 if high - low > 90 else 1
            for number in range(count):
                middle = low + (number + rng.uniform(0.4, 0.6)) * (high - low) / count
                crossings.append((middle, rng.random() < 0.7))
    return Route(route.pieces, tuple(roundabouts)), tuple(crossings)


def _start(rng: Random, route: Route, crossings: tuple) -> float:
    """Mostly a little before a crossing, a roundabout or a bend, so that a short clip has something to show."""
    kinds = (
        [s - CROSS_HALF_WIDTH - rng.uniform(6, 22) for s, _ in crossings],
        [s - rng.uniform(4, 36) for s in route.roundabouts],
        [piece.start - rng.uniform(-0.5 * piece.length, 12) for piece in route.pieces[1::2]],
    )
    ahead = rng.choice([places for places in kinds if places])
    return rng.choice(ahead) % route.length if rng.random() < 0.85 else rng.uniform(0, route.length)
