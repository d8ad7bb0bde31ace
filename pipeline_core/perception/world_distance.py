"""Is a clip of the world, which is all that the world's own networks know?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..doors import load_tensors
from ..errors import UserError
from .estimators import load_for_frames

STATISTICS = "world.safetensors"  # beside the depth network's weights


@dataclass(frozen=True)
class WorldDistance:
    """distance: frames (T, H, W, 3) in [0, 1] -> how far they are from the world's, about 0.4 for its own; limit: a
    clip whose frames are farther on average is none of the world's."""

    distance: Callable[[Tensor], float]
    limit: float


def load_world_distance(folder: Path, device: str | torch.device | None = None) -> WorldDistance | None:
    """Of a depth folder with STATISTICS in it; None for one without.

    Mahalanobis distance of pooled features (Lee et al. 2018, arXiv 1807.03888), divided by the root of their number, to
    the nearer of two normal distributions: of the world's synthetic frames and of its photoreal ones.
    """
    path = folder / STATISTICS
    if not path.is_file():
        return None
    mean, precision, limit = _statistics(path)
    pooled = pooled_features(folder, device)

    def distance(frames: Tensor) -> float:
        features = pooled(frames).double()
        return float(torch.stack([distances_to(features, *each) for each in zip(mean, precision)]).mean(1).min())

    return WorldDistance(distance, limit)


def pooled_features(folder: Path, device: str | torch.device | None = None) -> Callable[[Tensor], Tensor]:
    """Callable frames (T, H, W, 3) in [0, 1] -> (T, 2 C) of a Depth Anything folder: mean and deviation over the
    patches of its backbone's last features of C channels."""
    model, prepare = load_for_frames(folder, "AutoModelForDepthEstimation", device)

    @torch.no_grad()
    def features(frames: Tensor) -> Tensor:
        patches = model.backbone(prepare(frames)).feature_maps[-1][:, 1:].float().cpu()  # the first is the class token
        return torch.cat([patches.mean(1), patches.std(1)], 1)

    return features


def distances_to(features: Tensor, mean: Tensor, precision: Tensor) -> Tensor:
    """(N,) root of d' P d / D for features (N, D), d from the mean (D,), P the inverse covariance (D, D)."""
    offsets = features - mean
    return (torch.einsum("nd,de,ne->n", offsets, precision, offsets) / len(mean)).clamp(min=0).sqrt()


def _statistics(path: Path) -> tuple[Tensor, Tensor, float]:
    """Means (K, D), inverse covariances (K, D, D) and the limit."""
    held = load_tensors(path)
    mean, halves, limit = (held.get(name, torch.zeros(0)).double() for name in ("mean", "precision", "limit"))
    count = mean.shape[-1]
    if mean.dim() != 2 or halves.shape != (len(mean), count * (count + 1) // 2) or limit.numel() != 1:
        raise UserError(
            f"{path} holds no statistics of the world's frames: take models/perception from this pack again."
        )
    return mean, torch.stack([symmetric(half, count) for half in halves]), float(limit)


def lower_half(matrix: Tensor) -> Tensor:
    """(D (D + 1) / 2,): what a symmetric matrix (D, D) is kept as."""
    return matrix[tuple(torch.tril_indices(*matrix.shape))]


def symmetric(half: Tensor, size: int) -> Tensor:
    """The matrix (D, D) that `lower_half` was taken of."""
    rows, columns = torch.tril_indices(size, size)
    matrix = half.new_zeros(size, size)
    matrix[rows, columns] = matrix[columns, rows] = half
    return matrix
