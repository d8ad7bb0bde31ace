"""RT-DETR's class, small: boxes of what drives, walks, shines and is a sign."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline_core.conditions.segmentation import TAG

from .data import Batch, Shard, boxes, whole
from .fit import Task
from .folder import write_model

SIDES = (192, 320)  # twice the world's frames: at strides of 8 pixels, lamps would share a cell
NAMES = ("car", "truck", "bus", "pedestrian", "rider", "bicycle", "traffic light", "traffic sign")
TAGS = tuple(TAG[name] for name in NAMES)
QUERIES = 60
JUDGED = (8, ("car", "traffic light"))  # AP is told of these, from so many pixels of the frame on
OVERLAP = 0.5


def build() -> torch.nn.Module:
    """1 million weights: a ResNet of basic blocks, one encoder layer, three decoder layers."""
    from transformers import RTDetrConfig, RTDetrForObjectDetection, RTDetrResNetConfig

    backbone = RTDetrResNetConfig(
        embedding_size=32,  # as the first stage, which does not halve
        hidden_sizes=[32, 48, 80, 112],
        depths=[1, 2, 2, 1],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    config = RTDetrConfig(
        backbone_config=backbone,
        freeze_backbone_batch_norms=False,
        encoder_in_channels=[48, 80, 112],
        encoder_hidden_dim=64,
        d_model=64,
        encoder_ffn_dim=128,
        encoder_attention_heads=4,
        decoder_in_channels=[64, 64, 64],
        decoder_attention_heads=4,
        decoder_ffn_dim=128,
        decoder_layers=3,
        hidden_expansion=0.5,
        num_queries=QUERIES,
        num_denoising=40,
        id2label=dict(enumerate(NAMES)),
        label2id={name: index for index, name in enumerate(NAMES)},
        anchor_image_size=None,
        eval_size=None,
    )
    return RTDetrForObjectDetection(config)


def enlarged(rgb: Tensor) -> Tensor:
    """Frames (B, 3, H, W) in [0, 1] as the network takes them."""
    return F.interpolate(rgb, size=SIDES, mode="bilinear", antialias=True)


def truth(batch: Batch) -> list[dict]:
    """Per frame {"class_labels", "boxes"}: centres and sides in [0, 1]."""
    height, width = batch.rgb.shape[-2:]
    sides = torch.tensor([width, height, width, height])
    answer = []
    for classes, instances in zip(batch.classes, batch.instances):
        objects = boxes(classes, instances, TAGS)[: QUERIES - 1]
        corners = torch.stack([box for _, box in objects]) / sides if objects else torch.zeros(0, 4)
        centred = torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1)
        labels = torch.tensor([TAGS.index(tag) for tag, _ in objects], dtype=torch.long)
        answer.append({"class_labels": labels, "boxes": centred})
    return answer


def loss(model: torch.nn.Module, batch: Batch) -> Tensor:
    """The class's own: varifocal, L1 and generalised IoU over Hungarian matches, with denoising queries."""
    with torch.autocast("cpu", enabled=False):  # its matcher and deformable sampling want whole numbers of one kind
        return model(pixel_values=enlarged(batch.rgb), labels=truth(batch)).loss


@torch.no_grad()
def figures(model: torch.nn.Module, shards: list[Shard]) -> dict[str, float]:
    """AP50 of the classes in JUDGED, of boxes both of whose sides have at least that many pixels."""
    least, names = JUDGED
    report = {}
    for kind in ("synthetic", "photoreal"):
        rows, counts = {name: [] for name in names}, dict.fromkeys(names, 0)
        for scene in shards:
            for style, look in enumerate(scene.styles):
                if look.partition(".")[0] != kind:
                    continue
                batch = whole(scene, style)
                answer = model(pixel_values=enlarged(batch.rgb))
                scale = torch.tensor(batch.rgb.shape[-2:]).flip(0).repeat(2)
                for logits, predicted, true in zip(answer.logits, answer.pred_boxes, truth(batch)):
                    for name in names:
                        label = NAMES.index(name)
                        wanted = true["boxes"][true["class_labels"] == label] * scale
                        hits, count = matches(logits[:, label].sigmoid(), predicted * scale, wanted, least)
                        rows[name] += hits
                        counts[name] += count
        for name in names:
            report[f"ap50_{name.replace(' ', '_')}_{kind}"] = average_precision(rows[name], counts[name])
    return report


def matches(scores: Tensor, predicted: Tensor, wanted: Tensor, least: int) -> tuple[list[tuple[float, bool]], int]:
    """(score, right) of every prediction of a class in a frame, best first, and how many objects there were to find.

    Objects with a side below `least` pixels are neither to be found nor wrong; no more are predictions that small.
    """
    order = scores.argsort(descending=True)
    ious = overlaps(predicted[order], wanted)
    big = wanted[:, 2:].amin(1) >= least
    rows, taken = [], set()
    for score, box, row in zip(scores[order].tolist(), predicted[order], ious.tolist()):
        free = [j for j in range(len(wanted)) if j not in taken and row[j] >= OVERLAP]
        best = max(free, key=lambda j: row[j], default=None)
        if best is not None:
            taken.add(best)
            if big[best]:
                rows.append((score, True))
        elif box[2:].amin() >= least:
            rows.append((score, False))
    return rows, int(big.sum())


def overlaps(one: Tensor, other: Tensor) -> Tensor:
    """(N, M) intersection over union of boxes (centre x, y, width, height)."""
    low = torch.maximum((one[:, :2] - one[:, 2:] / 2)[:, None], other[:, :2] - other[:, 2:] / 2)
    high = torch.minimum((one[:, :2] + one[:, 2:] / 2)[:, None], other[:, :2] + other[:, 2:] / 2)
    both = (high - low).clamp(min=0).prod(-1)
    return both / (one[:, 2:].prod(1)[:, None] + other[:, 2:].prod(1) - both)


def average_precision(rows: list[tuple[float, bool]], count: int) -> float | None:
    """Area under precision over recall, precision made monotone, as COCO's at all points; None without objects."""
    if not count:
        return None
    right = torch.tensor([hit for _, hit in sorted(rows, key=lambda row: -row[0])], dtype=torch.float64).cumsum(0)
    if not len(right):
        return 0.0
    precision = right / torch.arange(1, len(right) + 1)
    envelope = precision.flip(0).cummax(0).values.flip(0)
    recall = torch.cat([torch.zeros(1, dtype=torch.float64), right / count])
    return float((recall.diff() * envelope).sum())


def write(model: torch.nn.Module, folder: Path) -> None:
    """The released layout."""
    write_model(model, folder)
    picture = {"image_processor_type": "RTDetrImageProcessor", "do_normalize": False}
    picture |= {"size": {"height": SIDES[0], "width": SIDES[1]}}
    (folder / "preprocessor_config.json").write_text(json.dumps(picture, indent=2) + "\n", encoding="utf-8")


TASK = Task(build, batch=12, rate=1e-2, steps=1500, loss=loss, figures=figures, write=write)
