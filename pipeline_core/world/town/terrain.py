"""The rolling ground of a town, where rays meet it, and the hills around."""

from dataclasses import dataclass
from math import cos, pi, sin
from random import Random

import torch
from torch import Tensor

STEPS, HALVINGS, NEWTON = 12, 2, 2
TREES_HEIGHT, HILLS_HEIGHT = 7.0, 30.0


@dataclass(frozen=True, eq=False)
class Terrain:
    """Height y = sum of a sin(kx x + kz z + phase) over the waves; around it, at `rim` metres from the origin, stands
    a wall of trees and hills whose outline is a sum of sines of the azimuth: ridges (amplitude, number, phase)."""

    waves: tuple[tuple[float, float, float, float], ...]
    ridges: tuple[tuple[float, int, float], ...]
    rim: float

    @property
    def highest(self) -> float:
        """No ground is higher, and none lower than this under zero."""
        return sum(wave[0] for wave in self.waves)

    def height(self, x: Tensor, z: Tensor) -> Tensor:
        """Metres, shaped like x and z."""
        return sum(a * torch.sin(kx * x + kz * z + phase) for a, kx, kz, phase in self.waves)

    def slopes(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """dy/dx and dy/dz."""
        terms = [(a * torch.cos(kx * x + kz * z + phase), kx, kz) for a, kx, kz, phase in self.waves]
        return sum(t * kx for t, kx, _ in terms), sum(t * kz for t, _, kz in terms)

    def height_at(self, x: float, z: float) -> float:
        """`height` of one place, as a number."""
        return sum(a * sin(kx * x + kz * z + phase) for a, kx, kz, phase in self.waves)

    def normal(self, x: Tensor, z: Tensor) -> Tensor:
        """Unit upward normals (..., 3)."""
        dx, dz = self.slopes(x, z)
        normal = torch.stack([-dx, torch.ones_like(dx), -dz], dim=-1)
        return normal / normal.norm(dim=-1, keepdim=True)

    def meet(self, origin: Tensor, direction: Tensor) -> Tensor:
        """First t > 0.5 at which rays origin + t direction, both (N, 3), go below ground, or inf before the rim.

        Between the heights of the highest and the lowest ground, even steps in log t bracket the first crossing;
        halving and Newton's method narrow it. The waves are longer than any step near by, and lower than any ray's gap
        far away.
        """
        down = (-direction[:, 1]).clamp(min=1e-6)
        start = ((origin[:, 1] - self.highest) / down).clamp(min=0.5)
        leaves = torch.where(direction[:, 1] < 0, (origin[:, 1] + self.highest) / down, float("inf"))
        far = torch.minimum(self.to_rim(origin, direction), leaves * 1.001 + 0.01)
        start = torch.minimum(start, 0.999 * far)
        ratio = (far / start) ** (1 / STEPS)
        low = start
        hit, t_high = torch.zeros_like(far, dtype=torch.bool), far.clone()
        t = low
        for _ in range(STEPS):
            t = t * ratio
            crossed = ~hit & (self._gap(origin, direction, t) < 0)
            t_high = torch.where(crossed, t, t_high)
            hit = hit | crossed
            low = torch.where(hit, low, t)
        for _ in range(HALVINGS):
            middle = 0.5 * (low + t_high)
            above = self._gap(origin, direction, middle) > 0
            low, t_high = torch.where(above, middle, low), torch.where(above, t_high, middle)
        t = 0.5 * (low + t_high)
        for _ in range(NEWTON):
            x, z = origin[:, 0] + t * direction[:, 0], origin[:, 2] + t * direction[:, 2]
            dx, dz = self.slopes(x, z)
            closing = direction[:, 1] - dx * direction[:, 0] - dz * direction[:, 2]
            step = self._gap(origin, direction, t) / torch.where(closing.abs() < 1e-4, -1e-4, closing)
            t = torch.minimum(torch.maximum(t - step, low), t_high)
        return torch.where(hit, t, torch.full_like(t, float("inf")))

    def to_rim(self, origin: Tensor, direction: Tensor) -> Tensor:
        """t at which rays from inside reach the rim."""
        a = direction[:, 0] ** 2 + direction[:, 2] ** 2
        b = origin[:, 0] * direction[:, 0] + origin[:, 2] * direction[:, 2]
        c = origin[:, 0] ** 2 + origin[:, 2] ** 2 - self.rim**2
        return (-b + torch.sqrt((b * b - a * c).clamp(min=0))) / a.clamp(min=1e-9)

    def outline(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Heights of the trees and of the hills behind them on the rim towards (x, z)."""
        azimuth = torch.atan2(x, z)
        wave = sum(a * torch.sin(n * azimuth + phase) for a, n, phase in self.ridges)
        fine = torch.sin(97 * azimuth) + torch.sin(173 * azimuth + 1) + 0.7 * torch.sin(311 * azimuth + 2)
        trees = TREES_HEIGHT * (1 + 0.25 * torch.sin(7 * azimuth) + 0.14 * fine)
        return trees, HILLS_HEIGHT * (0.55 + 0.35 * wave) + 0.25 * fine

    def _gap(self, origin: Tensor, direction: Tensor, t: Tensor) -> Tensor:
        return (
            origin[:, 1]
            + t * direction[:, 1]
            - self.height(origin[:, 0] + t * direction[:, 0], origin[:, 2] + t * direction[:, 2])
        )


def make_terrain(rng: Random, rim: float) -> Terrain:
    """Two long waves: slopes up to about seven in a hundred."""
    waves = []
    for _ in range(2):
        heading, wavelength = rng.uniform(0, 2 * pi), rng.uniform(110, 200)
        k = 2 * pi / wavelength
        waves.append((rng.uniform(0.3, 1.5), k * sin(heading), k * cos(heading), rng.uniform(0, 2 * pi)))
    ridges = tuple((1.0 / n, n, rng.uniform(0, 2 * pi)) for n in (1, 2, 3, 5, 8))
    return Terrain(tuple(waves), ridges, rim)
