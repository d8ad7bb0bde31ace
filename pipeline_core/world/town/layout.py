"""Furnishing a town: what stands beside the street and what moves along it.

Every stretch and every stream of traffic draws from a generator of its own (Python's Mersenne Twister), and all
geometry is double arithmetic in Python or float64 tensors, so a seed gives the same town on every machine.
"""

from math import cos, hypot, pi, sin
from random import Random

import torch

from ..objects import KERB_WIDTH, LANE, SIDEWALK_WIDTH
from ..shapes import Motion, Solid
from . import buildings, people, signs, vehicles
from .motion import Drive, Parked, Walk
from .route import ISLAND, SWING_LENGTH, Route
from .signals import signal_solids
from .terrain import Terrain

CROSS_HALF_WIDTH, CROSS_REACH = 5.0, 75.0
SETBACK = {"city street": 0.0, "suburban street": 3.5, "tree-lined avenue": 6.0}
BUILT = {"city street": 0.95, "suburban street": 0.8, "tree-lined avenue": 0.65}
TREE_STEP = {"city street": 24.0, "suburban street": 15.0, "tree-lined avenue": 9.5}
LAMP_STEP = 28.0


class Builder:
    """Collects a town's solids, lights, people and the list of its named objects."""

    def __init__(self, seed: int, area: str, lanes: int, route: Route, terrain: Terrain, crossings: tuple):
        self.seed, self.area, self.lanes, self.route, self.terrain = seed, area, lanes, route, terrain
        self.crossings = crossings  # pairs (s, whether it has signals)
        self.edge = lanes * LANE
        self.rng = Random(seed)
        self.solids: list[Solid] = []
        self.lights: list[dict] = []
        self.objects: list[dict] = []
        self.figures: list[people.Figure] = []
        self.lamps: list[tuple[float, float, float]] = []
        self._next_instance = 1
        self._footprints: list[tuple[float, float, float]] = []
        self._crossing_frames = [route.place(s, 0.0) for s, _ in crossings]
        self._roundabout_middles = [route.place(s, 0.0)[:2] for s in route.roundabouts]

    def begin(self, part: str, first_instance: int) -> None:
        """Start a part of the town with its own random numbers and its own range of instance ids."""
        self.rng = Random(f"{self.seed}/town/{part}")
        self._next_instance = first_instance

    def instance(self, kind: str, **facts) -> int:
        """A new id, listed among the objects."""
        instance = self._next_instance
        self._next_instance += 1
        self.objects.append({"instance": instance, "kind": kind, **facts})
        return instance

    def place(self, s: float, d: float) -> tuple[tuple[float, float, float], float]:
        """World position on the ground and heading of the street, d metres beside it; lanes' swing included."""
        parted = any(abs(self._along(s, middle)) < SWING_LENGTH for middle in self.route.roundabouts)
        swing = float(self.route.swing(torch.tensor(s, dtype=torch.float64))[0]) if parted else 0.0
        x, z, heading = self.route.place(s, d + (swing if d > 0 else -swing))
        return (x, self.terrain.height_at(x, z), z), heading

    def furnish(self) -> None:
        """Everything that stands."""
        count = int(self.route.length // 40) + 1
        step = self.route.length / count
        for part in range(count):
            self.begin(f"stretch {part}", first_instance=1000 * (part + 2))
            low = part * step
            for side in (-1, 1):
                self._frontage(side, low, low + step)
                self._trees(side, low, low + step)
                self._sidewalk(side, low, low + step)
                self._parked_row(side, low, low + step)
            self._signs(low, low + step)
        self.begin("lamps", first_instance=200)
        self._lamps()
        for number, (s, has_signals) in enumerate(self.crossings):
            self.begin(f"crossing {number}", first_instance=300 + 20 * number)
            self._crossing(s, has_signals)
        for number, s in enumerate(self.route.roundabouts):
            self.begin(f"roundabout {number}", first_instance=700 + 10 * number)
            x, z, _ = self.route.place(s, 0.0)
            instance = self.instance("roundabout")
            self.solids += buildings.island((x, self.terrain.height_at(x, z), z), instance, ISLAND)

    def car(self, motion: Motion, kinds: bool = True, moving: bool = True) -> None:
        """One vehicle on `motion`; kinds: trucks and buses too."""
        model = vehicles.pick_model(self.rng, large=kinds)
        instance = self.instance(model.kind)
        solids, colour = vehicles.vehicle_solids(model, motion, instance, self.rng)
        self.objects[-1]["colour"] = colour
        self.objects[-1]["moving"] = moving
        self.solids += solids

    def person(self, body: Drive | Walk, **facts) -> None:
        """A pedestrian carried by `body`."""
        rng = self.rng
        instance = self.instance("pedestrian", **facts)
        figure = people.Figure(instance, body, rng.uniform(1.52, 1.88), rng.uniform(0, 2 * pi))
        self.figures.append(figure)
        self.solids += people.figure_solids(figure, rng)

    def cyclist(self, drive: Drive) -> None:
        """A bicycle and its rider, two instances on one drive."""
        rng = self.rng
        self.solids += people.bicycle_solids(drive, self.instance("bicycle"), rng)
        figure = people.Figure(self.instance("cyclist"), drive, rng.uniform(1.6, 1.85), rng.uniform(0, 2 * pi), True)
        self.figures.append(figure)
        self.solids += people.figure_solids(figure, rng)

    def free(self, spots: list[tuple[float, float]], gap: float) -> bool:
        """Whether all places (x, z) are at least `gap` metres away from every road."""
        x, z = torch.tensor(spots, dtype=torch.float64).unbind(-1)
        s, d = self.route.locate(x, z, reach=25.0)
        if bool((d.abs() - self.route.swing(s)[0] < self.edge + gap).any()):
            return False
        for cx, cz, heading in self._crossing_frames:
            along = (x - cx) * sin(heading) + (z - cz) * cos(heading)
            aside = (x - cx) * cos(heading) - (z - cz) * sin(heading)
            if bool(((along.abs() < CROSS_HALF_WIDTH + min(gap, 2.5)) & (aside.abs() < CROSS_REACH)).any()):
                return False
        return all(bool(((x - cx) ** 2 + (z - cz) ** 2 > 19.0**2).all()) for cx, cz in self._roundabout_middles)

    def _along(self, s: float, mark: float) -> float:
        return (s - mark + self.route.length / 2) % self.route.length - self.route.length / 2

    def _clear_of_features(self, s: float, crossing: float, roundabout: float = 30.0) -> bool:
        return all(abs(self._along(s, c)) > crossing for c, _ in self.crossings) and all(
            abs(self._along(s, r)) > roundabout for r in self.route.roundabouts
        )

    def _frontage(self, side: int, low: float, high: float) -> None:
        rng, house = self.rng, self.area == "suburban street"
        gap = KERB_WIDTH + SIDEWALK_WIDTH
        s = low
        while s < high - 5:
            width = rng.uniform(8, 12) if house else rng.uniform(9, 19)
            d = side * (self.edge + gap + 0.3 + SETBACK[self.area] + buildings.DEPTH)
            (x, y, z), heading = self.place(s + width / 2, d)
            yaw = heading if side > 0 else heading + pi
            half = width / 2 - (0.9 if house else 0.1)
            wanted = rng.random() < BUILT[self.area]
            if wanted and self._lot_is_free(x, z, yaw, half, gap):
                self._footprints.append((x, z, 0.8 * hypot(half, buildings.DEPTH)))
                self.solids += buildings.building((x, y, z), yaw, self.instance("building"), half, self.area, rng)
                if house and rng.random() < 0.5:
                    place, heading = self.place(s + width / 2, side * (self.edge + gap + 0.7))
                    hedge = buildings.hedge(place, heading, self.instance("hedge"), half * 0.8, rng)
                    if self.free([(place[0], place[2])], gap + 0.3):
                        self.solids.append(hedge)
            s += width + (rng.uniform(1.5, 5.0) if house else 0.0)

    def _lot_is_free(self, x: float, z: float, yaw: float, half: float, gap: float) -> bool:
        c, s = cos(yaw), sin(yaw)
        spots = [(a * buildings.DEPTH, b * half) for a in (-1, 1) for b in (-1, 0, 1)]
        if not self.free([(x + c * a + s * b, z - s * a + c * b) for a, b in spots], gap):
            return False
        reach = 0.8 * hypot(half, buildings.DEPTH)
        # Neighbours in a row may touch: only centres that are much nearer than two half widths are in the way.
        return all(hypot(x - ox, z - oz) > 0.62 * (reach + other) for ox, oz, other in self._footprints)

    def _trees(self, side: int, low: float, high: float) -> None:
        rng, step = self.rng, TREE_STEP[self.area]
        s = low + rng.uniform(0.5, 0.9) * step
        while s < high:
            place, _ = self.place(s, side * (self.edge + rng.uniform(1.4, 1.8)))
            conifer = rng.random() < 0.15
            if self._clear_of_features(s, CROSS_HALF_WIDTH + 4) and self.free([(place[0], place[2])], 1.2):
                self.solids += buildings.tree(place, self.instance("tree"), conifer, rng)
            s += step * rng.uniform(0.8, 1.3)

    def _sidewalk(self, side: int, low: float, high: float) -> None:
        """People who walk along it for ever, round the town."""
        rng = self.rng
        for _ in range(rng.choice((0, 1, 1, 2))):
            speed, d = rng.choice((-1, 1)) * rng.uniform(0.9, 1.6), side * (self.edge + rng.uniform(2.2, 3.0))
            self.person(Drive(self.route, self.terrain, rng.uniform(low, high), speed, d, upright=True))

    def _parked_row(self, side: int, low: float, high: float) -> None:
        rng = self.rng
        chance = 0.6 if self.area == "city street" else 0.35
        s, row = low + rng.uniform(2, 5), rng.random() < chance
        while s < high - 3:
            if row and rng.random() < 0.85 and self._clear_of_features(s, CROSS_HALF_WIDTH + 10, SWING_LENGTH + 5):
                (x, _, z), heading = self.place(s, side * (self.edge + 0.6))
                self.car(Parked(self.terrain, x, z, heading if side > 0 else heading + pi), kinds=False, moving=False)
            s += rng.uniform(5.4, 7.5)

    def _signs(self, low: float, high: float) -> None:
        rng = self.rng
        for _ in range(rng.choice((1, 1, 2))):
            s = rng.uniform(low, high)
            kind = rng.choice(signs.NAMES)
            if self._clear_of_features(s, CROSS_HALF_WIDTH + 1.5):
                self._sign(kind, s, self.edge + 0.75)

    def _sign(self, kind: str, s: float, d: float) -> None:
        place, heading = self.place(s, d)
        solids = signs.sign_solids(kind, place, heading, self.instance("sign", sign=kind), self.rng)
        self.objects[-1]["text"] = solids[-1].text
        self.solids += solids

    def _lamps(self) -> None:
        count = int(self.route.length // LAMP_STEP)
        for number in range(count):
            s, side = number * self.route.length / count, (-1, 1)[number % 2]
            place, heading = self.place(s, side * (self.edge + 0.45))
            if self._clear_of_features(s, CROSS_HALF_WIDTH + 1):
                self.solids += buildings.street_lamp(
                    place, heading if side > 0 else heading + pi, self.instance("lamp")
                )
                over, _ = self.place(s, side * (self.edge - 1.1))
                self.lamps.append((over[0], over[1] + 6.3, over[2]))

    def _crossing(self, s: float, has_signals: bool) -> None:
        """Signals or a sign, people on the zebra, and sometimes a car that waits in the side street."""
        rng, near = self.rng, s - CROSS_HALF_WIDTH
        if has_signals:
            phase = rng.uniform(0.0, 32.0)
            heads = [(near - 0.6, self.edge + 0.7, 3.1, self.edge + 0.7)]
            heads.append((s + CROSS_HALF_WIDTH + 0.6, LANE / 2, 5.0, self.edge + 0.7))
            if rng.random() < 0.5:
                heads.append((near - 0.6, -self.edge - 0.7, 3.1, -self.edge - 0.7))
            for at, d, height, post in heads:
                instance = self.instance("traffic_light")
                place, heading = self.place(at, d)
                self.solids += signal_solids(place, heading, height, post - d, instance)
                head = (place[0], place[1] + height, place[2])
                self.lights.append({"instance": instance, "position": head, "phase": phase, "yaw": heading})
        elif rng.random() < 0.7:
            self._sign(rng.choice(("stop", "yield", "hazard")), near - 1.5, self.edge + 0.75)
        for end in (-1, 1):
            if rng.random() < 0.55:
                side, speed = rng.choice((-1, 1)), rng.uniform(1.0, 1.6)
                # On the zebra near the start of most drives, then away down the side street.
                start = side * rng.uniform(-0.6, 1.0) * self.edge
                (x, _, z), heading = self.place(s + end * (CROSS_HALF_WIDTH + rng.uniform(1.3, 2.9)), start)
                self.person(Walk(self.terrain, x, z, heading - side * pi / 2, speed), crossing=True)
        side = rng.choice((-1, 1))
        if rng.random() < 0.5:
            x, z, heading = self.route.place(s + side * LANE / 2, side * (self.edge + 6.5))
            self.car(Parked(self.terrain, x, z, heading - side * pi / 2), moving=False)
