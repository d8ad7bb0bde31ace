"""A batch folder's results as a data set that trainers read: pictures, labels, splits, provenance and a card."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from ...doors import check_paths, writable
from ...errors import UserError
from ...video.files import atomic_folder, write_text
from .card import card
from .scenes import Scene
from .selection import DEFAULT_SPLITS, parse_splits, select

FORMATS = {
    "coco": "coco",
    "youtube-vis": "youtube_vis",
    "cityscapes": "cityscapes",
    "yolo": "yolo",
    "videofolder": "videofolder",
    "webdataset": "webdataset",
}  # name -> its module here
_PIP = {"cv2": "opencv-python-headless"}  # where pip's name is another


@dataclass(frozen=True)
class Exported:
    """counts: split -> {"clips", "frames", and the objects by name}; left_out: a sentence on every result that could
    not be taken; rejected: how many were not taken because the gate rejected them; empty: splits without clips."""

    counts: dict[str, dict[str, int]]
    left_out: list[str]
    rejected: int
    empty: list[str]


def export(
    out: str | os.PathLike,
    target: str | os.PathLike,
    format: str,
    splits: str = DEFAULT_SPLITS,
    include_rejected: bool = False,
    every: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Exported:
    """Write the results of the batch folder `out` as a data set into the new or empty folder `target`, whole or not at
    all.

    format: one of FORMATS; splits: "NAME=SHARE,...", by clip; include_rejected: take what the gate rejected too; every:
    N, to take every Nth frame; progress: called with clips done and their number. Pictures are those of the enhanced
    clips, at their size; labels are those of the sources' buffers. UserError for an unknown format, one whose package
    is not installed, splits that are none, a target with something in it and a folder with nothing to export.
    """
    out, target = Path(out), Path(target)
    if format not in FORMATS:
        raise UserError(f"The format {format!r} is unknown: choose one of {', '.join(FORMATS)}.")
    if every < 1:
        raise UserError(f"--every is {every} but must be 1 or more: change --every.")
    shares = parse_splits(splits)
    module = import_module(f".{FORMATS[format]}", __package__)
    for package in module.PACKAGES:
        if find_spec(package) is None:
            pip = _PIP.get(package, package)
            raise UserError(f"The format {format} needs {pip}, which is not installed: pip install {pip}.")
    check_paths({"OUT": out}, {}, {"TARGET": target})
    writable(target, "the data set", folder=True)
    if target.is_dir() and any(target.iterdir()):
        raise UserError(f"{target} has something in it: name a new or empty folder for the data set.")
    chosen = select(out, shares, module.NEEDS, include_rejected, every)
    with atomic_folder(target) as folder:
        module.write(folder, _in_turn(chosen.scenes, progress))
        lines = [json.dumps(scene.provenance(), allow_nan=False) for scene in chosen.scenes]
        write_text(folder / "provenance.jsonl", "\n".join(lines) + "\n")
        counts = _counted(chosen.scenes)
        write_text(folder / "README.md", card(format, module.HOW_TO_READ, chosen, counts))
    return Exported(counts, chosen.left_out, chosen.rejected, [split for split in shares if split not in counts])


def _in_turn(scenes: list[Scene], progress: Callable[[int, int], None]) -> Iterator[Scene]:
    for done, scene in enumerate(scenes):
        progress(done, len(scenes))
        yield scene
    progress(len(scenes), len(scenes))


def _counted(scenes: list[Scene]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for scene in scenes:
        split = counts.setdefault(scene.split, {"clips": 0, "frames": 0})
        split["clips"] += 1
        for name, count in scene.tally.items():
            split[name] = split.get(name, 0) + count
    return counts
