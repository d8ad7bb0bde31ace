"""How good a pair of clips is: the three scores by which InsV2V (2311.00213) and InstructPix2Pix (2211.09800) filter.

With I_s, I_e the features of a frame of the source and of the edit, T_s, T_e those of the captions, all of length 1:
text of each side cos(I_s, T_s) and cos(I_e, T_e), frames cos(I_s, I_e), direction cos(I_e - I_s, T_e - T_s), each the
mean over frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from itertools import zip_longest
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..doors import read_json
from ..errors import UserError
from ..perception.text_image import TextImage
from ..video.frames import as_floats

THRESHOLD_FILE = "pairs.json"  # beside a CLIP's weights
_CHUNK = 16  # frames looked at together


@dataclass(frozen=True)
class Scores:
    """Cosines, each in [-1, 1]."""

    text_source: float
    text_edited: float
    frames: float
    direction: float


@dataclass(frozen=True)
class Thresholds:
    """The least a good pair has; the defaults are InstructPix2Pix's for CLIP ViT-L/14, text for either side."""

    text: float = 0.2
    frames: float = 0.75
    direction: float = 0.2

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not -1 <= value <= 1:
                raise UserError(f"The {field.name} threshold is {value} but must be from -1 to 1: change it.")

    def reasons(self, scores: Scores) -> list[str]:
        """What a pair falls short in, in words; nothing for a good one."""
        limits = (
            ("text_source", self.text, "The source does not show its caption"),
            ("text_edited", self.text, "The edit does not show its caption"),
            ("frames", self.frames, "The edit is another scene than the source"),
            ("direction", self.direction, "The edit changes something else than what was asked"),
        )
        return [
            f"{what} ({name} {getattr(scores, name):.2f}, at least {least:g} needed)"
            for name, least, what in limits
            if not getattr(scores, name) >= least
        ]


def usual_thresholds(folder: Path) -> Thresholds:
    """Cosines of every network are others: those in THRESHOLD_FILE beside a CLIP's weights, or else the defaults.
    UserError where the file holds something else."""
    if not (path := folder / THRESHOLD_FILE).is_file():
        return Thresholds()
    values = read_json(path, "take the folder again")
    limits = [values.get(field.name) for field in fields(Thresholds)]
    if not all(type(limit) in (int, float) for limit in limits):
        raise UserError(f"{path} holds no thresholds of pairs: take the folder again, or remove that file.")
    return Thresholds(*map(float, limits))


def score_pair(
    network: TextImage, source: Iterable[Tensor], edited: Iterable[Tensor], caption: str, edited_caption: str
) -> Scores:
    """source, edited: frames (H, W, 3), floats in [0, 1] or uint8, one by one; a few are held at a time.

    UserError for clips of different length, and without frames.
    """
    texts = F.normalize(network.texts([caption, edited_caption]).double(), dim=1)
    way = F.normalize(texts[1] - texts[0], dim=0)
    totals, count = torch.zeros(4, dtype=torch.float64), 0
    for before, after in _chunks(source, edited):
        images = [F.normalize(network.image(frames).double(), dim=1) for frames in (before, after)]
        moved = F.normalize(images[1] - images[0], dim=1)
        cosines = (images[0] @ texts[0], images[1] @ texts[1], (images[0] * images[1]).sum(1), moved @ way)
        totals += torch.stack([values.sum() for values in cosines])
        count += len(before)
    if count == 0:
        raise UserError("A pair without frames came: give clips with at least one.")
    return Scores(*(round(value, 5) for value in (totals / count).tolist()))


def _chunks(source: Iterable[Tensor], edited: Iterable[Tensor]):
    """Frames of both clips side by side, (n, H, W, 3) floats, n at most _CHUNK; each clip has one size."""
    held: list[tuple[Tensor, Tensor]] = []
    for place, (before, after) in enumerate(zip_longest(source, edited)):
        if before is None or after is None:
            which = "source" if before is None else "edit"
            raise UserError(f"The {which} ends after {place} frames and the other goes on: give clips of one length.")
        held.append((as_floats(before), as_floats(after)))
        if len(held) == _CHUNK:
            yield tuple(torch.stack(frames) for frames in zip(*held))
            held = []
    if held:
        yield tuple(torch.stack(frames) for frames in zip(*held))


def scores_from(values: object) -> Scores | None:
    """Scores of plain values as a row holds them; None where it holds none."""
    names = [field.name for field in fields(Scores)]
    if not isinstance(values, dict) or not all(isinstance(values.get(name), (int, float)) for name in names):
        return None
    return Scores(*(float(values[name]) for name in names))
