"""Cars, vans, trucks and buses of a town: a body, a cabin and two axles each, carried by one motion."""

from dataclasses import dataclass
from random import Random

from .. import tags
from ..materials import FLAT_PAINT, INDEX
from ..shapes import Motion, Solid, tapered_planes

TOWN_CAR_PAINTS = {
    "red": (0.78, 0.06, 0.07), "blue": (0.08, 0.20, 0.62), "white": (0.94, 0.94, 0.94), "black": (0.08, 0.08, 0.09),
    "silver": (0.70, 0.71, 0.74), "graphite": (0.34, 0.35, 0.38), "green": (0.05, 0.36, 0.22),
}  # fmt: skip
VAN_PAINTS = {"white": (0.95, 0.95, 0.95), "blue": (0.10, 0.28, 0.75), "yellow": (0.98, 0.78, 0.10)}
BUS_PAINTS = {"red": (0.90, 0.10, 0.10), "blue": (0.10, 0.30, 0.80), "green": (0.10, 0.55, 0.30)}


@dataclass(frozen=True)
class Model:
    """Half width, half length, heights of waist and roof, then of the cabin: its half length and middle as shares of
    the body's half length, and how far its front and back lean in, metres. All metres; sill: height of the body."""

    kind: str
    tag: int
    half_width: float
    half_length: float
    waist: float
    roof: float
    cabin: tuple[float, float]
    lean: tuple[float, float]
    sill: float = 0.26
    wheel: float = 0.32
    paints: str = "car"


MODELS = {
    "sedan": Model("car", tags.CAR, 0.91, 2.25, 0.88, 1.43, (0.56, -0.10), (0.75, 0.60)),
    "hatchback": Model("car", tags.CAR, 0.88, 1.95, 0.90, 1.50, (0.66, -0.22), (0.70, 0.28)),
    "suv": Model("car", tags.CAR, 0.96, 2.25, 1.04, 1.74, (0.68, -0.24), (0.60, 0.22), 0.32, 0.37),
    "van": Model("car", tags.CAR, 0.98, 2.55, 1.12, 2.05, (0.88, -0.10), (0.75, 0.08), 0.30, 0.35, "van"),
    "truck": Model("truck", tags.TRUCK, 1.18, 3.40, 0.95, 2.95, (0.72, -0.27), (0.02, 0.02), 0.50, 0.46, "van"),
    "bus": Model("bus", tags.BUS, 1.22, 5.40, 1.15, 2.95, (0.985, 0.0), (0.12, 0.06), 0.34, 0.46, "bus"),
}
CARS = ("sedan", "sedan", "hatchback", "hatchback", "suv", "suv", "van")
PAINTS = {"car": TOWN_CAR_PAINTS, "van": VAN_PAINTS, "bus": BUS_PAINTS}


def pick_model(rng: Random, large: bool = True) -> Model:
    """Mostly cars; where there is room (`large`) one in eight is a truck or a bus."""
    if large and rng.random() < 0.13:
        return MODELS[rng.choice(("truck", "bus"))]
    return MODELS[rng.choice(CARS)]


def vehicle_solids(model: Model, motion: Motion, instance: int, rng: Random) -> tuple[list[Solid], str]:
    """The solids of one vehicle and the name of its paint. variant tells the details: the place in MODELS."""
    paints = PAINTS[model.paints]
    name = rng.choice(tuple(paints))
    width, length = model.half_width * rng.uniform(0.97, 1.03), model.half_length * rng.uniform(0.96, 1.05)
    roof = model.roof * rng.uniform(0.97, 1.04)
    variant = list(MODELS.values()).index(model)

    def part(material: str, paint: tuple, centre: tuple, half: tuple, planes: tuple = (), **more) -> Solid:
        return Solid(
            (0.0, 0.0, 0.0), INDEX[material], model.tag, instance, paint, half, planes=planes, centre=centre,
            motion=motion, variant=variant, **more,
        )  # fmt: skip

    body, body_at = (width, (model.waist - model.sill) / 2, length), (0.0, (model.waist + model.sill) / 2, 0.0)
    cabin = (width * 0.95, (roof - model.waist) / 2, length * model.cabin[0])
    cabin_at = (0.0, (roof + model.waist) / 2, length * model.cabin[1])
    solids = [
        part("car_body", paints[name], body_at, body, tapered_planes(body_at, body, 0.10, 0.07, 0.03)),
        part("car_cabin", paints[name], cabin_at, cabin, tapered_planes(cabin_at, cabin, *model.lean, 0.13)),
    ]
    for side in (-1, 1):
        half, centre = (width - 0.03, model.wheel, model.wheel), (0.0, model.wheel, side * 0.62 * length)
        solids.append(part("tyre", FLAT_PAINT["tyre"], centre, half, round=True))
    if model.kind == "truck":
        cab_at, cab = (0.0, 1.45, length * 0.76), (width * 0.95, 0.95, length * 0.22)
        solids.append(part("car_cabin", paints[name], cab_at, cab, tapered_planes(cab_at, cab, 0.30, 0.02, 0.06)))
        solids[1] = part("board", (0.93, 0.93, 0.95), cabin_at, cabin)
    return solids, name
