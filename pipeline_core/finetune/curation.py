"""Clips that teach nothing or the wrong thing: near-duplicates, flat, dark and static ones, and renders that failed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..doors import read_json
from ..errors import UserError
from ..video.facts import examine, frames_of
from ..video.frames import as_floats

SIDE = 16  # of the thumbnails that clips are compared by
VIEWS = 4  # frames of a clip of which they are
BLANK = 0.01  # standard deviation of every channel below which a frame has nothing in it
_LUMA = torch.tensor([0.2126, 0.7152, 0.0722])
_ANYBODY = 6  # keypoints that make a person


@dataclass(frozen=True)
class Limits:
    """Below these a clip is dropped. dark: mean luma; flat: mean over frames of the luma's standard deviation; static:
    mean |difference| of consecutive frames; alike: root mean square between the thumbnails of two clips; blank,
    nobody: not below but above these shares of frames, with one colour and, where joints are known, without people."""

    dark: float = 0.05
    flat: float = 0.03
    static: float = 0.001
    alike: float = 0.02
    blank: float = 0.0
    nobody: float = 0.5

    def reasons(self, figures: dict[str, float | None]) -> list[str]:
        """Why a clip with these figures is dropped; near-duplicates are `duplicates`' part."""
        said = []
        for name in ("dark", "flat", "static"):
            value, least = figures[name], getattr(self, name)
            if value is not None and value < least:
                said.append(f"{name} ({value:.4f}, at least {least:g})")
        for name in ("blank", "nobody"):
            value, most = figures[name], getattr(self, name)
            if value is not None and value > most:
                words = {"blank": "blank frames", "nobody": "frames without people"}[name]
                said.append(f"{words} ({value:.2f} of all, at most {most:g})")
        return said


def measure_clip(path: Path, joints: Path | None = None) -> tuple[dict[str, float | None], Tensor]:
    """Figures by the names of Limits (static None for one frame, nobody None without joints), and the thumbnails
    (VIEWS, SIDE, SIDE, 3). One pass, a frame at a time. UserError for a clip that cannot be read whole."""
    facts = examine(path)
    facts.refuse_damage("")
    count = facts.info.frames
    views = [round(part * (count - 1) / (VIEWS - 1)) for part in range(VIEWS)]
    totals = dict.fromkeys(("dark", "flat", "static", "blank"), 0.0)
    thumbnails, before = {}, None
    for number, frame in enumerate(frames_of(facts)):
        frame = as_floats(frame)
        luma = frame @ _LUMA
        totals["dark"] += float(luma.mean())
        totals["flat"] += float(luma.std())
        totals["blank"] += float(frame.flatten(0, 1).std(0).max() < BLANK)
        if before is not None:
            totals["static"] += float((luma - before).abs().mean())
        before = luma
        if number in views:
            small = F.interpolate(frame.movedim(-1, 0)[None], size=(SIDE, SIDE), mode="area")
            thumbnails[number] = small[0].movedim(0, -1)
    figures = {name: total / count for name, total in totals.items()}
    figures["static"] = totals["static"] / (count - 1) if count > 1 else None
    figures["nobody"] = _without_people(joints, count) if joints else None
    return figures, torch.stack([thumbnails[number] for number in views])


def _without_people(path: Path, frames: int) -> float:
    """Share of the frames in which COCO's keypoints of the clip have nobody."""
    content = read_json(path, "render the clip again")
    try:
        peopled = {a["image_id"] for a in content["annotations"] if a["num_keypoints"] >= _ANYBODY}
    except (KeyError, TypeError) as error:
        raise UserError(f"{path} holds no COCO keypoints: render the clip again.") from error
    return 1 - len(peopled) / frames


def duplicates(thumbnails: list[Tensor | None], alike: float) -> list[tuple[int, float] | None]:
    """Of each clip, the first one before it that is kept and as good as the same, with their distance; else None.

    thumbnails: of `measure_clip`; None for clips that are dropped already and duplicate nothing.
    """
    answers: list[tuple[int, float] | None] = []
    numbers: list[int] = []
    rows = torch.zeros(0, VIEWS * SIDE * SIDE * 3)
    for number, thumbnail in enumerate(thumbnails):
        answer = None
        if thumbnail is not None:
            row = thumbnail.flatten()[None]
            distance = (rows - row).square().mean(-1).sqrt()
            if len(rows) and float(distance.min()) < alike:
                nearest = int(distance.argmin())
                answer = (numbers[nearest], float(distance[nearest]))
            else:
                rows, numbers = torch.cat([rows, row]), [*numbers, number]
        answers.append(answer)
    return answers
