"""Tiles of a frame too large for the model (MultiDiffusion, arXiv 2302.08113, over space): at every step all tiles
predict, and where they overlap the prediction is their weighted mean.

    D(x) = sum_i w_i D_i(x_i) / sum_i w_i

x_i is the part of one latent that tile i sees, so all start from one field of noise and cannot part at their seams.
fused.py is the same over time and gives the weights along one axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ..diffusion.guidance import Predict
from ..errors import UserError
from .fused import window_weights

TOKEN = 2  # latent cells along a side of what the networks take as one: tiles keep to that grid


@dataclass(frozen=True)
class Tile:
    """A part of a frame: its rows, its columns and the (height, width) of the whole frame, in any one unit."""

    rows: range
    columns: range
    size: tuple[int, int]

    def cut(self, planes: Tensor) -> Tensor:
        """The part of planes (..., H, W) of the whole frame, as a view; theirs may be a finer or a coarser unit."""
        axes = zip((self.rows, self.columns), planes.shape[-2:], self.size)
        rows, columns = (slice(span.start * side // own, span.stop * side // own) for span, side, own in axes)
        return planes[..., rows, columns]


@dataclass(frozen=True)
class Tiles:
    """Every span of rows with every span of columns, row by row; each axis covered from 0 in order."""

    rows: tuple[range, ...]
    columns: tuple[range, ...]

    def scaled(self, factor: int) -> Tiles:
        """The same tiles in units `factor` times finer."""
        finer = [tuple(range(s.start * factor, s.stop * factor) for s in axis) for axis in (self.rows, self.columns)]
        return Tiles(*finer)

    def cut(self, planes: Tensor) -> list[Tensor]:
        """The tiles of planes (..., H, W), as views."""
        return [tile.cut(planes) for tile in self]

    def __iter__(self) -> Iterator[Tile]:
        size = self.rows[-1].stop, self.columns[-1].stop
        return (Tile(rows, columns, size) for rows in self.rows for columns in self.columns)

    @property
    def side(self) -> tuple[int, int]:
        """(height, width) of a tile."""
        return len(self.rows[0]), len(self.columns[0])

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """sum_i w_i part_i, (..., H, W), of the tiles' planes: a tile counts less towards its edges."""
        first = parts[0]
        joined = first.new_zeros(*first.shape[:-2], self.rows[-1].stop, self.columns[-1].stop)
        for part, tile, weights in zip(parts, self, _weights_like(self, first.device, first.dtype), strict=True):
            tile.cut(joined).add_(weights * part)
        return joined


@lru_cache(maxsize=8)
def _weights_like(tiles: Tiles, device: torch.device, dtype: torch.dtype) -> list[Tensor]:
    """Weights (h, w) of every tile, brought over once and not at every step: the host would wait for each."""
    down, across = (window_weights(axis) for axis in (tiles.rows, tiles.columns))
    return [torch.outer(y, x).to(device, dtype) for y in down for x in across]


def plan_tiles(size: tuple[int, int], tile: tuple[int, int], overlap: int) -> Tiles:
    """Tiles (height, width) over a frame of `size`, spread evenly, neighbours sharing at least `overlap`; any unit.

    A tile larger than the frame is as large as the frame. UserError for an overlap that leaves no step between tiles.
    """
    return Tiles(*(_spans(length, min(side, length), overlap) for length, side in zip(size, tile)))


def _spans(length: int, side: int, overlap: int) -> tuple[range, ...]:
    if side == length:
        return (range(length),)
    if not 0 <= overlap < side:
        raise UserError(f"The tiles' overlap is {overlap} but must be from 0 to below their side of {side}: change it.")
    count = -(-(length - overlap) // (side - overlap))
    starts = [round(i * (length - side) / (count - 1)) for i in range(count)]
    return tuple(range(start, start + side) for start in starts)


def tiled_predict(predicts: Sequence[Predict], tiles: Tiles) -> Predict:
    """predict(x, sigma, branches) of a latent (B, C, T, h, w), joined from tiles; predicts: one a tile, in order, with
    the tile's own hints bound inside."""

    def predict(x: Tensor, sigma: float, branches: Sequence[str]) -> list[Tensor]:
        answers = [one(part, sigma, branches) for one, part in zip(predicts, tiles.cut(x), strict=True)]
        return [tiles.join(parts) for parts in zip(*answers)]

    return predict
