"""Depth Anything's class, small: disparity of one frame, up to scale."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from pipeline_core.conditions.depth import FAR_PLANE

from .data import Batch, Shard, whole
from .fit import Task
from .folder import write_model

PATCH, SIDE = 8, 96
NEAR = 2.0  # metres at which the disparity is 1
GRADIENTS = 0.5  # weight of the edges' loss


def build() -> torch.nn.Module:
    """1.6 million weights: DINOv2's class as the backbone, DPT's as the neck."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    backbone = Dinov2Config(
        hidden_size=128,
        num_hidden_layers=6,
        num_attention_heads=4,
        mlp_ratio=3,
        image_size=SIDE,
        patch_size=PATCH,
        out_features=["stage1", "stage2", "stage4", "stage6"],
        apply_layernorm=True,
        reshape_hidden_states=False,
        attn_implementation="eager",
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        patch_size=PATCH,
        reassemble_hidden_size=128,
        reassemble_factors=[4, 2, 1, 0.5],
        neck_hidden_sizes=[32, 48, 64, 96],
        fusion_hidden_size=48,
        head_hidden_size=24,
    )
    return DepthAnythingForDepthEstimation(config)


def loss(model: torch.nn.Module, batch: Batch) -> Tensor:
    """L1 of log disparity where there is a distance, of disparity in the sky, and of the former's steps between
    neighbours, so that outlines are where they should be."""
    predicted = model(pixel_values=normalised(batch.rgb)).predicted_depth + 1e-3
    sky = ~(batch.depth < FAR_PLANE)
    error = predicted.log() - (NEAR / batch.depth.clamp(0.5, FAR_PLANE) + 1e-3).log()
    valid = (~sky).float()
    loss = (error.abs() * valid).sum() / valid.sum() + predicted[sky].sum() / sky.numel()
    for axis in (1, 2):
        steps, both = (
            error.diff(dim=axis).abs(),
            valid.narrow(axis, 1, valid.shape[axis] - 1) * valid.narrow(axis, 0, valid.shape[axis] - 1),
        )
        loss = loss + GRADIENTS * (steps * both).sum() / both.sum()
    return loss


@torch.no_grad()
def figures(model: torch.nn.Module, shards: list[Shard]) -> dict[str, float]:
    """si_rmse: scale-invariant RMSE of log depth (Eigen et al. 2014, lambda = 1), mean over frames, of what is nearer
    than 100 m; sky: share of the sky's pixels that are farther than 200 m on the truth's scale."""
    errors, sky = {"synthetic": [], "photoreal": []}, []
    for scene in shards:
        for style, name in enumerate(scene.styles):
            batch = whole(scene, style)
            distance = NEAR / model(pixel_values=normalised(batch.rgb)).predicted_depth.clamp(min=NEAR / FAR_PLANE)
            for ours, true in zip(distance, batch.depth):
                near = true < 100
                ratio = ours[near].log() - true[near].log()
                errors[name.partition(".")[0]].append(ratio.std(correction=0).item())
                if (~(true < FAR_PLANE)).any():
                    sky.append((ours[~(true < FAR_PLANE)] / ratio.mean().exp() > 200).float().mean().item())
    means = {f"si_rmse_{name}": sum(values) / len(values) for name, values in errors.items()}
    return means | {"sky": sum(sky) / len(sky)}


def normalised(rgb: Tensor) -> Tensor:
    """Frames in [0, 1] as the network takes them, with MEAN and STD of preprocessor_config.json."""
    return (rgb - 0.5) / 0.5


def write(model: torch.nn.Module, folder: Path) -> None:
    """The released layout."""
    write_model(model, folder)
    picture = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": {"height": SIDE, "width": SIDE}}
    picture |= {"image_processor_type": "DPTImageProcessor", "keep_aspect_ratio": True, "ensure_multiple_of": PATCH}
    (folder / "preprocessor_config.json").write_text(json.dumps(picture, indent=2) + "\n", encoding="utf-8")


TASK = Task(build, batch=16, rate=1e-2, steps=1600, loss=loss, figures=figures, write=write)
