"""Tiles of a frame that is too large for a network: where they lie, and frames joined from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ..errors import UserError
from .overlaps import window_weights


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

    def join(self, parts: Iterable[Tensor]) -> Tensor:
        """sum_i w_i part_i, (..., H, W), of the tiles' planes: a tile counts less towards its edges.

        Parts may come one by one: none is held longer than until the next one is there.
        """
        joined = None
        for place, (part, tile) in enumerate(zip(parts, self, strict=True)):
            if joined is None:
                joined = part.new_zeros(*part.shape[:-2], self.rows[-1].stop, self.columns[-1].stop)
                down, across = _axis_weights(self, part.device, torch.promote_types(part.dtype, torch.float32))
            row, column = divmod(place, len(self.columns))
            tile.cut(joined).add_(torch.outer(down[row], across[column]).to(part.dtype) * part)
        return joined


@lru_cache(maxsize=8)
def _axis_weights(tiles: Tiles, device: torch.device, dtype: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
    """Weights of every span of rows and of columns, each 1-D, whose outer product weighs a tile; brought over once and
    not at every step: the host would wait for each."""
    down, across = (window_weights(axis) for axis in (tiles.rows, tiles.columns))
    return [span.to(device, dtype) for span in down], [span.to(device, dtype) for span in across]


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
