"""Tileable value noise from an integer hash: the same numbers on every machine, looked up like a texture."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

TILE = 256


def hash01(*keys: Tensor | int) -> Tensor:
    """A pseudo-random number in [0, 1) per integer tuple, from 32-bit integer arithmetic only."""
    state = torch.zeros((), dtype=torch.int64)
    for key in keys:
        key = torch.as_tensor(key, dtype=torch.int64)
        state = (state * 0x01000193 + key * 0x27D4EB2D + 0x165667B1) & 0xFFFFFFFF
        state = ((state ^ (state >> 15)) * 0x2C1B3C6D) & 0xFFFFFFFF
        state = ((state ^ (state >> 12)) * 0x297A2D39) & 0xFFFFFFFF
        state = state ^ (state >> 15)
    return (state & 0xFFFFFF).to(torch.float32) / float(0x1000000)


@lru_cache(maxsize=8)
def noise_tile(octaves: int, salt: int) -> Tensor:
    """(TILE, TILE) periodic fractal value noise, mean 0, roughly in [-1, 1]."""
    total = torch.zeros(TILE, TILE)
    cells, amplitude = 8, 1.0
    for octave in range(octaves):
        y, x = torch.meshgrid(torch.arange(cells), torch.arange(cells), indexing="ij")
        lattice = hash01(x, y, salt + octave) * 2 - 1
        wrapped = F.pad(lattice[None, None], (2, 2, 2, 2), mode="circular")
        scale = TILE // cells
        fine = F.interpolate(wrapped, scale_factor=scale, mode="bicubic", align_corners=False)
        total = total + amplitude * fine[0, 0, 2 * scale : -2 * scale, 2 * scale : -2 * scale]
        cells, amplitude = min(cells * 2, TILE), amplitude * 0.65
    total = total - total.mean()
    return total / (total.std() * 2)


def sample_noise(u: Tensor, v: Tensor, size: float, octaves: int = 4, salt: int = 0) -> Tensor:
    """Noise at coordinates u, v in metres; the tile repeats every `size` metres. Mean 0, roughly in [-1, 1]."""
    tile = noise_tile(octaves, salt).flatten()
    x = torch.remainder(u / size, 1.0) * TILE
    y = torch.remainder(v / size, 1.0) * TILE
    x0, y0 = x.floor(), y.floor()
    fx, fy = x - x0, y - y0
    x0, y0 = x0.long() % TILE, y0.long() % TILE
    x1, y1 = (x0 + 1) % TILE, (y0 + 1) % TILE
    top = tile[y0 * TILE + x0] * (1 - fx) + tile[y0 * TILE + x1] * fx
    low = tile[y1 * TILE + x0] * (1 - fx) + tile[y1 * TILE + x1] * fx
    return top * (1 - fy) + low * fy
