"""What the world's frames look like to the depth network: by this a clip that is none of the world's is told."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from pipeline_core.perception.world_distance import STATISTICS, load_world_distance, lower_half, pooled_features

from .data import Shard

SHRINKAGE = 0.05  # of the correlations: more features than scenes to learn them from would fit noise
MARGIN = 1.25  # above the farthest tuning clip; the foreign clips that were tried are farther by half


def write_statistics(folder: Path, shards: list[Shard], tuning: list[Shard]) -> None:
    """Write STATISTICS into a depth folder: means (2, D) and halves of the inverse covariances (2, D (D + 1) / 2) of
    its features of the synthetic and of the photoreal frames of the shards, and the limit, MARGIN times the distance of
    the farthest tuning clip (the frames of one scene in one style)."""
    from safetensors.torch import save_file

    pooled = pooled_features(folder, "cpu")
    features = {True: [], False: []}
    for scene in shards:
        for style, frames in zip(scene.styles, scene.rgb):
            features[style == "synthetic"].append(pooled(frames.float() / 255))
    means, precisions = zip(*(normal(torch.cat(features[kind])) for kind in (True, False)))
    halves = torch.stack([lower_half(precision) for precision in precisions])
    held = {"mean": torch.stack(means), "precision": halves, "limit": torch.tensor(torch.inf)}
    save_file(held, str(folder / STATISTICS))
    distance = load_world_distance(folder, "cpu").distance
    farthest = max(distance(frames.float() / 255) for scene in tuning for frames in scene.rgb)
    save_file(held | {"limit": torch.tensor(MARGIN * farthest)}, str(folder / STATISTICS))


def normal(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (D,) and inverse covariance (D, D) of features (N, D), the correlations shrunk towards none."""
    features = features.double()
    mean, deviation = features.mean(0), features.std(0).clamp(min=1e-6)
    correlation = torch.cov(((features - mean) / deviation).T)
    correlation = (1 - SHRINKAGE) * correlation + SHRINKAGE * torch.eye(len(mean), dtype=torch.float64)
    precision = torch.linalg.inv(correlation) / deviation[:, None] / deviation
    return mean.float(), precision.float()
