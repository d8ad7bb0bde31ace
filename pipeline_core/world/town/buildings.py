"""Houses, blocks with shops, trees, hedges and street lamps of a town, as solids at a place of the street."""

from random import Random

from .. import tags
from ..materials import FLAT_PAINT, INDEX, WALL_PAINTS
from ..shapes import Solid, gable_planes

SHOPS = ("CAFE", "BAKERY", "BOOKS", "PIZZA", "HOTEL", "BANK", "SHOES", "MARKET", "BAR", "DELI", "TEA", "GYM", "FLOWERS")
BOARD_PAINTS = (
    (0.75, 0.10, 0.12), (0.10, 0.30, 0.20), (0.10, 0.18, 0.45), (0.95, 0.90, 0.80), (0.12, 0.12, 0.13),
    (0.95, 0.70, 0.10),
)  # fmt: skip
FOUNDATION = 1.5  # metres that walls reach below ground, which slopes
DEPTH = 5.0  # half depth of a building


def box(material: str, tag: int, instance: int, place: tuple, yaw: float, centre: tuple, half: tuple, **more) -> Solid:
    """A still box; paint as given or the material's own."""
    paint = more.pop("paint", FLAT_PAINT.get(material, (1.0, 1.0, 1.0)))
    return Solid(place, INDEX[material], tag, instance, paint, half, centre=centre, yaw=yaw, **more)


def building(place: tuple, yaw: float, instance: int, half_width: float, area: str, rng: Random) -> list[Solid]:
    """A building whose front, face 0, looks along its own -x; its middle at `place`."""
    house = area == "suburban street"
    height = rng.uniform(3.2, 6.2) if house else rng.uniform(7.5, 20.0)
    paint, variant = rng.choice(WALL_PAINTS), rng.randrange(4)
    half, centre = (DEPTH, (height + FOUNDATION) / 2, half_width), (0.0, (height - FOUNDATION) / 2, 0.0)
    at = (tags.BUILDING, instance, place, yaw)
    solids = [box("wall", *at, centre, half, paint=paint, variant=variant)]
    if house:
        roof, roof_at = (DEPTH + 0.4, 1.2, half_width + 0.35), (0.0, height + 1.2, 0.0)
        solids.append(
            Solid(
                place, INDEX["roof"], tags.BUILDING, instance, FLAT_PAINT["roof"], roof,
                planes=gable_planes(roof_at, roof), centre=roof_at, yaw=yaw,
            )
        )  # fmt: skip
        if rng.random() < 0.5:
            solids.append(box("roof", *at, (2.0, height + 1.9, half_width * 0.4), (0.35, 1.1, 0.35)))
        return solids
    cornice = tuple(0.85 * c for c in paint)
    solids.append(box("board", *at, (0.0, height, 0.0), (DEPTH + 0.25, 0.28, half_width + 0.12), paint=cornice))
    if area == "city street" and rng.random() < 0.75:
        board, text = rng.choice(BOARD_PAINTS), rng.choice(SHOPS)
        shop, shop_at = (0.10, 0.42, half_width * 0.78), (-DEPTH - 0.10, 3.25, 0.0)
        solids.append(box("board", *at, shop_at, shop, paint=board, text=text, casts_shadow=False))
        if rng.random() < 0.4:
            awning = (0.75, 0.05, half_width * 0.7)
            solids.append(box("board", *at, (-DEPTH - 0.75, 2.75, 0.0), awning, paint=rng.choice(BOARD_PAINTS)))
    return solids


def tree(place: tuple, instance: int, conifer: bool, rng: Random) -> list[Solid]:
    """A trunk and a crown of three pierced ellipsoids."""
    trunk = rng.uniform(0.8, 1.4) if conifer else rng.uniform(2.0, 3.0)
    solids = [box("trunk", tags.VEGETATION, instance, place, 0.0, (0, trunk / 2, 0), (0.15, trunk / 2 + 0.3, 0.15))]
    size = rng.uniform(0.85, 1.25)
    for level in range(3):
        if conifer:
            radii = (size * (1.35 - 0.38 * level), 1.35 * size, size * (1.35 - 0.38 * level))
            centre = (0.0, trunk + 1.0 * size + 1.35 * level * size, 0.0)
        else:
            radii = tuple(size * rng.uniform(a, b) for a, b in ((1.0, 1.7), (0.9, 1.4), (1.0, 1.7)))
            centre = (rng.uniform(-0.8, 0.8), trunk + 0.8 * radii[1] + 0.55 * level, rng.uniform(-0.8, 0.8))
        solids.append(
            Solid(
                place, INDEX["canopy"], tags.VEGETATION, instance, FLAT_PAINT["canopy"], radii, radii=radii,
                centre=centre, holes=0.2,
            )
        )  # fmt: skip
    return solids


def hedge(place: tuple, yaw: float, instance: int, half_length: float, rng: Random) -> Solid:
    """A clipped hedge along the street."""
    height = rng.uniform(0.35, 0.6)
    half = (0.35, height + 0.2, half_length)
    return box("canopy", tags.VEGETATION, instance, place, yaw, (0.0, height - 0.2, 0.0), half)


def street_lamp(place: tuple, yaw: float, instance: int) -> list[Solid]:
    """A post and an arm towards its own -x."""
    return [
        box("pole", tags.POLE, instance, place, yaw, (0, 3.1, 0), (0.06, 3.3, 0.06)),
        box("pole", tags.POLE, instance, place, yaw, (-0.8, 6.4, 0), (0.85, 0.05, 0.07)),
    ]


def island(place: tuple, instance: int, radius: float) -> list[Solid]:
    """The mound in the middle of a roundabout."""
    return [
        Solid(
            place, INDEX["grass"], tags.TERRAIN, instance, FLAT_PAINT["grass"], (radius, 0.9, radius),
            radii=(radius, 0.9, radius), centre=(0.0, -0.1, 0.0), casts_shadow=False,
        )
    ]  # fmt: skip
