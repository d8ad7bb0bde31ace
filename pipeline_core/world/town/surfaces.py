"""What a hit in a town is made of: like `world.surfaces`, with the details of a town's own things.

Details are looked up only for the pixels that show such a thing: most of a frame is ground, wall or sky.
"""

from collections.abc import Callable
from math import cos, pi

import torch
from torch import Tensor

from .. import tags
from ..materials import FLAT_PAINT, INDEX, LAMP_PAINTS, MATERIALS
from ..objects import LAMP_RADIUS, LAMP_SPACING
from ..raycast import Hits
from ..scene import BACKDROP, GROUND
from ..surfaces import LAMP_ORDER, Surface
from . import signs
from .glyphs import written
from .ground import describe_ground
from .scene import Town
from .vehicles import MODELS

DARK_LAMP, PANE = (0.22, 0.22, 0.24), (0.25, 0.38, 0.62)
MODEL_NAMES = tuple(MODELS)


def describe_town(town: Town, hits: Hits, seconds: Tensor, ground_at: Callable = describe_ground) -> Surface:
    """Look up and paint every hit. ground_at: what the ground is of; see `describe_ground`."""
    shape, solids = hits.depth.shape, town.solids
    index = hits.solid.long()
    flat = torch.tensor([FLAT_PAINT.get(m.name, (1.0, 1.0, 1.0)) for m in MATERIALS])
    table = torch.tensor([(s.material, s.tag, s.instance, s.variant) for s in solids] + [(-1, tags.SKY, 0, 0)])
    material, tag, instance, variant = table[torch.where(index < 0, len(solids), index)].unbind(-1)
    paint = torch.tensor([s.paint for s in solids] + [(1.0, 1.0, 1.0)])[torch.where(index < 0, len(solids), index)]
    zeros = torch.zeros(shape)
    # unbind gives views of one tensor, and what follows writes into them.
    surface = Surface(
        material.clone(), paint, tag.clone(), instance, zeros, zeros.clone(), zeros.clone(), zeros.clone(),
        torch.full((*shape, 2), 1e4),
    )  # fmt: skip
    ground = (index == GROUND).nonzero(as_tuple=True)
    point = hits.point[ground]
    ground_material, surface.tag[ground], surface.street[ground] = ground_at(town, point[:, 0], point[:, 2])
    surface.material[ground] = ground_material
    surface.paint[ground] = flat[ground_material]
    _backdrop(town, hits, surface, flat)
    details = _Details(town, hits, surface, variant, seconds)
    for name in ("wall", "car_body", "car_cabin", "tyre", "light_head", "sign_face", "board"):
        at = (surface.material == INDEX[name]).nonzero(as_tuple=True)
        if len(at[0]):
            getattr(details, name)(at)
    return surface


def _backdrop(town: Town, hits: Hits, surface: Surface, flat: Tensor) -> None:
    at = (hits.solid == BACKDROP).nonzero(as_tuple=True)
    if not len(at[0]):
        return
    x, y, z = hits.point[at].unbind(-1)
    trees = y < town.terrain.outline(x, z)[0]
    material = torch.where(trees, INDEX["far_trees"], INDEX["hill"])
    surface.material[at], surface.paint[at] = material, flat[material]
    surface.tag[at] = torch.where(trees, tags.VEGETATION, tags.TERRAIN)


class _Details:
    """Painters by material, each given the pixels that show it."""

    def __init__(self, town: Town, hits: Hits, surface: Surface, variant: Tensor, seconds: Tensor):
        self.town, self.hits, self.surface, self.variant, self.seconds = town, hits, surface, variant, seconds
        self.size = torch.tensor([s.size for s in town.solids])
        self.centre = torch.tensor([s.centre for s in town.solids])

    def _local(self, at: tuple) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Solid, place in its frame, the same from its middle, half extents and face."""
        index = self.hits.solid[at].long()
        local = self.hits.local[at]
        return index, local, local - self.centre[index], self.size[index], self.hits.face[at]

    def wall(self, at: tuple) -> None:
        """Panes with frames on all upright faces; in cities shop windows and a door on the ground floor's front."""
        _, local, rel, size, face = self._local(at)
        paint, variant = self.surface.paint[at], self.variant[at]
        upright, front = (face < 2) | (face > 3), face == 0
        along, height = torch.where(face < 2, rel[:, 2], rel[:, 0]), local[:, 1]
        top = rel.new_tensor(0.0) + 2 * size[:, 1] - 1.5
        city = top > 7.0
        period = 3.0 + 0.45 * variant
        u, v = along / period + 100.0, torch.where(city, (height - 4.0) / 3.2, (height - 0.7) / 2.9)
        x, y = torch.remainder(u, 1.0) - 0.5, torch.remainder(v, 1.0) - 0.5
        storey = upright & torch.where(city, height > 4.0, height > 0.7) & (height < top - 0.5)
        storey &= v.floor() < torch.where(city, (top - 4.5) / 3.2, (top - 0.7) / 2.9).floor().clamp(min=1)
        tall = torch.where(variant % 2 == 0, 0.30, 0.22)
        frame = storey & (x.abs() < 0.26) & (y.abs() < tall + 0.05)
        pane = storey & (x.abs() < 0.23) & (y.abs() < tall) & ((x.abs() > 0.012) | (variant % 3 == 0))
        shop = front & city & (height > 0.5) & (height < 2.75) & (rel[:, 2].abs() < 0.9 * size[:, 2])
        bay = torch.remainder(rel[:, 2] / 2.4 + 100.5, 1.0)
        shop_pane = shop & ((bay - 0.5).abs() < 0.44)
        door = front & (rel[:, 2] - 0.35 * size[:, 2]).abs().lt(0.55) & (height < 2.2)
        number = torch.remainder(u.floor() * 37 + v.floor() * 101 + self.surface.instance[at] * 17, 97.0) / 97.0
        base = upright & city & (height < 3.7)
        paint = torch.where(base[:, None], 0.72 * paint, paint)
        paint = _set(frame, (0.92, 0.90, 0.86), paint)
        glass = (pane | shop_pane) & ~door
        paint = _set(glass, PANE, paint)
        paint = _set(door, (0.35, 0.20, 0.12), paint)
        self.surface.paint[at] = paint
        self.surface.glass[at] = glass.float()
        self.surface.window[at] = torch.where(glass, number + 1e-3, 0.0)

    def car_body(self, at: tuple) -> None:
        """Arches, lamps, plates, bumpers, door seams."""
        index, local, rel, size, face = self._local(at)
        x, y, z = local.unbind(-1)
        if bool((size[:, 0] < 0.3).all()):
            return
        vehicle = size[:, 0] > 0.3
        side, back, front = vehicle & (face <= 1), vehicle & (face == 2), vehicle & (face == 3)
        low, high = self.centre[index, 1] - size[:, 1], self.centre[index, 1] + size[:, 1]
        wheel = low + 0.06
        paint = self.surface.paint[at]
        arch = side & (((z.abs() - 0.62 * size[:, 2]) ** 2 + (y - wheel) ** 2) < (wheel + 0.08) ** 2)
        seams = side & ((z - 0.12).abs().lt(0.02) | (z + 0.45 * size[:, 2]).abs().lt(0.02)) & (y > low + 0.12)
        paint = _set(arch | seams | (vehicle & (y < low + 0.10)), (0.07, 0.07, 0.08), paint)
        at_lamps = (x.abs() > 0.62 * size[:, 0]) & (x.abs() < 0.97 * size[:, 0])
        lamp_y = low + 0.62 * (high - low)
        tail, head = back & at_lamps & ((y - lamp_y).abs() < 0.11), front & at_lamps & ((y - lamp_y).abs() < 0.09)
        grille = front & (x.abs() < 0.5 * size[:, 0]) & ((y - lamp_y + 0.06).abs() < 0.10)
        paint = _set(grille, (0.06, 0.06, 0.07), paint)
        paint = _set(tail, (0.75, 0.02, 0.02), paint)
        paint = _set(head, (1.0, 1.0, 0.92), paint)
        plate = (back | front) & (x.abs() < 0.26) & ((y - low - 0.24).abs() < 0.065)
        paint = _set(plate, (0.95, 0.95, 0.95), paint)
        self.surface.paint[at] = paint
        self.surface.glow[at] = torch.where(tail | head, 0.5, 0.0)

    def car_cabin(self, at: tuple) -> None:
        """Window panes with pillars; long vehicles have a row of them, vans only in front."""
        _, local, rel, size, face = self._local(at)
        variant = self.variant[at]
        z = rel[:, 2]
        side, end = face <= 1, (face == 2) | (face == 3)
        pane = (face < 4) & (rel[:, 1].abs() < 0.76 * size[:, 1])
        long, van = variant == MODEL_NAMES.index("bus"), variant == MODEL_NAMES.index("van")
        pillar = torch.where(long, torch.remainder(z + 50.0, 1.5) < 0.10, (z + 0.08).abs() < 0.05)
        edge = torch.where(side, z.abs() > 0.86 * size[:, 2], rel[:, 0].abs() > 0.90 * size[:, 0])
        pane &= ~(side & pillar) & ~edge & ~(van & side & (z < 0.35 * size[:, 2]))
        pane &= ~(van & end & (face == 2) & (rel[:, 1] < 0.1))
        self.surface.paint[at] = _set(pane, (0.14, 0.19, 0.27), self.surface.paint[at])
        self.surface.glass[at] = pane.float()

    def tyre(self, at: tuple) -> None:
        """Bright rims on the flanks of wheels; spokes and gaps on those of bicycles."""
        index, local, rel, size, face = self._local(at)
        radius = torch.sqrt(rel[:, 1] ** 2 + rel[:, 2] ** 2)
        flank = self.hits.normal[at][:, 1].abs() < 0.4
        flank &= (rel[:, 0].abs() > 0.97 * size[:, 0]) | (size[:, 0] < 0.1)
        rim = flank & (radius < 0.62 * size[:, 1])
        self.surface.paint[at] = _set(rim, (0.62, 0.62, 0.65), self.surface.paint[at])

    def light_head(self, at: tuple) -> None:
        """Three lamps on the face towards the ego, one lit. The dark ones look alike, whichever is lit."""
        _, local, rel, _, face = self._local(at)
        paint, lit = self.surface.paint[at], torch.zeros(len(face), dtype=torch.bool)
        instance = self.surface.instance[at]
        for slot, name in enumerate(LAMP_ORDER):
            disc = (face == 4) & (rel[:, 0] ** 2 + (rel[:, 1] - LAMP_SPACING * (1 - slot)) ** 2 < LAMP_RADIUS**2)
            on = torch.zeros_like(disc)
            for light in self.town.lights:
                states = torch.tensor([light.state_at(second) == name for second in self.seconds.tolist()])
                on |= disc & (instance == light.instance) & states[at[0]]
            paint = _set(disc, DARK_LAMP, paint)
            paint = _set(on, LAMP_PAINTS[name], paint)
            lit |= on
        self.surface.paint[at] = paint
        self.surface.glow[at] = lit.float()
        self.surface.lamp[at] = lit.float()

    def sign_face(self, at: tuple) -> None:
        """Rim, ground and words on face 0; the rest is bare metal."""
        index, local, rel, size, face = self._local(at)
        paint = torch.full((len(face), 3), 0.6)
        for number in index.unique().tolist():
            solid = self.town.solids[number]
            kind = signs.KINDS[signs.NAMES[solid.variant]]
            front = (index == number) & (face == 0)
            x, y = rel[:, 0], rel[:, 1]
            paint = _set(front, kind.ground, paint)
            inset = _inset(kind, solid.size, x, y)
            if kind.rim:
                # A broad rim to the edge where it carries the meaning, else a thin line a little inside.
                low, high = (0.0, 0.13) if kind.sides in (3, 16) else (0.015, 0.05)
                paint = _set(front & (inset > low) & (inset < high), kind.rim, paint)
            if solid.text:
                lower = -0.1 if kind.sides == 3 else 0.0
                words = front & written(solid.text, x, y - lower, 2 * kind.text[0], 2 * kind.text[1])
                paint = _set(words, kind.ink, paint)
        self.surface.paint[at] = paint

    def board(self, at: tuple) -> None:
        """Shop names, on the face towards the street and only there."""
        index, local, rel, _, face = self._local(at)
        paint = self.surface.paint[at]
        for number in index.unique().tolist():
            solid = self.town.solids[number]
            if not solid.text:
                continue
            width = min(2.0 * solid.size[2] * 0.85, 0.62 * len(solid.text))
            # Seen from the street, the building's +z runs to the left on its front.
            words = (index == number) & (face == 0) & written(solid.text, -rel[:, 2], rel[:, 1], width, 0.52)
            ink = (0.98, 0.97, 0.92) if sum(solid.paint) < 1.9 else (0.10, 0.10, 0.12)
            paint = _set(words, ink, paint)
        self.surface.paint[at] = paint


def _inset(kind: signs.Kind, size: tuple, x: Tensor, y: Tensor) -> Tensor:
    """Metres from a place on a sign's face to its nearest edge."""
    if not kind.sides:
        return torch.minimum(size[0] - x.abs(), size[1] - y.abs())
    sector = 2 * pi / kind.sides
    angle = torch.remainder(torch.atan2(x, y) - kind.turn + sector / 2, sector) - sector / 2
    return size[0] * cos(pi / kind.sides) - torch.sqrt(x * x + y * y) * torch.cos(angle)


def _set(mask: Tensor, colour: tuple, paint: Tensor) -> Tensor:
    return torch.where(mask[:, None], torch.tensor(colour), paint)
