"""A driving scene from a seed: a street in blocks of 60 m, what stands on it and what moves."""

from dataclasses import dataclass, field
from math import pi
from random import Random

import torch
from torch import Tensor

from ..errors import UserError
from . import objects
from .camera import Camera
from .shapes import Solid

BLOCK = 60.0
CROSS_HALF_WIDTH = 5.0
AREAS = ("city street", "suburban street", "tree-lined avenue")
LIGHT_CYCLE = (("green", 12.0), ("yellow", 9.0), ("red", 11.0))
FASTEST, REACH = 5.0, 130.0  # m/s the ego never exceeds; metres of street the camera sees ahead


@dataclass(frozen=True)
class Light:
    """A traffic-light head facing the ego: its solid's instance id, place of its head and phase in seconds."""

    instance: int
    position: tuple[float, float, float]
    phase: float

    def state_at(self, seconds: float) -> str:
        rest = (seconds + self.phase) % sum(length for _, length in LIGHT_CYCLE)
        for state, length in LIGHT_CYCLE:
            if rest < length:
                return state
            rest -= length
        return LIGHT_CYCLE[-1][0]


@dataclass(frozen=True)
class Scene:
    """Everything that does not depend on the style. Made by `make_scene`; read-only."""

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


def make_scene(seed: int, fps: float = 24.0, length: float = 240.0, area: str | None = None) -> Scene:
    """The scene of a seed.

    fps: frames per second (affects motion per frame only); length: metres of street laid out ahead of the
    start, so a drive of T frames needs about speed * T / fps + 130; area: one of AREAS, or None for the
    seed's own choice.
    """
    if area is not None and area not in AREAS:
        raise UserError(f"area is {area!r} but must be one of {', '.join(AREAS)}: change area.")
    if not fps > 0 or not length > 0:
        raise UserError(f"fps is {fps} and length is {length} m but both must be positive: change fps or length.")
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


def drive_scene(seed: int, frames: int, fps: float = 24.0) -> Scene:
    """The scene of a seed with street enough for a drive of `frames` frames at `fps`."""
    driven = FASTEST * frames / fps if fps > 0 else 0.0  # make_scene refuses the rate in its own words
    return make_scene(seed, fps=fps, length=driven + REACH)
