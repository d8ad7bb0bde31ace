"""What a hit is made of: material, paint, class, instance and the details painted on it.

Both styles start from this, so they can only differ in how a thing looks, never in what or where it is.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from . import tags
from .materials import FLAT_PAINT, INDEX, LAMP_PAINTS, MATERIALS, SIGN_KINDS
from .objects import KERB_WIDTH, LAMP_RADIUS, LAMP_SPACING, LANE, SIDEWALK_WIDTH
from .raycast import Hits
from .scene import CROSS_HALF_WIDTH, GROUND, SKY, Scene

LAMP_ORDER = ("red", "yellow", "green")


@dataclass(frozen=True)
class Surface:
    """Per-pixel description, all (F, H, W, ...).

    material: index into MATERIALS (-1 in the sky); paint: sRGB (.., 3); tag, instance: ids; glass, glow: in [0, 1],
    the share of window glass and of self-luminous lamp; window: a random number per window pane (0 elsewhere);
    lamp: 0 off, 1 where the lit lamp of a signal shows; street (F, H, W, 2): of a town's ground, metres along
    the street and off the inner edge of its lanes.
    """

    material: Tensor
    paint: Tensor
    tag: Tensor
    instance: Tensor
    glass: Tensor
    glow: Tensor
    window: Tensor
    lamp: Tensor
    street: Tensor | None = None


def describe(scene: Scene, hits: Hits, seconds: Tensor) -> Surface:
    """Look up and paint every hit."""
    solids = scene.solids
    index = hits.solid.long().clamp(min=0)
    on_solid = hits.solid >= 0
    material = torch.tensor([s.material for s in solids])[index]
    tag = torch.tensor([s.tag for s in solids])[index]
    instance = torch.tensor([s.instance for s in solids])[index]
    paint = torch.tensor([s.paint for s in solids])[index]
    size = torch.tensor([s.size for s in solids])[index]
    centre = torch.tensor([s.centre for s in solids])[index]
    variant = torch.tensor([s.variant for s in solids])[index]
    ground = hits.solid == GROUND
    ground_material, ground_tag = _ground(scene, hits.point)
    material = torch.where(ground, ground_material, material)
    tag = torch.where(ground, ground_tag, tag)
    flat = torch.tensor([FLAT_PAINT.get(m.name, (1.0, 1.0, 1.0)) for m in MATERIALS])
    paint = torch.where(ground[..., None], flat[ground_material], paint)
    material = torch.where(hits.solid == SKY, -1, material)
    tag = torch.where(hits.solid == SKY, tags.SKY, tag)
    instance = torch.where(on_solid, instance, 0)

    rel = hits.local - centre
    glass = torch.zeros(hits.depth.shape)
    glow = torch.zeros_like(glass)
    window = torch.zeros_like(glass)
    lamp = torch.zeros_like(glass)
    paint, glass, window = _windows(material, hits, rel, size, variant, instance, paint, glass, window)
    paint, glass, glow = _car_details(material, hits, rel, size, paint, glass, glow)
    paint, glow, lamp = _signal_lamps(scene, material, instance, hits, rel, seconds, paint, glow, lamp)
    paint = _sign_faces(material, hits, rel, variant, paint)
    return Surface(material, paint, tag, instance, glass, glow, window, lamp)


def _set(mask: Tensor, colour: tuple, paint: Tensor) -> Tensor:
    return torch.where(mask[..., None], torch.tensor(colour), paint)


def _ground(scene: Scene, point: Tensor) -> tuple[Tensor, Tensor]:
    """Material and class of the plane y = 0: road, marks, crossings, sidewalk, grass."""
    x, z = point[..., 0], point[..., 2]
    ax, edge = x.abs(), scene.road_half_width
    centres = torch.tensor(scene.crossings if scene.crossings else (-1e6,))
    nearest = (z[..., None] - centres).abs().amin(dim=-1)
    in_cross = nearest < CROSS_HALF_WIDTH
    road = (ax < edge) | in_cross
    sidewalk = ~road & (ax < edge + KERB_WIDTH + SIDEWALK_WIDTH)
    side_walk_of_cross = ~road & (nearest < CROSS_HALF_WIDTH + 2.5)
    material = torch.full(x.shape, INDEX["grass"])
    material = torch.where(sidewalk | side_walk_of_cross, INDEX["sidewalk"], material)
    if scene.area == "city street":
        material = torch.where(~road, INDEX["sidewalk"], material)
    material = torch.where(road, INDEX["asphalt"], material)

    zebra = (nearest > CROSS_HALF_WIDTH + 0.8) & (nearest < CROSS_HALF_WIDTH + 3.4) & (ax < edge - 0.25)
    zebra &= torch.remainder(x, 1.1) < 0.6
    marked = (nearest > CROSS_HALF_WIDTH + 4.4) & (ax < edge)
    stop_line = (nearest > CROSS_HALF_WIDTH + 4.0) & (nearest < CROSS_HALF_WIDTH + 4.45) & (ax < edge)
    stop_line &= torch.where(z < centres[(z[..., None] - centres).abs().argmin(dim=-1)], x > 0, x < 0)
    dashes = torch.remainder(z, 6.0) < 3.0
    white = marked & ((ax - (edge - 0.25)).abs() < 0.07)
    if scene.lanes == 2:
        white |= marked & dashes & ((ax - LANE).abs() < 0.08)
        yellow = marked & ((ax - 0.18).abs() < 0.07)
    else:
        yellow = marked & dashes & (ax < 0.08)
    white |= zebra | stop_line
    material = torch.where(white, INDEX["line"], material)
    material = torch.where(yellow, INDEX["yellow_line"], material)
    tag = torch.where(road, tags.ROAD, torch.where(material == INDEX["grass"], tags.TERRAIN, tags.SIDEWALK))
    return material, torch.where(white | yellow, tags.ROAD_LINE, tag)


def _windows(material, hits, rel, size, variant, instance, paint, glass, window):
    """A grid of panes on the walls; its period and share vary between buildings."""
    wall = (material == INDEX["wall"]) & (hits.normal[..., 1].abs() < 0.5)
    along = torch.where(hits.normal[..., 0].abs() > 0.5, rel[..., 2], rel[..., 0])
    height = hits.local[..., 1]
    period = 3.6 + 0.5 * variant
    u, v = along / period + 100.0, (height - 0.9) / 4.0
    pane = wall & ((torch.remainder(u, 1.0) - 0.5).abs() < 0.27) & ((torch.remainder(v, 1.0) - 0.5).abs() < 0.3)
    pane &= (height > 0.9) & (height < 2 * size[..., 1] - 0.7)
    number = torch.remainder(u.floor() * 37 + v.floor() * 101 + instance * 17, 97.0) / 97.0
    paint = _set(pane, (0.25, 0.38, 0.62), paint)
    return paint, torch.where(pane, torch.ones_like(glass), glass), torch.where(pane, number + 1e-3, window)


def _car_details(material, hits, rel, size, paint, glass, glow):
    """Tyres, head and tail lamps and plates on the body; glass with pillars on the cabin."""
    x, y, z = hits.local.unbind(-1)
    body, cabin = material == INDEX["car_body"], material == INDEX["car_cabin"]
    side = hits.face <= 1
    axle = 0.62 * size[..., 2]
    wheel = body & side & (((z.abs() - axle) ** 2 + (y - 0.34) ** 2) < 0.35**2)
    paint = _set(wheel, (0.06, 0.06, 0.07), paint)
    paint = _set(body & side & (((z.abs() - axle) ** 2 + (y - 0.34) ** 2) < 0.17**2), (0.62, 0.62, 0.65), paint)
    back, front = body & (hits.face == 2), body & (hits.face == 3)
    outer = (x.abs() > 0.55 * size[..., 0]) & (x.abs() < 0.95 * size[..., 0])
    tail = back & outer & ((y - 0.68).abs() < 0.12)
    head = front & outer & ((y - 0.62).abs() < 0.11)
    paint = _set(tail, (0.75, 0.02, 0.02), paint)
    paint = _set(head, (1.0, 1.0, 0.92), paint)
    paint = _set((back | front) & (x.abs() < 0.26) & ((y - 0.5).abs() < 0.07), (0.95, 0.95, 0.95), paint)
    pane = cabin & (hits.face < 4) & (rel[..., 1].abs() < 0.72 * size[..., 1])
    pane &= ~(side & (z - hits.local[..., 2] + rel[..., 2]).abs().lt(0.05))
    paint = _set(pane, (0.16, 0.22, 0.32), paint)
    glass = torch.where(pane, torch.ones_like(glass), glass)
    return paint, glass, torch.where(tail | head, torch.full_like(glow, 0.5), glow)


def _signal_lamps(scene, material, instance, hits, rel, seconds, paint, glow, lamp):
    """Three lamps on the face towards the ego, one lit. The dark ones look alike, whichever is lit."""
    head = (material == INDEX["light_head"]) & (hits.face == 4)
    for slot, name in enumerate(LAMP_ORDER):
        radius2 = rel[..., 0] ** 2 + (rel[..., 1] - LAMP_SPACING * (1 - slot)) ** 2
        paint = _set(head & (radius2 < LAMP_RADIUS**2), (0.22, 0.22, 0.24), paint)
    for light in scene.lights:
        mine = head & (instance == light.instance)
        if not bool(mine.any()):
            continue
        for frame, second in enumerate(seconds.tolist()):
            name = light.state_at(second)
            slot = LAMP_ORDER.index(name)
            radius2 = rel[frame, ..., 0] ** 2 + (rel[frame, ..., 1] - LAMP_SPACING * (1 - slot)) ** 2
            lit = mine[frame] & (radius2 < LAMP_RADIUS**2)
            paint[frame] = _set(lit, LAMP_PAINTS[name], paint[frame])
            glow[frame] = torch.where(lit, torch.ones_like(glow[frame]), glow[frame])
            lamp[frame] = torch.where(lit, torch.ones_like(lamp[frame]), lamp[frame])
    return paint, glow, lamp


def _sign_faces(material, hits, rel, variant, paint):
    """The four kinds of sign seen from the front; the back is bare metal."""
    face = material == INDEX["sign_face"]
    front = face & (hits.normal[..., 2] < -0.5)
    paint = _set(face & ~front, (0.6, 0.6, 0.62), paint)
    radius = (rel[..., 0] ** 2 + rel[..., 1] ** 2).sqrt()
    kind = {name: front & (variant == k) for k, name in enumerate(SIGN_KINDS)}
    red, white, blue = (0.92, 0.04, 0.06), (1.0, 1.0, 1.0), (0.05, 0.22, 0.90)
    paint = _set(kind["stop"], red, paint)
    paint = _set(kind["stop"] & (rel[..., 1].abs() < 0.11) & (rel[..., 0].abs() < 0.38), white, paint)
    paint = _set(kind["limit"], red, paint)
    paint = _set(kind["limit"] & (radius < 0.36), white, paint)
    paint = _set(kind["direction"], blue, paint)
    paint = _set(kind["direction"] & (rel[..., 0].abs() < 0.09) & (rel[..., 1].abs() < 0.33), white, paint)
    paint = _set(kind["warning"], red, paint)
    inner = (rel[..., 1] > -0.19) & (rel[..., 1] + 1.73 * rel[..., 0].abs() < 0.36)
    return _set(kind["warning"] & inner, (1.0, 0.98, 0.9), paint)
