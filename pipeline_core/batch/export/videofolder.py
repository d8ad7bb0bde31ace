"""Hugging Face's video folder: the enhanced clips as they are with metadata.jsonl, their labels picture by picture."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from ...errors import UserError
from .scenes import Scene
from .things import listed

NEEDS = ()
PACKAGES = ()
HOW_TO_READ = """
    from datasets import load_dataset
    data = load_dataset("videofolder", data_dir=".")  # data["train"][0]: video, and what metadata.jsonl says of it

`labels` names a clip's folder with `frames.jsonl`, a line of objects per frame, and the pictures `instance`, `semantic`
and `depth`; it is empty for clips whose source has no buffers.
"""


def write(folder: Path, scenes: Iterable[Scene]) -> None:
    """Write the data set; the scenes come one after the other. UserError for every other than every frame."""
    for scene in scenes:
        if scene.every != 1:
            raise UserError("A video folder holds whole clips, so --every cannot thin them out: leave --every out.")
        (folder / scene.split).mkdir(exist_ok=True)
        file = f"{scene.name}{scene.path.suffix}"
        shutil.copyfile(scene.path, folder / scene.split / file)
        scene.tally["frames"] += scene.frames
        about = scene.provenance()
        labels = f"labels/{scene.name}" if scene.maps() else ""
        if labels:
            _write_labels(scene, folder / labels)
        # JSON texts where the keys differ from clip to clip: a column has one type.
        columns = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in about.items()}
        with (folder / scene.split / "metadata.jsonl").open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"file_name": file, "labels": labels, **columns}, allow_nan=False) + "\n")


def _write_labels(scene: Scene, folder: Path) -> None:
    folder.mkdir(parents=True)
    with (folder / "frames.jsonl").open("w", encoding="utf-8") as lines:
        for frame in scene.taken():
            for channel in scene.maps():
                scene.save_codes(channel, frame, folder / channel / f"{frame:06d}.png")
            things = scene.things(frame) if "instance" in scene.maps() else []
            lines.write(json.dumps({"frame": frame, "objects": listed(things)}, allow_nan=False) + "\n")
