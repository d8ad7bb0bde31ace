"""What stands in a studio: groups to go round, and a ring of houses and trees about it all."""

from dataclasses import dataclass
from math import cos, hypot, pi, sin
from random import Random

import torch
from torch import Tensor

from .. import tags
from ..materials import INDEX
from ..shapes import Solid
from ..town import buildings, signs, vehicles
from ..town.motion import Pose
from .skeleton import about_y

CRATE_WORDS = ("TEA", "FRAGILE", "BOOKS", "MARKET", "NORTH", "PORT", "CAFE", "GYM")
# Floors: material within some metres and beyond, what it is called.
FLOORS = {
    "plaza": ("plaza", "grass", "on a paved square"),
    "lawn": ("grass", "grass", "on a lawn"),
    "yard": ("asphalt", "grass", "in an asphalt yard"),
    "terrace": ("sidewalk", "grass", "on a tiled terrace"),
}
FLOOR_TAGS = {"plaza": tags.SIDEWALK, "sidewalk": tags.SIDEWALK, "asphalt": tags.ROAD, "grass": tags.TERRAIN}


@dataclass(frozen=True, eq=False)
class Standing:
    """A motion that stands."""

    x: float
    z: float
    heading: float

    def pose_at(self, seconds: Tensor) -> Pose:
        """Pose at each of the F times, all the same."""
        turned = about_y(torch.full((len(seconds),), self.heading, dtype=torch.float64)).float()
        return torch.tensor([self.x, 0.0, self.z]).expand(len(seconds), 3), turned


class SetBuilder:
    """Collects solids, lamps and the list of named objects while a studio is laid out."""

    def __init__(self, rng: Random, detailed: bool):
        self.rng, self.detailed = rng, detailed
        self.solids: list[Solid] = []
        self.objects: list[dict] = []
        self.lamps: list[tuple[float, float, float]] = []

    def instance(self, kind: str, **facts) -> int:
        """A new number for a thing of that kind."""
        self.objects.append({"instance": len(self.objects) + 1, "kind": kind, **facts})
        return len(self.objects)

    def car(self, x: float, z: float) -> None:
        heading = self.rng.uniform(0, 2 * pi)
        instance = self.instance("car")
        model = vehicles.MODELS[self.rng.choice(vehicles.CARS)]
        solids, colour = vehicles.vehicle_solids(model, Standing(x, z, heading), instance, self.rng)
        self.objects[-1]["colour"] = colour
        self.solids += solids

    def crates(self, x: float, z: float) -> None:
        """Two or three boxes on each other, with words on two sides."""
        rng, foot = self.rng, 0.0
        instance, yaw = self.instance("crates"), rng.uniform(0, 2 * pi)
        for size in sorted((rng.uniform(0.3, 0.6) for _ in range(rng.choice((2, 3)))), reverse=True):
            paint, turn = rng.choice(buildings.BOARD_PAINTS), yaw + rng.uniform(-0.3, 0.3)
            at = ("board", tags.BUILDING, instance, (x, 0.0, z), turn, (0.0, foot + size, 0.0), (size, size, size))
            self.solids.append(buildings.box(*at, paint=paint, text=rng.choice(CRATE_WORDS) if self.detailed else ""))
            foot += 2 * size

    def sculpture(self, x: float, z: float) -> None:
        """A pedestal of stone with ellipsoids on it."""
        rng, foot = self.rng, self.rng.uniform(0.5, 0.9)
        instance, yaw = self.instance("sculpture"), rng.uniform(0, 2 * pi)
        half, colour = rng.uniform(0.4, 0.6), rng.choice(tuple(vehicles.TOWN_CAR_PAINTS))
        at = ("kerb", tags.BUILDING, instance, (x, 0.0, z), yaw, (0.0, foot / 2, 0.0), (half, foot / 2, half))
        self.solids.append(buildings.box(*at))
        for _ in range(3 if self.detailed else 1):
            radii = (rng.uniform(0.2, 0.45), rng.uniform(0.25, 0.5), rng.uniform(0.2, 0.45))
            centre = (rng.uniform(-0.12, 0.12), foot + radii[1], rng.uniform(-0.12, 0.12))
            self.solids.append(
                Solid(
                    (x, 0.0, z), INDEX["cloth"], tags.BUILDING, instance, vehicles.TOWN_CAR_PAINTS[colour], radii,
                    radii=radii, centre=centre, yaw=yaw,
                )
            )  # fmt: skip
            foot += 1.6 * radii[1]
        self.objects[-1]["colour"] = colour

    def sign(self, x: float, z: float) -> None:
        kind = self.rng.choice(signs.NAMES)
        instance = self.instance("sign", sign=kind)
        self.solids += signs.sign_solids(kind, (x, 0.0, z), self.rng.uniform(0, 2 * pi), instance, self.rng)

    def tree(self, x: float, z: float) -> None:
        solids = buildings.tree((x, 0.0, z), self.instance("tree"), self.rng.random() < 0.3, self.rng)
        self.solids += solids if self.detailed else solids[:2]

    def group(self) -> None:
        """Four to six things within some three metres of the middle, none in another."""
        kinds = ("car", "crates", "sculpture", "sign", "tree")
        reach = {"car": 2.4, "crates": 0.9, "sculpture": 0.8, "sign": 0.6, "tree": 1.2}
        wanted = ["car" if self.rng.random() < 0.6 else "crates", "sculpture"]
        wanted += [self.rng.choice(kinds[1:]) for _ in range(self.rng.choice((2, 3, 4)))]
        placed: list[tuple[float, float, float]] = []
        for kind in wanted:
            for _ in range(30):
                x, z = self.rng.uniform(-3.2, 3.2), self.rng.uniform(-3.2, 3.2)
                if all(hypot(x - a, z - b) > reach[kind] + other for a, b, other in placed):
                    placed.append((x, z, reach[kind]))
                    getattr(self, kind)(x, z)
                    break

    def ring(self, inner: float, things: int) -> None:
        """Houses and trees, and two lamps, all round from `inner` metres on."""
        start = self.rng.uniform(0, 2 * pi)
        for number in range(things):
            angle = start + 2 * pi * (number + self.rng.uniform(-0.2, 0.2)) / things
            if number % 2 == 0 and (self.detailed or number % 4 == 0):
                away = inner + buildings.DEPTH + self.rng.uniform(2.0, 6.0)
                area = self.rng.choice(("suburban street", "city street"))
                half, place = self.rng.uniform(3.5, 5.5), (away * sin(angle), 0.0, away * cos(angle))
                # Its front, face 0, looks along its own -x: towards the middle.
                instance = self.instance("building")
                self.solids += buildings.building(place, angle - pi / 2, instance, half, area, self.rng)
            else:
                away = inner + self.rng.uniform(1.5, 6.0)
                self.tree(away * sin(angle), away * cos(angle))
        for angle in (start + 0.5, start + 0.5 + pi):
            x, z = (inner + 0.5) * sin(angle), (inner + 0.5) * cos(angle)
            self.solids += buildings.street_lamp((x, 0.0, z), angle - pi / 2, self.instance("lamp"))
            self.lamps.append((x - 1.4 * sin(angle), 6.3, z - 1.4 * cos(angle)))

    def around(self, inner: float, outer: float, count: int) -> None:
        """Cars, crates, signs and sculptures between two distances, for a camera in the middle."""
        start = self.rng.uniform(0, 2 * pi)
        for number in range(count):
            angle = start + 2 * pi * (number + self.rng.uniform(-0.25, 0.25)) / count
            away = self.rng.uniform(inner, outer)
            thing = self.rng.choice((self.car, self.car, self.crates, self.sculpture, self.sign))
            thing(away * sin(angle), away * cos(angle))
