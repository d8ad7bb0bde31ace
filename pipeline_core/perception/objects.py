"""Objects that a detector finds in every frame, as a simulator's buffers have them: classes and ids.

Detectors of fixed classes (RT-DETR, DETR, YOLOS and others of transformers' object detection) and Grounding DINO, told
what to look for. Their boxes become masks by SAM 2 where it is given; without it an object is its whole box.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..conditions.segmentation import TAG
from ..devices import chosen_device
from .estimators import load_network, model_type, tag_of_name, tags_of_labels
from .grounding import Box, load_detector
from .preprocessing import fit, picture_settings, preprocessing
from .tracking import load_tracker

SURE = 0.5  # score from which a box counts, as transformers' own post-processing has it
WORDS = "car. truck. bus. train. motorcycle. bicycle. rider. person. traffic light. traffic sign."  # for Grounding DINO
_SIDES = (800, 1333)  # the picture's short side, and the most its long side may have, where a folder says nothing
_NAMES = {tag: name for name, tag in TAG.items() if tag}
_BY_WORDS = ("grounding-dino", "mm-grounding-dino")

Boxes = Callable[[Tensor], list[list[Box]]]
Detect = Callable[[Tensor], tuple[Tensor, Tensor]]


def load_object_detector(
    folder: str | Path, masks: str | Path | None = None, device: str | torch.device | None = None
) -> Detect:
    """Callable frames (T, H, W, 3) in [0, 1] -> CARLA tags (T, H, W) uint8 and ids (T, H, W) int32, 0 where nothing is.

    folder: a detector of transformers, safetensors only. masks: a folder of SAM 2 for video, which draws every box's
    object; None takes the boxes, smaller ones before larger. Ids are numbered anew in every frame. device: None is the
    best there is. UserError for folders of other kinds and for a detector without a street class.
    """
    boxes = load_boxes(Path(folder), device)
    draw = None if masks is None else load_tracker(masks, device)

    def detect(frames: Tensor) -> tuple[Tensor, Tensor]:
        classes = torch.zeros(frames.shape[:3], dtype=torch.uint8)
        ids = torch.zeros(frames.shape[:3], dtype=torch.int32)
        for index, (frame, seen) in enumerate(zip(frames, boxes(frames))):
            sure = [box for box in seen if box.score >= SURE]
            if sure:
                ids[index] = painted(sure, frame.shape[:2]) if draw is None else next(draw(iter([frame]), sure, None))
                tags = torch.tensor([0, *(tag_of_name(box.words) for box in sure)], dtype=torch.uint8)
                classes[index] = tags[ids[index].long()]
        return classes, ids

    return detect


def load_boxes(folder: Path, device: str | torch.device | None = None) -> Boxes:
    """Callable frames (T, H, W, 3) in [0, 1] -> for each frame its boxes in pixels, largest first; words: the name of a
    CARLA tag. Those of a detector of fixed classes come with whatever score, Grounding DINO's past its own thresholds,
    with a score of 1."""
    device = chosen_device(device)
    return _by_words(folder, device) if model_type(folder) in _BY_WORDS else _by_classes(folder, device)


def painted(boxes: Sequence[Box], size: tuple[int, int]) -> Tensor:
    """Ids (H, W) int32 from 1, in the order of the boxes: a later box lies upon an earlier one."""
    ids = torch.zeros(size, dtype=torch.int32)
    for number, box in enumerate(boxes, start=1):
        (x0, x1), (y0, y1) = (
            (max(0, round(low)), max(0, round(high))) for low, high in ((box.x0, box.x1), (box.y0, box.y1))
        )
        ids[y0:y1, x0:x1] = number
    return ids


def _by_classes(folder: Path, device: torch.device) -> Boxes:
    model = load_network(folder, "AutoModelForObjectDetection", device).float()
    names = [_NAMES.get(tag) for tag in tags_of_labels(model.config.id2label, folder).tolist()]
    mean, std, sides = preprocessing(folder, _SIDES, device)
    settings = picture_settings(folder / "preprocessor_config.json")
    plain, size = settings.get("do_normalize") is False, settings.get("size")
    exact = (size["height"], size["width"]) if isinstance(size, dict) and {"height", "width"} <= set(size) else None

    @torch.no_grad()
    def boxes(frames: Tensor) -> list[list[Box]]:
        planes = frames.movedim(-1, 1).to(device, torch.float32)
        planes = F.interpolate(planes, size=exact or fit(frames.shape[1:3], sides), mode="bilinear", antialias=True)
        answer = model(pixel_values=planes if plain else (planes - mean) / std)
        logits = answer.logits.float()
        # DETR's classes end with "nothing" and exclude each other; its successors score each class by itself.
        scores = logits.softmax(-1)[..., :-1] if logits.shape[-1] == len(names) + 1 else logits.sigmoid()
        corners = _corners(answer.pred_boxes.float(), frames.shape[1:3])
        return [_named(*each, names) for each in zip(corners.cpu(), scores.cpu())]

    return boxes


def _corners(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """(..., 4) centre x, y, width, height in [0, 1] as x0, y0, x1, y1 in pixels of (height, width)."""
    low, high = boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2
    return torch.cat([low, high], -1) * torch.tensor([size[1], size[0]] * 2, device=boxes.device)


def _named(corners: Tensor, scores: Tensor, names: list[str | None]) -> list[Box]:
    """A box for each query with the street class that it most likely is; largest first."""
    scores = scores.masked_fill(torch.tensor([name is None for name in names]), 0)
    best, label = scores.max(-1)
    boxes = [Box(*box, names[i], score) for box, i, score in zip(corners.tolist(), label.tolist(), best.tolist())]
    return sorted(boxes, key=lambda box: -(box.x1 - box.x0) * (box.y1 - box.y0))


def _by_words(folder: Path, device: torch.device) -> Boxes:
    detect = load_detector(folder, device)

    def boxes(frames: Tensor) -> list[list[Box]]:
        return [[named for box in detect(frame, WORDS) if (named := _known(box))] for frame in frames]

    return boxes


def _known(box: Box) -> Box | None:
    """The box by the first of WORDS that is among its own words; None where none is."""
    for name in (word.strip() for word in WORDS.split(".") if word.strip()):
        if name in box.words:
            return Box(box.x0, box.y0, box.x1, box.y1, name, 1.0)
    return None
