"""Objects found by words and followed through the clip: Grounding DINO and SAM 2, as Cosmos-Transfer segments.

Both come from local transformers folders (safetensors, nothing is downloaded). The answer has the form of a
simulator's instance buffer: one id per object for the whole clip.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UserError
from .estimators import load_network

# Cosmos-Transfer1: box and text threshold, and those for a second try when nothing was found.
THRESHOLDS = ((0.15, 0.25), (0.1, 0.1))
MOST_OBJECTS = 100
_SAME = 0.5  # overlap from which a box is of an object that is followed already
_MEMORY = 16  # frames back that SAM 2 looks at: older ones are let go
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_DETECTOR_SIDES = (800, 1333)  # Grounding DINO's short side, and the most its long side may have


@dataclass(frozen=True)
class Box:
    """An object in one frame: corners in pixels, the words that found it, how sure the model is (0 to 1)."""

    x0: float
    y0: float
    x1: float
    y1: float
    words: str
    score: float


def load_detector(folder: str | Path, device: str = "cpu") -> Callable[[Tensor, str], list[Box]]:
    """Callable (frame (H, W, 3) in [0, 1], words) -> boxes, largest first, from a folder of Grounding DINO.

    words: what to look for, such as "car. traffic light. person."; commas, semicolons and line breaks separate too.
    With THRESHOLDS' first pair, and with the second where that finds nothing; at most MOST_OBJECTS.
    """
    from transformers import AutoTokenizer

    folder = Path(folder)
    model = load_network(folder, "AutoModelForZeroShotObjectDetection", device)
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (ValueError, OSError) as error:
        raise UserError(f"{folder} holds no tokenizer: give a whole Grounding DINO folder.") from error
    mean, std, sides = _preprocessing(folder, _DETECTOR_SIDES)

    @torch.no_grad()
    def detect(frame: Tensor, words: str) -> list[Box]:
        text = detector_text(words)
        tokens = tokenizer(text, return_tensors="pt").to(device)
        planes = _normalised(frame[None], _fit(frame.shape[:2], sides), mean, std, device)
        answer = model(pixel_values=planes, **tokens)
        scores = answer.logits[0].float().sigmoid().cpu()[:, : tokens["input_ids"].shape[1]]
        return _boxes(scores, answer.pred_boxes[0].float().cpu(), tokens["input_ids"][0].cpu(), tokenizer, frame.shape)

    return detect


def detector_text(words: str) -> str:
    """The words as Grounding DINO reads them, lower case and each followed by a full stop; UserError if none came."""
    for mark in (",", ";", "\n"):
        words = words.replace(mark, ".")
    known = list(dict.fromkeys(" ".join(word.lower().split()) for word in words.split(".") if word.strip()))
    if not known:
        raise UserError("No words came to look for: write such as car. traffic light. traffic sign. person.")
    return ". ".join(known) + "."


def _boxes(scores: Tensor, boxes: Tensor, ids: Tensor, tokenizer, shape) -> list[Box]:
    special = torch.tensor([bool(i in tokenizer.all_special_ids or tokenizer.decode([i]).strip() == ".") for i in ids])
    scores = scores.masked_fill(special, 0.0)
    best = scores.amax(-1)
    for threshold, word_threshold in THRESHOLDS:
        chosen = (best > threshold).nonzero().flatten()
        if len(chosen):
            break
    height, width = shape[:2]
    found = []
    for i in chosen.tolist():
        x, y, w, h = boxes[i].tolist()
        named = ids[scores[i] > min(word_threshold, float(best[i]) - 1e-6)]
        corners = (x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height
        found.append(Box(*corners, tokenizer.decode(named).strip(), float(best[i])))
    found = sorted(found, key=lambda box: -(box.x1 - box.x0) * (box.y1 - box.y0))
    return found[:MOST_OBJECTS]


Look = Callable[[int, Tensor, Tensor], Sequence[Box]]


def load_tracker(
    folder: str | Path, device: str = "cpu"
) -> Callable[[Iterable[Tensor], Sequence[Box], Look | None], Iterator[Tensor]]:
    """Callable (frames (H, W, 3) in [0, 1] one after the other, boxes in the first, look) -> ids (H, W) int32.

    folder: SAM 2 in transformers' format. Ids are 1, 2, ... in the order of the boxes, 0 where there is no object;
    where two masks overlap the surer one counts. `look(number, frame, ids of the frame before)` is asked before every
    later frame for boxes of objects that are new in it (see `look_again`); they get the next ids. Frames are taken
    one at a time, and memory grows with the objects, not with the frames.
    """
    folder = Path(folder)
    model = load_network(folder, "Sam2VideoModel", device)
    side = model.config.image_size if isinstance(model.config.image_size, int) else model.config.image_size[0]
    mean, std, _ = _preprocessing(folder, (side, side))

    @torch.no_grad()
    def track(frames: Iterable[Tensor], boxes: Sequence[Box], look: Look | None = None) -> Iterator[Tensor]:
        session, ids = None, None
        for number, frame in enumerate(frames):
            size = tuple(frame.shape[:2])
            new = boxes if number == 0 else look(number, frame, ids) if look else ()
            if new and session is None:
                session = _session(model, size, device)
            if new:
                _add(session, new, number, size, side)
            if session is None:
                ids = torch.zeros(size, dtype=torch.int32)
            else:
                planes = _normalised(frame[None], (side, side), mean, std, device)
                answer = model(inference_session=session, frame=planes[0].to(session.dtype), frame_idx=number)
                _forget(session, number)
                ids = _instances(answer.pred_masks, answer.object_ids, size)
            yield ids

    return track


def look_again(detect: Callable[[Tensor, str], list[Box]], words: str, every: int, known: list[Box]) -> Look:
    """For a tracker: detect in every `every`-th frame and answer with what is not followed yet, MOST_OBJECTS in all.

    known: the boxes followed so far, by id; what is new is appended. A box is of an object that is followed if it
    shares half of its union with that object's own box, or if an object of the same words covers half of it.
    """

    def look(number: int, frame: Tensor, ids: Tensor) -> list[Box]:
        if number % every:
            return []
        boxes = [box for box in detect(frame, words) if not _followed(box, ids, known)]
        boxes = boxes[: MOST_OBJECTS - len(known)]
        known.extend(boxes)
        return boxes

    return look


def _followed(box: Box, ids: Tensor, known: Sequence[Box]) -> bool:
    H, W = ids.shape
    x0, x1 = (min(max(round(x), 0), W) for x in (box.x0, box.x1))
    y0, y1 = (min(max(round(y), 0), H) for y in (box.y0, box.y1))
    inside = ids[y0:y1, x0:x1]
    if not inside.numel():
        return True  # nothing of it is in the picture
    for number in inside.unique().tolist():
        if number == 0:
            continue
        rows, columns = (ids == number).nonzero().unbind(1)
        left, right, top, bottom = (int(v) for v in (columns.min(), columns.max() + 1, rows.min(), rows.max() + 1))
        shared = max(0, min(x1, right) - max(x0, left)) * max(0, min(y1, bottom) - max(y0, top))
        union = inside.numel() + (right - left) * (bottom - top) - shared
        covered = float((inside == number).float().mean())
        if shared >= _SAME * union or (known[number - 1].words == box.words and covered >= _SAME):
            return True
    return False


def _session(model, size: tuple[int, int], device: str):
    from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

    return Sam2VideoInferenceSession(
        video_height=size[0], video_width=size[1], inference_device=device, dtype=next(model.parameters()).dtype
    )


def _add(session, boxes: Sequence[Box], number: int, size: tuple[int, int], side: int) -> None:
    """Make the boxes of frame `number`, in pixels of the network's square, objects of the session."""
    across, down = side / size[1], side / size[0]
    first = len(session.obj_ids) + 1
    new = list(range(first, first + len(boxes)))
    for obj_id, box in zip(new, boxes):
        corners = [[box.x0 * across, box.y0 * down], [box.x1 * across, box.y1 * down]]
        point = {
            "point_coords": torch.tensor(corners, dtype=session.dtype)[None, None],
            "point_labels": torch.tensor([[[2, 3]]], dtype=torch.int32),  # the box's first and its other corner
        }
        session.add_point_inputs(session.obj_id_to_idx(obj_id), number, point)
    session.obj_with_new_inputs = new


def _forget(session, number: int) -> None:
    """Drop what SAM 2 will not look at again."""
    session.processed_frames.pop(number - 1, None)
    for outputs in session.output_dict_per_obj.values():
        outputs["non_cond_frame_outputs"].pop(number - _MEMORY, None)


def _instances(masks: Tensor, ids: list[int], size: tuple[int, int]) -> Tensor:
    scores = masks.float().reshape(len(ids), 1, *masks.shape[-2:])
    scores = F.interpolate(scores, size=size, mode="bilinear")[:, 0].cpu()
    best, index = scores.max(0)
    return torch.where(best > 0, torch.tensor(ids, dtype=torch.int32)[index], 0).to(torch.int32)


def _preprocessing(folder: Path, sides: tuple[int, int]) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """Mean, std (3, 1, 1) and the sides from preprocessor_config.json where it is there."""
    for name in ("preprocessor_config.json", "processor_config.json"):
        path = folder / name
        told = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        told = told.get("image_processor", told)
        if "image_mean" in told:
            break
    size = told.get("size") if isinstance(told.get("size"), dict) else {}
    if "shortest_edge" in size:
        sides = (size["shortest_edge"], size.get("longest_edge") or sides[1])
    mean, std = (torch.tensor(told.get(f"image_{name}", default)) for name, default in zip(("mean", "std"), _IMAGENET))
    return mean[:, None, None], std[:, None, None], sides


def _fit(size: tuple[int, int], sides: tuple[int, int]) -> tuple[int, int]:
    scale = min(sides[0] / min(size), sides[1] / max(size))
    return tuple(max(1, round(value * scale)) for value in size)


def _normalised(frames: Tensor, size: tuple[int, int], mean: Tensor, std: Tensor, device: str) -> Tensor:
    frames = frames.float() / 255 if frames.dtype == torch.uint8 else frames.float()
    planes = F.interpolate(frames.movedim(-1, 1), size=size, mode="bilinear", antialias=True)
    return ((planes - mean) / std).to(device)
