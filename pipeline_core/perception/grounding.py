"""Objects found by words in one frame: Grounding DINO from a local transformers folder (nothing is downloaded)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..devices import chosen_device
from ..errors import UserError
from .estimators import load_network
from .preprocessing import fit, normalised, preprocessing

# Cosmos-Transfer1: box and text threshold, and those for a second try when nothing was found.
THRESHOLDS = ((0.15, 0.25), (0.1, 0.1))
MOST_OBJECTS = 100
_SIDES = (800, 1333)  # the picture's short side, and the most its long side may have


@dataclass(frozen=True)
class Box:
    """An object in one frame: corners in pixels, the words that found it, how sure the model is (0 to 1)."""

    x0: float
    y0: float
    x1: float
    y1: float
    words: str
    score: float


def load_detector(folder: str | Path, device: str | torch.device | None = None) -> Callable[[Tensor, str], list[Box]]:
    """Callable (frame (H, W, 3) in [0, 1], words) -> boxes, largest first, from a folder of Grounding DINO.

    words: what to look for, such as "car. traffic light. person."; commas, semicolons and line breaks separate too.
    With THRESHOLDS' first pair, and with the second where that finds nothing; at most MOST_OBJECTS. device: where it
    runs, None is the best there is.
    """
    from transformers import AutoTokenizer

    folder, device = Path(folder), chosen_device(device)
    model = load_network(folder, "AutoModelForZeroShotObjectDetection", device)
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (ValueError, OSError) as error:
        raise UserError(f"{folder} holds no tokenizer: give a whole Grounding DINO folder.") from error
    mean, std, sides = preprocessing(folder, _SIDES, device)

    @torch.no_grad()
    def detect(frame: Tensor, words: str) -> list[Box]:
        text = detector_text(words)
        tokens = tokenizer(text, return_tensors="pt").to(device)
        planes = normalised(frame[None], fit(frame.shape[:2], sides), mean, std)
        answer = model(pixel_values=planes, **tokens)
        scores = answer.logits[0].float().sigmoid().cpu()[:, : tokens["input_ids"].shape[1]]
        return boxes_of_scores(
            scores, answer.pred_boxes[0].float().cpu(), tokens["input_ids"][0].cpu(), tokenizer, frame.shape
        )

    return detect


def detector_text(words: str) -> str:
    """The words as Grounding DINO reads them, lower case and each followed by a full stop; UserError if none came."""
    for mark in (",", ";", "\n"):
        words = words.replace(mark, ".")
    known = list(dict.fromkeys(" ".join(word.lower().split()) for word in words.split(".") if word.strip()))
    if not known:
        raise UserError("No words came to look for: write such as car. traffic light. traffic sign. person.")
    return ". ".join(known) + "."


def boxes_of_scores(scores: Tensor, boxes: Tensor, ids: Tensor, tokenizer, shape) -> list[Box]:
    """The boxes whose words are seen in them.

    scores (queries, tokens) in [0, 1] and boxes (queries, 4) in [0, 1] as (centre x, y, width, height) are the
    detector's answer to the tokens `ids`; shape: (H, W, ...) of the frame.
    """
    special = torch.tensor([bool(i in tokenizer.all_special_ids or tokenizer.decode([i]).strip() == ".") for i in ids])
    scores = scores.masked_fill(special, 0.0)
    best = scores.amax(-1)
    for threshold, word_threshold in THRESHOLDS:
        chosen = (best > threshold).nonzero().flatten()
        if len(chosen):
            break
    height, width = shape[:2]
    objects = []
    for i in chosen.tolist():
        x, y, w, h = boxes[i].tolist()
        named = ids[scores[i] > min(word_threshold, float(best[i]) - 1e-6)]
        corners = (x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height
        objects.append(Box(*corners, tokenizer.decode(named).strip(), float(best[i])))
    objects = sorted(objects, key=lambda box: -(box.x1 - box.x0) * (box.y1 - box.y0))
    return objects[:MOST_OBJECTS]
