"""Tiles of a frame too large for the model (MultiDiffusion, arXiv 2302.08113, over space): at every step all tiles
predict, and where they overlap the prediction is their weighted mean.

    D(x) = sum_i w_i D_i(x_i) / sum_i w_i

x_i is the part of one latent that tile i sees, so all start from one field of noise and cannot part at their seams.
fused.py is the same over time.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..diffusion.guidance import Predict
from ..video.tiles import Tiles

TOKEN = 2  # latent cells along a side of what the networks take as one: tiles keep to that grid


def tiled_predict(predicts: Sequence[Predict], tiles: Tiles) -> Predict:
    """predict(x, sigma, branches) of a latent (B, C, T, h, w), joined from tiles; predicts: one a tile, in order, with
    the tile's own hints bound inside."""

    def predict(x: Tensor, sigma: float, branches: Sequence[str]) -> list[Tensor]:
        answers = [one(part, sigma, branches) for one, part in zip(predicts, tiles.cut(x), strict=True)]
        return [tiles.join(parts) for parts in zip(*answers)]

    return predict
