"""A studio scene from a seed and a kind, behind the interface of `world.scene.Scene`."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import cos, pi, radians, sin
from random import Random

import torch
from torch import Tensor

from ...errors import UserError
from ..camera import Camera
from ..materials import INDEX
from ..scene import SKY, Light, meet_level
from ..shapes import NO_HIT, Solid
from .cycle import Cycle
from .motions import MOTIONS
from .paths import Path
from .performer import Performer, Segment, body_solids, segment_pose
from .sets import FLOOR_TAGS, FLOORS, SetBuilder

KINDS = ("people", "orbit", "turn", "layers")
ASSETS = ("low", "high")
SWEEPS = (90.0, 180.0, 270.0, 360.0)  # degrees
BACKDROPS = {
    "green": (0.10, 0.70, 0.25), "blue": (0.12, 0.30, 0.85), "grey": (0.50, 0.50, 0.50), "white": (0.95, 0.95, 0.95),
    "black": (0.04, 0.04, 0.04), "magenta": (0.85, 0.15, 0.75),
}  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """Everything that does not depend on the style. Made by `make_stage`; read-only.

    path: the camera's; floor: one of FLOORS; disc: metres to the floor's edge; backdrop: the name of the plain colour
    behind a foreground, None where there is a floor and a sky; lamps, cloudiness, stops: as of a `town.scene.Town`.
    """

    seed: int
    kind: str
    fps: float
    frames: int
    path: Path
    floor: str
    disc: float
    backdrop: str | None
    sun_azimuth: float
    sun_elevation: float
    cloudiness: float
    stops: float
    solids: tuple[Solid, ...]
    performers: tuple[Performer, ...]
    lamps: tuple[tuple[float, float, float], ...]
    objects: tuple[dict, ...]

    lowest = 0.0
    lights: tuple[Light, ...] = ()

    def sun(self) -> Tensor:
        """Unit vector (3,) towards the sun."""
        up = self.sun_elevation
        return torch.tensor([sin(self.sun_azimuth) * cos(up), sin(up), cos(self.sun_azimuth) * cos(up)])

    def camera(self, frames: Tensor, height: int, width: int) -> Camera:
        """Poses at the given frame numbers, which need not be whole."""
        return self.path.camera(frames, height, width)

    def poses(self, seconds: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
        """Positions (N, F, 3) of all solids, and rotations (F, 3, 3) by index of those that a motion carries."""
        positions = torch.tensor([s.position for s in self.solids])[:, None].repeat(1, len(seconds), 1)
        posed, rotations = {performer: performer.posed(seconds) for performer in self.performers}, {}
        for index, solid in enumerate(self.solids):
            motion = solid.motion
            if isinstance(motion, Segment):
                positions[index], rotations[index] = segment_pose(posed[motion.performer], motion.index)
            elif motion is not None:
                positions[index], rotations[index] = motion.pose_at(seconds)
        return positions, rotations

    def draws(self, camera: Camera, positions: Tensor) -> Tensor:
        """(N, F) bool: everything is near enough to be drawn."""
        return torch.ones(positions.shape[:2], dtype=torch.bool)

    def meet_ground(self, position: Tensor, direction: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What rays (F, H, W, 3) from position (F, 3) meet behind all solids: the floor, or before a backdrop
        nothing."""
        depth, what, normal = meet_level(position, direction)
        if self.backdrop is None:
            return depth, what, normal
        return torch.full_like(depth, NO_HIT), torch.full_like(what, SKY), normal

    def ground(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Material and class (N,) of places on the floor, and (N, 2) far from any street."""
        inner, outer, _ = FLOORS[self.floor]
        inside = torch.hypot(x, z) < self.disc
        material = torch.where(inside, INDEX[inner], INDEX[outer])
        tag = torch.where(inside, FLOOR_TAGS[inner], FLOOR_TAGS[outer])
        return material, tag, torch.full((*x.shape, 2), 1e4)

    def joints_at(self, frames: Tensor) -> dict[int, Tensor]:
        """World positions (F, 17, 3) of COCO's keypoints of everybody, by instance."""
        seconds = frames.to(torch.float32) / self.fps
        return {performer.instance: performer.keypoints(seconds) for performer in self.performers}


def make_stage(
    seed: int,
    kind: str,
    frames: int = 49,
    fps: float = 24.0,
    assets: str = "high",
    motions: Iterable[str] = tuple(MOTIONS),
    sweep: float | None = None,
) -> Stage:
    """The studio scene of a seed.

    kind: "people" in large motion before a camera that mostly stands; "orbit": round a group of things; "turn": on the
    spot amid them; "layers": a foreground on a plain colour. frames: that the camera's path is spread over. assets: how
    detailed things are, "low" or "high". motions: names of MOTIONS to draw from. sweep: degrees of an orbit or turn, up
    to 360, None for the seed's own. UserError for anything else.
    """
    motions = tuple(motions)
    _check(kind, frames, fps, assets, motions, sweep)
    rng = Random(f"{seed}/studio/{kind}")
    builder = SetBuilder(Random(f"{seed}/studio/{kind}/set"), assets == "high")
    backdrop, disc = None, rng.uniform(9.0, 12.0)
    angle = radians(rng.choice(SWEEPS) if sweep is None else sweep) * rng.choice((-1, 1))
    start, performers = rng.uniform(0, 2 * pi), []
    if kind == "people":
        performers = _people(builder, motions, rng.choice((1, 1, 1, 2)), start, frames / fps)
        builder.ring(15.0, 10)
        slow = radians(rng.uniform(10, 40)) * rng.choice((-1, 0, 0, 1))
        spread = 1.0 + 0.5 * len(performers)
        path = Path((0.0, 0.95, 0.0), 3.6 + spread, rng.uniform(1.0, 1.7), start, slow, frames)
    elif kind == "orbit":
        builder.group()
        builder.ring(15.0, 12)
        rise = rng.choice((0.0, 0.0, rng.uniform(-0.8, 1.5)))
        path = Path((0.0, 0.9, 0.0), rng.uniform(7.0, 9.0), rng.uniform(1.6, 2.8), start, angle, frames, rise)
    elif kind == "turn":
        builder.around(5.0, 9.0, 7)
        builder.ring(15.0, 12)
        path = Path((0.0, 1.5, 0.0), 0.0, rng.uniform(1.4, 1.8), start, angle, frames, pitch=rng.uniform(-0.06, 0.02))
    else:
        backdrop = rng.choice(tuple(BACKDROPS))
        builder.lamps += [(3.0, 5.0, 3.0), (-3.0, 5.0, -3.0)]
        if rng.random() < 0.6:
            performers = _people(builder, motions, 1, start, frames / fps)
            path = Path((0.0, 0.95, 0.0), rng.uniform(4.0, 5.0), rng.uniform(1.0, 1.6), start, 0.0, frames)
        else:
            getattr(builder, rng.choice(("car", "crates", "sculpture", "tree")))(0.0, 0.0)
            turned = radians(rng.choice((0.0, 45.0, 90.0))) * rng.choice((-1, 1))
            path = Path((0.0, 0.9, 0.0), rng.uniform(5.5, 6.5), rng.uniform(1.3, 2.0), start, turned, frames)
    # Over a shoulder of the camera, so that what it first sees is lit.
    sun_azimuth = start + rng.choice((-1, 1)) * rng.uniform(0.15, 0.45) * pi
    return Stage(
        seed, kind, fps, frames, path, rng.choice(tuple(FLOORS)), disc, backdrop, sun_azimuth,
        radians(rng.uniform(32, 58)), rng.uniform(0, 1), rng.gauss(0, 0.12), tuple(builder.solids), tuple(performers),
        tuple(builder.lamps), tuple(builder.objects),
    )  # fmt: skip


def _people(builder: SetBuilder, motions: tuple, count: int, towards: float, seconds: float) -> list[Performer]:
    """People side by side before a camera that stands `towards` them, each with a motion of its own."""
    rng, performers = builder.rng, []
    for number in range(count):
        name = rng.choice(motions)
        instance = builder.instance("person", motion=name)
        cycle = Cycle(MOTIONS[name], rng.uniform(1.55, 1.88), rng.uniform(0.9, 1.12), rng.random())
        aside = 1.9 * (number - (count - 1) / 2)
        # What travels passes across the picture; others look at the camera, more or less.
        across = name in ("walk", "run") and rng.random() < 0.8
        heading = towards + (rng.choice((-1, 1)) * rng.uniform(0.35, 0.55) * pi if across else rng.uniform(-0.9, 0.9))
        place = (aside * cos(towards), -aside * sin(towards))
        performer = Performer(instance, cycle, place, heading, seconds / 2)
        solids, worn = body_solids(performer, builder.detailed, rng)
        builder.objects[-1] |= worn
        builder.solids += solids
        performers.append(performer)
    return performers


def _check(kind: str, frames: int, fps: float, assets: str, motions: tuple, sweep: float | None) -> None:
    for name, value, known in (("kind", kind, KINDS), ("assets", assets, ASSETS)):
        if value not in known:
            raise UserError(f"{name} is {value!r} but must be one of {', '.join(known)}: change {name}.")
    unknown = [name for name in motions if name not in MOTIONS]
    if unknown or not motions:
        raise UserError(f"motions is {', '.join(motions)} but must be some of {', '.join(MOTIONS)}: change motions.")
    if frames < 1 or not fps > 0:
        raise UserError(f"frames is {frames} and fps is {fps} but both must be positive: change frames or fps.")
    if sweep is not None and not 0 <= sweep <= 360:
        raise UserError(f"sweep is {sweep} but must be from 0 to 360 degrees: change sweep.")
