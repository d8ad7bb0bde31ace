"""How a model's pixels, latent cells and tokens lie over each other: which clips fit, and weights per token."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...errors import UserError
from ..folders.preset import Preset


def check_frames(frames: Tensor, what: str, preset: Preset, patch: Sequence[int]) -> None:
    """UserError unless `frames` is (T, H, W, 3) and divides into latent cells and patches (p_t, p_h, p_w).

    what: the input's name in the sentence.
    """
    if frames.ndim != 4 or frames.shape[3] != 3:
        raise UserError(f"{what} came as {tuple(frames.shape)}; give (T, H, W, 3) with values in [0, 1].")
    count, height, width, _ = frames.shape
    tall, wide = preset.spatial_ratio * patch[1], preset.spatial_ratio * patch[2]
    if (count - 1) % preset.temporal_ratio or height % tall or width % wide:
        raise UserError(
            f"{what} came as {count} frames of {height}x{width}; the model needs 1 + a multiple of "
            f"{preset.temporal_ratio} frames, a height divisible by {tall} and a width divisible by {wide}."
        )


def token_grid_weights(weight: Tensor, latent_size: Sequence[int], patch: Sequence[int]) -> Tensor:
    """A weight map (T, H, W), in pixels or latent cells, averaged over each token's cells.

    latent_size: (t, h, w) of the latent. Returns float32 (t / p_t, h / p_h, w / p_w). UserError for another shape.
    Of 1 + k (t - 1) frames the first has latent frame 0 for itself and k share each other one, as in a causal VAE; any
    other number is spread evenly.
    """
    if weight.ndim != 3:
        raise UserError(f"A control weight map of shape {tuple(weight.shape)} came; give (T, H, W).")
    grid = [size // p for size, p in zip(latent_size, patch)]
    frames, later = len(weight), grid[0] - 1
    if frames > 1 and later and (frames - 1) % later == 0:
        return torch.cat([_averages(weight[:1], [1, *grid[1:]]), _averages(weight[1:], [later, *grid[1:]])])
    return _averages(weight, grid)


def _averages(weight: Tensor, grid: Sequence[int]) -> Tensor:
    """(T, H, W) -> means over equal boxes, float32 of shape `grid`."""
    return torch.nn.functional.adaptive_avg_pool3d(weight.float()[None, None], grid)[0, 0]
