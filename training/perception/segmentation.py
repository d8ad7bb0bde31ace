"""SegFormer's class, small: the world's classes by the names that Cityscapes' models use."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline_core.conditions.segmentation import TAG

from .data import Batch, Shard, whole
from .depth import normalised
from .fit import Task
from .folder import write_model

SIDE = 96
NAMES = (
    "road",
    "sidewalk",
    "building",
    "pole",
    "traffic light",
    "traffic sign",
    "vegetation",
    "terrain",
    "sky",
    "pedestrian",
    "rider",
    "car",
    "truck",
    "bus",
    "bicycle",
    "road line",
)
IGNORED = 255


def build() -> torch.nn.Module:
    """1.6 million weights; the first stage at half the frame's size, or poles and lamps would be lost."""
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    config = SegformerConfig(
        depths=[2, 2, 2, 2],
        hidden_sizes=[24, 48, 96, 144],
        strides=[2, 2, 2, 2],
        sr_ratios=[8, 4, 2, 1],
        num_attention_heads=[1, 2, 4, 6],
        mlp_ratios=[3, 3, 3, 3],
        decoder_hidden_size=96,
        id2label=dict(enumerate(NAMES)),
        label2id={name: index for index, name in enumerate(NAMES)},
        classifier_dropout_prob=0.0,
        hidden_dropout_prob=0.0,
        drop_path_rate=0.0,
    )
    return SegformerForSemanticSegmentation(config)


def labels(classes: Tensor) -> Tensor:
    """The network's labels of CARLA tags, IGNORED for tags it has no name for."""
    table = torch.full((256,), IGNORED)
    for index, name in enumerate(NAMES):
        table[TAG[name]] = index
    return table[classes.long()]


def loss(model: torch.nn.Module, batch: Batch) -> Tensor:
    """Cross-entropy, rare classes up to ten times as heavy, with each class's soft overlap (Milletari et al. 2016)."""
    logits = _logits(model, batch.rgb)
    truth = labels(batch.classes)
    known = truth != IGNORED
    one_hot = F.one_hot(truth.where(known, 0), len(NAMES)).permute(0, 3, 1, 2) * known[:, None]
    share = one_hot.sum((0, 2, 3)) / known.sum()
    weight = (0.02 / share.clamp(min=1e-4)).sqrt().clamp(0.3, 3)
    chances = logits.softmax(1) * known[:, None]
    both = (chances * one_hot).sum((0, 2, 3))
    overlap = (2 * both + 1) / (chances.sum((0, 2, 3)) + one_hot.sum((0, 2, 3)) + 1)
    there = share > 0
    return F.cross_entropy(logits, truth, weight, ignore_index=IGNORED) + (1 - overlap[there]).mean()


@torch.no_grad()
def figures(model: torch.nn.Module, shards: list[Shard]) -> dict[str, float]:
    """Mean IoU over the classes that are there, of all frames' pixels of a kind of style together."""
    counts = {kind: torch.zeros(3, len(NAMES)) for kind in ("synthetic", "photoreal")}
    for scene in shards:
        truth = labels(scene.classes)
        for style, name in enumerate(scene.styles):
            ours = _logits(model, whole(scene, style).rgb).argmax(1)
            for index in range(len(NAMES)):
                a, b = (ours == index) & (truth != IGNORED), truth == index
                counts[name.partition(".")[0]][:, index] += torch.stack([(a & b).sum(), a.sum(), b.sum()])
    report = {}
    for kind, (both, ours, true) in counts.items():
        overlaps = (both / (ours + true - both).clamp(min=1))[true > 0]
        report[f"miou_{kind}"] = overlaps.mean().item()
        report |= {f"{NAMES[i]}_{kind}": (both[i] / (ours[i] + true[i] - both[i])).item() for i in (4, 5, 9, 11)}
    return report


def _logits(model: torch.nn.Module, rgb: Tensor) -> Tensor:
    return F.interpolate(model(pixel_values=normalised(rgb)).logits, size=rgb.shape[-2:], mode="bilinear")


def write(model: torch.nn.Module, folder: Path) -> None:
    """The released layout."""
    write_model(model, folder)
    picture = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": {"shortest_edge": SIDE}}
    picture |= {"image_processor_type": "SegformerImageProcessor"}
    (folder / "preprocessor_config.json").write_text(json.dumps(picture, indent=2) + "\n", encoding="utf-8")


TASK = Task(build, batch=12, rate=1e-2, steps=1000, loss=loss, figures=figures, write=write)
