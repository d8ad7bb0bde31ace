"""A driving scene from a seed: a street in blocks of 60 m, what stands on it and what moves."""

from dataclasses import dataclass, field
from math import cos, pi, radians, sin
from random import Random

import torch
from torch import Tensor

from . import objects, tags
from .camera import Camera
from .shapes import NO_HIT, Solid

BLOCK = 60.0
CROSS_HALF_WIDTH = 5.0
AREAS = ("city street", "suburban street", "tree-lined avenue")
LIGHT_CYCLE = (("green", 12.0), ("yellow", 9.0), ("red", 11.0))
SUN_ELEVATION = 58.0  # degrees
FAR = 125.0  # metres ahead at which things are drawn
GROUND, SKY, BACKDROP = -1, -2, -3  # what a ray meets where it meets no solid


def sun_direction(azimuth: float, elevation_degrees: float) -> Tensor:
    """Unit vector (3,) towards the sun; azimuth 0 is ahead along the street, pi/2 to the right."""
    up = radians(elevation_degrees)
    return torch.tensor([sin(azimuth) * cos(up), sin(up), cos(azimuth) * cos(up)])


@dataclass(frozen=True)
class Light:
    """A traffic-light head facing the ego: its solid's instance id, place of its head, phase in seconds and yaw."""

    instance: int
    position: tuple[float, float, float]
    phase: float
    yaw: float = 0.0

    def state_at(self, seconds: float) -> str:
        rest = (seconds + self.phase) % sum(length for _, length in LIGHT_CYCLE)
        for state, length in LIGHT_CYCLE:
            if rest < length:
                return state
            rest -= length
        return LIGHT_CYCLE[-1][0]


@dataclass(frozen=True)
class Scene:
    """Everything that does not depend on the style. Made by `make_scene(seed)`; read-only."""

    seed: int
    area: str
    lanes: int
    fps: float
    speed: float
    start: float
    weave: tuple[float, float, float]
    sun_azimuth: float
    crossings: tuple[float, ...]
    solids: tuple[Solid, ...]
    lights: tuple[Light, ...]
    objects: tuple[dict, ...] = field(default=())

    version = 1
    lowest = 0.0  # height of the lowest ground a shadow falls on

    @property
    def facts(self) -> dict:
        """What a caption may tell: countable facts that a captioning model would also see in the first seconds."""
        near, far = self.start, self.start + 60.0

        def count(tag: int) -> int:
            return len({s.instance for s in self.solids if s.tag == tag and near < s.position[2] < far})

        return {
            "area": self.area,
            "lanes": self.lanes,
            "cars": count(tags.CAR),
            "people": count(tags.PEDESTRIAN),
            "lights": count(tags.TRAFFIC_LIGHT),
            "sun": "right" if sin(self.sun_azimuth) > 0 else "left",
            "sun_ahead": abs(self.sun_azimuth) < pi / 2,
        }

    def sun(self) -> Tensor:
        """Unit vector (3,) towards the sun."""
        return sun_direction(self.sun_azimuth, SUN_ELEVATION)

    @property
    def road_half_width(self) -> float:
        return self.lanes * objects.LANE

    def camera(self, frames: Tensor, height: int, width: int) -> Camera:
        """Ego poses at the given global frame numbers."""
        seconds = frames.to(torch.float32) / self.fps
        amplitude, rate, phase = self.weave
        angle = 2 * pi * rate * seconds + phase
        x = objects.LANE / 2 + amplitude * torch.sin(angle)
        z = self.start + self.speed * seconds
        yaw = torch.atan(amplitude * 2 * pi * rate * torch.cos(angle) / self.speed)
        position = torch.stack([x, torch.full_like(x, 1.5), z], dim=-1)
        return Camera(position, yaw, height, width)

    def joints_at(self, frames: Tensor) -> dict[int, Tensor]:
        """The people of a street have no joints."""
        return {}

    def poses(self, seconds: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
        """Positions (N, F, 3) of all solids, and rotations (F, 3, 3) by index of those that are not only turned by
        their yaw: here none."""
        start, velocity = (torch.tensor([getattr(s, k) for s in self.solids]) for k in ("position", "velocity"))
        return start[:, None] + seconds[:, None] * velocity[:, None], {}

    def draws(self, camera: Camera, positions: Tensor) -> Tensor:
        """(N, F) bool: which of the solids at positions (N, F, 3) are near enough to be drawn."""
        reach = torch.tensor([max(s.size) for s in self.solids])[:, None]
        near_z, far_z = camera.position[:, 2] - 25.0, camera.position[:, 2] + FAR
        return (positions[..., 2] + reach >= near_z) & (positions[..., 2] - reach <= far_z)

    def meet_ground(self, position: Tensor, direction: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What rays (F, H, W, 3) from position (F, 3) meet behind all solids; see `meet_level`."""
        return meet_level(position, direction)


def meet_level(position: Tensor, direction: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What rays (F, H, W, 3) from position (F, 3) meet of the plane y = 0: depth, GROUND or SKY, and normals."""
    down = -direction[..., 1]
    height = position[:, None, None, 1]
    depth = torch.where(down > 1e-6, height / down.clamp(min=1e-6), torch.full_like(down, NO_HIT))
    beyond = depth > 4000.0
    depth = torch.where(beyond, torch.full_like(depth, NO_HIT), depth)
    normal = torch.zeros_like(direction)
    normal[..., 1] = 1.0
    return depth, torch.where(beyond, SKY, GROUND).to(torch.int32), normal


def make_street(seed: int, fps: float, length: float, area: str | None) -> Scene:
    """The street of a seed; see `world.make_scene`."""
    rng = Random(seed)
    chosen = rng.choice(AREAS)
    area = area or chosen
    lanes = rng.choice((1, 1, 2))
    speed = rng.uniform(2.0, 4.5)
    weave = (rng.uniform(0.0, 0.25), rng.uniform(0.03, 0.08), rng.uniform(0, 2 * pi))
    sun_azimuth = rng.choice((-1, 1)) * rng.uniform(0.25, 0.75) * pi  # 0 is ahead, pi/2 to the right
    start = BLOCK / 2 - CROSS_HALF_WIDTH - rng.uniform(6.0, 22.0)
    builder = objects.Builder(seed, area, lanes)
    crossings = []
    for block in range(-1, int(length // BLOCK) + 2):
        first = block * BLOCK
        builder.begin(f"block {block}", first_instance=1000 * (block + 2))
        share = {-1: 0.0, 0: 0.85}.get(block, 0.5)
        crossing = first + BLOCK / 2 if builder.rng.random() < share else None
        if crossing is not None:
            crossings.append(crossing)
        builder.block(first, first + BLOCK, crossing, CROSS_HALF_WIDTH)
    builder.traffic(start, start + length, speed)
    return Scene(
        seed,
        area,
        lanes,
        fps,
        speed,
        start,
        weave,
        sun_azimuth,
        tuple(crossings),
        tuple(builder.solids),
        tuple(Light(**light) for light in builder.lights),
        tuple(builder.objects),
    )
