"""The ground of a town: lanes, marks, crossings, roundabouts, sidewalks and what lies beyond, by place."""

from math import cos, sin

import torch
from torch import Tensor

from .. import tags
from ..materials import INDEX
from ..objects import KERB_WIDTH, LANE, SIDEWALK_WIDTH
from .layout import CROSS_HALF_WIDTH, CROSS_REACH
from .route import FAR_FROM_STREET, ISLAND
from .scene import Town

DASH, GAP = 3.0, 3.0
PLAZA = 16.0  # metres beyond the sidewalk that a city paves


def describe_ground(town: Town, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Material and class (N,) of places on the ground, and (N, 2): metres along the street and off the lanes' inner
    edge, which is the centreline except where lanes part round an island."""
    s, d = town.route.locate(x, z)
    beside = d.abs() < FAR_FROM_STREET
    swing = town.route.swing(s)[0]
    e, edge = d.abs() - swing, town.road_half_width
    u, v = _nearest_crossing(town, x, z)
    in_cross = (u.abs() < CROSS_HALF_WIDTH) & (v.abs() < CROSS_REACH)
    middle, island = _roundabouts(town, x, z)
    road = (beside & (e < edge)) | in_cross
    walk = beside & (e < edge + KERB_WIDTH + SIDEWALK_WIDTH)
    walk |= (u.abs() < CROSS_HALF_WIDTH + 2.5) & (v.abs() < CROSS_REACH)
    material = torch.full(x.shape, INDEX["grass"])
    if town.area == "city street":
        material = torch.where(beside & (e < edge + SIDEWALK_WIDTH + PLAZA), INDEX["plaza"], material)
    material = torch.where(walk, INDEX["sidewalk"], material)
    material = torch.where(beside & (e > edge) & (e < edge + KERB_WIDTH), INDEX["kerb"], material)
    material = torch.where(road, INDEX["asphalt"], material)
    material = torch.where(middle & island, INDEX["grass"], material)

    near_cross = (v.abs() < edge + swing) & (u.abs() < 40)
    off_cross = torch.where(near_cross, u.abs(), torch.full_like(u, 40.0))
    zebra = near_cross & (off_cross > CROSS_HALF_WIDTH + 0.8) & (off_cross < CROSS_HALF_WIDTH + 3.4) & (e < edge - 0.25)
    zebra &= torch.remainder(d, 1.1) < 0.6
    stop_line = (off_cross > CROSS_HALF_WIDTH + 4.0) & (off_cross < CROSS_HALF_WIDTH + 4.45) & (e < edge) & (e > 0.1)
    stop_line &= torch.where(u < 0, d > 0, d < 0)
    marked = beside & ~in_cross & (off_cross > CROSS_HALF_WIDTH + 4.4) & (e < edge) & ~middle
    dashes = torch.remainder(s, DASH + GAP) < DASH
    apart = swing > 0.05
    white = marked & ((e - (edge - 0.25)).abs() < 0.07)
    if town.lanes == 2:
        white |= marked & dashes & ((e - LANE).abs() < 0.08)
        yellow = marked & ((e - 0.18).abs() < 0.07)
    else:
        yellow = marked & torch.where(apart, (e - 0.12).abs() < 0.08, dashes & (e.abs() < 0.08))
    # Between the parted lanes lies a hatched island of paint.
    yellow |= marked & apart & (e < -0.25) & (torch.remainder(s + d.abs(), 2.4) < 0.5)
    white |= zebra | stop_line
    material = torch.where(white, INDEX["line"], material)
    material = torch.where(yellow, INDEX["yellow_line"], material)
    road = road & ~(middle & island)
    tag = torch.where(road, tags.ROAD, torch.where(material == INDEX["grass"], tags.TERRAIN, tags.SIDEWALK))
    tag = torch.where(white | yellow, tags.ROAD_LINE, tag)
    return material, tag, torch.stack([s, torch.where(beside, e, torch.full_like(e, FAR_FROM_STREET))], dim=-1)


def _nearest_crossing(town: Town, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Metres along and aside of the street from the middle of the nearest crossing."""
    best_u, best_v = torch.full_like(x, 1e6), torch.full_like(x, 1e6)
    for s, _ in town.crossings:
        cx, cz, heading = town.route.place(s, 0.0)
        u = (x - cx) * sin(heading) + (z - cz) * cos(heading)
        v = (x - cx) * cos(heading) - (z - cz) * sin(heading)
        nearer = u.abs() + v.abs() < best_u.abs() + best_v.abs()
        best_u, best_v = torch.where(nearer, u, best_u), torch.where(nearer, v, best_v)
    return best_u, best_v


def _roundabouts(town: Town, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Where the ring of a roundabout and its island are."""
    ring = island = torch.zeros_like(x, dtype=torch.bool)
    for s in town.route.roundabouts:
        cx, cz, _ = town.route.place(s, 0.0)
        r = torch.sqrt((x - cx) ** 2 + (z - cz) ** 2)
        ring, island = ring | (r < ISLAND + 1.2), island | (r < ISLAND)
    return ring, island
