"""The town's one street: a closed centreline of straight lines and arcs, and the lanes that run along it.

Places along the street are (s, d): s metres along the centreline, which wraps at its length, and d metres to its
right. A heading is the angle of (sin, cos) in the x-z plane; a positive curvature turns right.
"""

from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from math import atan2, cos, hypot, pi, sin, tan
from random import Random

import torch
from torch import Tensor

SEAM = 2e-3  # metres by which pieces overlap, so that rounding opens no crack between them
FAR_FROM_STREET = 1e4  # |d| where no part of the street runs beside a place
# A roundabout: how far lanes swing out at its middle, over which half length, and the radius of its island.
SWING, SWING_LENGTH, ISLAND = 10.3, 27.0, 7.6


@dataclass(frozen=True)
class Piece:
    """A line (curvature 0) or arc from (x, z) with `heading`, covering [start, start + length) of the street."""

    start: float
    length: float
    x: float
    z: float
    heading: float
    curvature: float

    def at(self, run: float) -> tuple[float, float, float]:
        """x, z and heading `run` metres along the piece."""
        h, k, turned = self.heading, self.curvature, self.heading + self.curvature * run
        if k == 0:
            return self.x + run * sin(h), self.z + run * cos(h), h
        return self.x + (cos(h) - cos(turned)) / k, self.z + (sin(turned) - sin(h)) / k, turned


@dataclass(frozen=True, eq=False)
class Route:
    """A closed street. roundabouts: where (s) the lanes part around an island.

    Equal only to itself, like all that moves on it: they are keys of many tables, and hashing every part is slow.
    """

    pieces: tuple[Piece, ...]
    roundabouts: tuple[float, ...] = ()

    @property
    def length(self) -> float:
        return self.pieces[-1].start + self.pieces[-1].length

    def at(self, s: Tensor, d: Tensor | float = 0.0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """x, z, heading and curvature (each shaped like s) of the centreline at s, moved d to the right; float64."""
        s = torch.remainder(s.double(), self.length)
        table = _table(self)
        row = table[(torch.searchsorted(table[:, 0].contiguous(), s, right=True) - 1).clamp(min=0)]
        start, x, z, heading, k = row.unbind(-1)
        run = s - start
        turned = heading + k * run
        bent = torch.where(k == 0, torch.ones_like(k), k)
        x = x + torch.where(k == 0, run * torch.sin(heading), (torch.cos(heading) - torch.cos(turned)) / bent)
        z = z + torch.where(k == 0, run * torch.cos(heading), (torch.sin(turned) - torch.sin(heading)) / bent)
        return x + d * torch.cos(turned), z - d * torch.sin(turned), turned, k

    def place(self, s: float, d: float) -> tuple[float, float, float]:
        """x, z and heading of one place: `at` for a number."""
        s %= self.length
        piece = self.pieces[max(0, bisect_right([p.start for p in self.pieces], s) - 1)]
        x, z, heading = piece.at(s - piece.start)
        return x + d * cos(heading), z - d * sin(heading), heading

    def swing(self, s: Tensor) -> tuple[Tensor, Tensor]:
        """How far the lanes stand off the centreline at s because of a roundabout, and its slope along s."""
        off, slope = torch.zeros_like(s), torch.zeros_like(s)
        for middle in self.roundabouts:
            u = (torch.remainder(s - middle + self.length / 2, self.length) - self.length / 2) / SWING_LENGTH
            inside = (1 - u * u).clamp(min=0)
            off = off + SWING * inside * inside
            slope = slope - 4 * SWING / SWING_LENGTH * u * inside
        return off, slope

    def locate(self, x: Tensor, z: Tensor, reach: float = 90.0) -> tuple[Tensor, Tensor]:
        """(s, d) of the nearest part of the centreline; d is FAR_FROM_STREET where no piece runs beside the place.
        reach: |d| beyond which a piece need not be found."""
        best_s, best_d = torch.zeros_like(x), torch.full_like(x, FAR_FROM_STREET)
        if not len(x):
            return best_s, best_d
        low, high = (float(x.min()), float(z.min())), (float(x.max()), float(z.max()))
        for piece in self.pieces:
            mx, mz, _ = piece.at(piece.length / 2)
            gap = hypot(max(low[0] - mx, mx - high[0], 0.0), max(low[1] - mz, mz - high[1], 0.0))
            if gap > piece.length / 2 + reach:
                continue
            s, d, beside = _beside(piece, x, z)
            nearer = beside & (d.abs() < best_d.abs())
            best_s, best_d = torch.where(nearer, s, best_s), torch.where(nearer, d, best_d)
        return best_s, best_d

    def along(self, s: Tensor, mark: float) -> Tensor:
        """Signed metres from `mark` to s the short way round."""
        return torch.remainder(s - mark + self.length / 2, self.length) - self.length / 2


@lru_cache(maxsize=8)
def _table(route: Route) -> Tensor:
    return torch.tensor([(p.start, p.x, p.z, p.heading, p.curvature) for p in route.pieces], dtype=torch.float64)


def _beside(piece: Piece, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """s and d along one piece, and whether the place lies beside it."""
    sh, ch, k = sin(piece.heading), cos(piece.heading), piece.curvature
    rx, rz = x - piece.x, z - piece.z
    if k == 0:
        run, d = rx * sh + rz * ch, rx * ch - rz * sh
    else:
        side, radius = (1.0 if k > 0 else -1.0), 1 / abs(k)
        # From the centre of the arc, in the frame whose first axis points at the arc's start.
        outward = -side * (rx * ch - rz * sh) + radius
        forward = rx * sh + rz * ch
        d = side * (radius - torch.sqrt(outward * outward + forward * forward))
        run = torch.atan2(forward, outward) * radius
    return piece.start + run, d, (run >= -SEAM) & (run <= piece.length + SEAM)


def make_route(rng: Random, corners: int, size: float, tightest: float) -> Route:
    """A closed street around the origin with rounded corners: some tight like a turn, some wide like a country bend.

    size: metres from the middle to a typical corner; tightest: the least radius of an arc.
    """
    while True:
        turns = [2 * pi * (i + rng.uniform(-0.3, 0.3)) / corners for i in range(corners)]
        points = [(r * sin(a), r * cos(a)) for a, r in ((a, size * rng.uniform(0.62, 1.3)) for a in turns)]
        radii = [rng.choice((rng.uniform(tightest, 1.5 * tightest), rng.uniform(32, 60))) for _ in points]
        # Half of all towns are driven with the clock, where most corners turn right, half against it.
        pieces = _rounded(points[:: rng.choice((-1, 1))], radii, tightest)
        if pieces:
            return Route(pieces)


def _rounded(points: list, radii: list, tightest: float) -> tuple[Piece, ...]:
    """Lines and arcs through a polygon, or nothing where a corner is too sharp or an edge too short for its arcs."""
    count = len(points)
    edges = [(points[(i + 1) % count][0] - x, points[(i + 1) % count][1] - z) for i, (x, z) in enumerate(points)]
    heads, lengths = [atan2(x, z) for x, z in edges], [hypot(x, z) for x, z in edges]
    bends = [(heads[i] - heads[i - 1] + pi) % (2 * pi) - pi for i in range(count)]
    room = [0.46 * min(lengths[i - 1], lengths[i]) for i in range(count)]
    radii = [min(r, space / max(tan(abs(b) / 2), 1e-6)) for r, space, b in zip(radii, room, bends, strict=True)]
    if any(abs(b) > 1.75 or abs(b) < 0.08 or r < tightest for b, r in zip(bends, radii, strict=True)):
        return ()
    cuts = [r * tan(abs(b) / 2) for r, b in zip(radii, bends, strict=True)]
    x, z = (p + cuts[0] * e / lengths[0] for p, e in zip(points[0], edges[0], strict=True))
    pieces, start = [], 0.0
    for i in range(count):
        after = (i + 1) % count
        line = Piece(start, lengths[i] - cuts[i] - cuts[after], x, z, heads[i], 0.0)
        x, z, _ = line.at(line.length)
        bend = bends[after]
        radius = radii[after]
        arc = Piece(start + line.length, radius * abs(bend), x, z, heads[i], (1 if bend > 0 else -1) / radius)
        x, z, _ = arc.at(arc.length)
        pieces += [line, arc]
        start = arc.start + arc.length
    return tuple(pieces)
