"""Buildings, trees, cars, people, signals and signs as solids, and how a block of street is furnished."""

from math import pi
from random import Random

from . import tags
from .materials import CAR_PAINTS, CLOTH_PAINTS, FLAT_PAINT, INDEX, SIGN_KINDS, WALL_PAINTS
from .shapes import Solid, box_planes, gable_planes, prism_planes, tapered_planes

LANE = 3.4
KERB_WIDTH = 0.25
SIDEWALK_WIDTH = 3.2
LAMP_RADIUS = 0.34
LAMP_SPACING = 0.74
HEAD_HALF = (0.46, 1.18, 0.2)
SIGN_RADIUS = 0.55


class Builder:
    """Collects solids, lights and the list of named objects while a scene is laid out.

    Every block and every stream of traffic draws from a generator of its own, so that a longer street begins with
    the same things, under the same instance ids.
    """

    def __init__(self, seed: int, area: str, lanes: int):
        self.seed, self.area, self.lanes = seed, area, lanes
        self.rng = Random(seed)
        self.solids: list[Solid] = []
        self.lights: list[dict] = []
        self.objects: list[dict] = []
        self._next_instance = 1

    def begin(self, part: str, first_instance: int) -> None:
        """Start a part of the scene with its own random numbers and its own range of instance ids."""
        self.rng = Random(f"{self.seed}/{part}")
        self._next_instance = first_instance

    def block(self, first: float, last: float, crossing: float | None, cross_half: float) -> None:
        """Furnish the street between z = first and z = last metres."""
        edge = self.lanes * LANE
        spans = [(first, last)]
        if crossing is not None:
            spans = [(first, crossing - cross_half), (crossing + cross_half, last)]
        for side in (-1, 1):
            for low, high in spans:
                self._kerb(side, edge, low, high)
                self._frontage(side, edge + SIDEWALK_WIDTH + 0.4, low + 0.5, high - 0.5)
                self._trees(side, edge, low, high)
                self._people(side, edge, low, high)
            self._parked(side, edge, spans)
            self._sign(side, edge, spans)
        if crossing is not None:
            self._signals(crossing, cross_half, edge)

    def traffic(self, low: float, high: float, ego_speed: float) -> None:
        """Moving cars: one ahead of the ego, others in the other lanes."""
        self.begin("ahead", first_instance=1)
        rng = self.rng
        if rng.random() < 0.7:
            self.car(LANE / 2, low + rng.uniform(11, 26), 0.0, ego_speed * rng.uniform(0.92, 1.06))
        self.begin("oncoming", first_instance=2)
        rng = self.rng
        z = low + rng.uniform(8, 30)
        while z < high + 60:
            lane = rng.randrange(self.lanes)
            self.car(-LANE * (lane + 0.5), z, pi, -rng.uniform(2.0, 5.0))
            z += rng.uniform(16, 50)
        if self.lanes == 2:
            self.begin("beside", first_instance=500)
            rng = self.rng
            z = low + rng.uniform(4, 30)
            while z < high:
                self.car(LANE * 1.5, z, 0.0, ego_speed * rng.uniform(0.8, 1.2))
                z += rng.uniform(25, 60)

    def car(self, x: float, z: float, yaw: float, speed: float) -> None:
        """A car of two solids: a body with painted wheels and lamps, and a tapered cabin."""
        rng = self.rng
        name = rng.choice(tuple(CAR_PAINTS))
        paint = CAR_PAINTS[name]
        half_width, half_length = rng.uniform(0.86, 0.95), rng.uniform(1.9, 2.25)
        waist, roof = rng.uniform(0.86, 0.98), rng.uniform(1.42, 1.75)
        instance = self._instance("car", colour=name)
        velocity = (0.0, 0.0, speed)
        body_size, body_centre = (half_width, (waist - 0.18) / 2, half_length), (0.0, (waist + 0.18) / 2, 0.0)
        self.solids.append(
            Solid(
                (x, 0.0, z),
                INDEX["car_body"],
                tags.CAR,
                instance,
                paint,
                body_size,
                planes=tapered_planes(body_centre, body_size, 0.08, 0.06, 0.02),
                centre=body_centre,
                yaw=yaw,
                velocity=velocity,
            )
        )
        shift = rng.uniform(-0.35, -0.1)
        cabin_size = (half_width * 0.92, (roof - waist) / 2, half_length * 0.58)
        cabin_centre = (0.0, (roof + waist) / 2, shift)
        self.solids.append(
            Solid(
                (x, 0.0, z),
                INDEX["car_cabin"],
                tags.CAR,
                instance,
                paint,
                cabin_size,
                planes=tapered_planes(cabin_centre, cabin_size, 0.55, 0.35, 0.14),
                centre=cabin_centre,
                yaw=yaw,
                velocity=velocity,
            )
        )

    def _instance(self, kind: str, **facts) -> int:
        instance = self._next_instance
        self._next_instance += 1
        self.objects.append({"instance": instance, "kind": kind, **facts})
        return instance

    def _box(
        self,
        material: str,
        tag: int,
        instance: int,
        position: tuple,
        centre: tuple,
        half: tuple,
        paint: tuple | None = None,
        **more,
    ) -> None:
        self.solids.append(
            Solid(
                position,
                INDEX[material],
                tag,
                instance,
                paint or FLAT_PAINT[material],
                half,
                planes=box_planes(centre, half),
                centre=centre,
                **more,
            )
        )

    def _kerb(self, side: int, edge: float, low: float, high: float) -> None:
        half = (KERB_WIDTH / 2, 0.07, (high - low) / 2)
        self._box(
            "kerb",
            tags.SIDEWALK,
            0,
            (side * (edge + KERB_WIDTH / 2), 0.0, (low + high) / 2),
            (0.0, 0.07, 0.0),
            half,
            casts_shadow=False,
        )

    def _frontage(self, side: int, front: float, low: float, high: float) -> None:
        """Buildings along one side; suburbs leave gardens between houses, avenues set them back."""
        rng = self.rng
        z = low
        while z < high - 5:
            width = min(rng.uniform(9, 20) if self.area != "suburban street" else rng.uniform(8, 12), high - z)
            built = rng.random() < {"city street": 0.95, "suburban street": 0.7, "tree-lined avenue": 0.6}[self.area]
            if built:
                house = self.area == "suburban street"
                setback = {"city street": 0.0, "suburban street": 3.0, "tree-lined avenue": 6.0}[self.area]
                height = rng.uniform(3.4, 6.5) if house else rng.uniform(7.0, 19.0)
                half = (5.0, height / 2, width / 2 - (0.8 if house else 0.05))
                position = (side * (front + setback + 5.0), 0.0, z + width / 2)
                instance = self._instance("building")
                self._box(
                    "wall",
                    tags.BUILDING,
                    instance,
                    position,
                    (0.0, height / 2, 0.0),
                    half,
                    paint=rng.choice(WALL_PAINTS),
                    variant=rng.randrange(4),
                )
                if house:
                    roof_half, roof_centre = (5.4, 1.1, half[2] + 0.3), (0.0, height + 1.1, 0.0)
                    self.solids.append(
                        Solid(
                            position,
                            INDEX["roof"],
                            tags.BUILDING,
                            instance,
                            FLAT_PAINT["roof"],
                            roof_half,
                            planes=gable_planes(roof_centre, roof_half),
                            centre=roof_centre,
                        )
                    )
            z += width + (rng.uniform(1.5, 5.0) if self.area == "suburban street" else 0.0)

    def _trees(self, side: int, edge: float, low: float, high: float) -> None:
        rng = self.rng
        step = {"city street": 26.0, "suburban street": 16.0, "tree-lined avenue": 10.0}[self.area]
        z = low + rng.uniform(2.0, step)
        while z < high - 1.5:
            position = (side * (edge + rng.uniform(1.6, 2.4)), 0.0, z)
            instance = self._instance("tree")
            trunk = rng.uniform(1.9, 2.7)
            self._box("trunk", tags.VEGETATION, instance, position, (0, trunk / 2, 0), (0.14, trunk / 2, 0.14))
            for _ in range(2):
                radii = (rng.uniform(1.0, 1.6), rng.uniform(0.9, 1.5), rng.uniform(1.0, 1.6))
                centre = (rng.uniform(-0.5, 0.5), trunk + radii[1] * 0.7, rng.uniform(-0.5, 0.5))
                self.solids.append(
                    Solid(
                        position,
                        INDEX["canopy"],
                        tags.VEGETATION,
                        instance,
                        FLAT_PAINT["canopy"],
                        radii,
                        radii=radii,
                        centre=centre,
                    )
                )
            z += step * rng.uniform(0.8, 1.3)

    def _people(self, side: int, edge: float, low: float, high: float) -> None:
        rng = self.rng
        for _ in range(rng.choice((0, 0, 1, 1, 2))):
            position = (side * (edge + rng.uniform(0.8, 1.5)), 0.0, rng.uniform(low, high))
            velocity = (0.0, 0.0, rng.choice((-1, 1)) * rng.uniform(0.8, 1.5))
            instance = self._instance("pedestrian")
            height = rng.uniform(1.55, 1.85)
            legs, chest = rng.choice(CLOTH_PAINTS), rng.choice(CLOTH_PAINTS)
            hip, neck = height * 0.48, height * 0.84
            self._box(
                "cloth",
                tags.PEDESTRIAN,
                instance,
                position,
                (0, hip / 2, 0),
                (0.17, hip / 2, 0.13),
                paint=legs,
                velocity=velocity,
            )
            self._box(
                "cloth",
                tags.PEDESTRIAN,
                instance,
                position,
                (0, (hip + neck) / 2, 0),
                (0.24, (neck - hip) / 2, 0.15),
                paint=chest,
                velocity=velocity,
            )
            radius = height * 0.085
            self.solids.append(
                Solid(
                    position,
                    INDEX["skin"],
                    tags.PEDESTRIAN,
                    instance,
                    FLAT_PAINT["skin"],
                    (radius, radius, radius),
                    radii=(radius, radius * 1.15, radius),
                    centre=(0.0, height - radius, 0.0),
                    velocity=velocity,
                )
            )

    def _parked(self, side: int, edge: float, spans: list) -> None:
        """Cars parked half on the sidewalk."""
        rng = self.rng
        for low, high in spans:
            for _ in range(rng.choice((0, 1, 1, 2))):
                if high - low > 14:
                    z = rng.uniform(low + 4, high - 9)
                    if not any(abs(z - other) < 6 for other in self._parked_at(side, edge)):
                        self.car(side * (edge + 0.35), z, 0.0 if side > 0 else pi, 0.0)

    def _parked_at(self, side: int, edge: float) -> list[float]:
        return [s.position[2] for s in self.solids if s.tag == tags.CAR and s.position[0] == side * (edge + 0.35)]

    def _sign(self, side: int, edge: float, spans: list) -> None:
        rng = self.rng
        for low, high in spans:
            if side < 0 or high - low < 10:
                continue
            kind = rng.choice(SIGN_KINDS)
            position = (side * (edge + 0.7), 0.0, rng.uniform(low + 1, high - 2))
            instance = self._instance("sign", sign=kind)
            self._box("pole", tags.POLE, instance, position, (0, 1.1, 0.07), (0.05, 1.1, 0.05))
            sides = 3 if kind == "warning" else 12
            centre = (0.0, 2.45, 0.0)
            self.solids.append(
                Solid(
                    position,
                    INDEX["sign_face"],
                    tags.TRAFFIC_SIGN,
                    instance,
                    (1.0, 1.0, 1.0),
                    (SIGN_RADIUS, SIGN_RADIUS, 0.04),
                    centre=centre,
                    variant=SIGN_KINDS.index(kind),
                    planes=prism_planes(
                        centre,
                        SIGN_RADIUS * (1.25 if sides == 3 else 1.0),
                        0.06,
                        sides,
                        pi if sides == 3 else 0.0,
                    ),
                )
            )

    def _signals(self, crossing: float, cross_half: float, edge: float) -> None:
        """Heads facing the ego: beside the road before the crossing, and over the ego's lane behind it."""
        phase = self.rng.uniform(0.0, 32.0)
        near, far = crossing - cross_half - 0.6, crossing + cross_half + 0.6
        places = [(edge + 0.7, 3.1, near), (LANE / 2, 5.0, far)]
        if self.rng.random() < 0.5:
            places.append((-edge - 0.7, 3.1, near))
        for x, y, z in places:
            instance = self._instance("traffic_light")
            self._box("light_head", tags.TRAFFIC_LIGHT, instance, (x, 0.0, z), (0.0, y, 0.0), HEAD_HALF)
            self.lights.append({"instance": instance, "position": (x, y, z), "phase": phase})
            post = abs(x) if abs(x) > edge else edge + 0.7
            side = 1 if x > 0 else -1
            top = y - HEAD_HALF[1] if post == abs(x) else y + 0.3
            self._box(
                "pole",
                tags.POLE,
                instance,
                (side * post, 0.0, z + 0.3),
                (0, top / 2, 0),
                (0.09, top / 2, 0.09),
            )
            if post != abs(x):
                half = (post - abs(x)) / 2
                self._box(
                    "pole",
                    tags.POLE,
                    instance,
                    (side * (abs(x) + half), 0.0, z + 0.3),
                    (0, top, 0),
                    (half, 0.08, 0.08),
                )
