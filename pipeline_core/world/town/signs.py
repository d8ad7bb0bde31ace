"""The traffic signs of a town: outline, colours and words of each kind."""

from dataclasses import dataclass
from math import pi
from random import Random

from .. import tags
from ..materials import FLAT_PAINT, INDEX
from ..shapes import Solid, box_planes, prism_planes

RED, WHITE, BLUE = (0.92, 0.04, 0.06), (1.0, 1.0, 1.0), (0.05, 0.22, 0.90)
YELLOW, BLACK, GREEN = (1.0, 0.80, 0.05), (0.05, 0.05, 0.05), (0.02, 0.45, 0.20)
HEIGHT = 2.45  # of a sign's middle, metres


@dataclass(frozen=True)
class Kind:
    """sides and turn of the regular outline (sides 0: a board of half size `half`); ground, rim and ink: sRGB paints
    (rim None: none); words: what may be written on it; text: its half width and half height, metres."""

    sides: int
    turn: float
    ground: tuple
    rim: tuple | None
    ink: tuple
    words: tuple[str, ...]
    text: tuple[float, float]
    half: tuple[float, float] = (0.55, 0.55)


KINDS = {
    "stop": Kind(8, 0.0, RED, WHITE, WHITE, ("STOP",), (0.40, 0.17)),
    "limit": Kind(16, 0.0, WHITE, RED, BLACK, ("30", "40", "50", "60", "70"), (0.27, 0.20)),
    "yield": Kind(3, 0.0, WHITE, RED, WHITE, ("",), (0.1, 0.1)),
    "warning": Kind(3, pi, WHITE, RED, BLACK, ("!",), (0.07, 0.20)),
    "hazard": Kind(4, pi / 4, YELLOW, BLACK, BLACK, ("BUMP", "SLOW", "XING"), (0.34, 0.13)),
    "parking": Kind(0, 0.0, BLUE, WHITE, WHITE, ("P",), (0.22, 0.34)),
    "direction": Kind(16, 0.0, BLUE, WHITE, WHITE, ("!",), (0.09, 0.32)),
    "town": Kind(0, 0.0, GREEN, WHITE, WHITE, ("CENTER", "MARKET", "NORTH", "PORT"), (0.72, 0.20), (0.90, 0.38)),
    "one way": Kind(0, 0.0, WHITE, BLACK, BLACK, ("ONE WAY",), (0.62, 0.13), (0.75, 0.26)),
}  # fmt: skip
# The order of kinds is what a sign's `variant` counts.
NAMES = tuple(KINDS)


def sign_solids(kind: str, place: tuple, yaw: float, instance: int, rng: Random) -> list[Solid]:
    """A post and a face turned by yaw, facing those who come along its -z axis."""
    shape = KINDS[kind]
    text = rng.choice(shape.words)
    centre, half = (0.0, HEIGHT, 0.0), (*shape.half, 0.03)
    if shape.sides:
        radius = shape.half[0] * {3: 1.25, 4: 1.15}.get(shape.sides, 1.0)
        planes = _front_first(prism_planes(centre, radius, 0.06, shape.sides, shape.turn))
        half = (radius, radius, 0.03)
    else:
        planes = _front_first(box_planes(centre, half))
    top = HEIGHT / 2
    post = Solid(
        place, INDEX["pole"], tags.POLE, instance, FLAT_PAINT["pole"], (0.05, top, 0.05), centre=(0, top, 0.07),
        yaw=yaw,
    )  # fmt: skip
    face = Solid(
        place, INDEX["sign_face"], tags.TRAFFIC_SIGN, instance, shape.ground, half, planes=planes, centre=centre,
        yaw=yaw, variant=NAMES.index(kind), text=text,
    )  # fmt: skip
    return [post, face]


def _front_first(planes: tuple) -> tuple:
    """The plane that faces -z becomes face 0, so that the painted front is told from all others by its number."""
    return tuple(sorted(planes, key=lambda row: row[2]))
