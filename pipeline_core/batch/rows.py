"""The row of a result: one JSON file beside it, written last. What has a row that agrees with its task is done."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from ..doors import read_json
from ..errors import UserError
from ..video.files import write_json
from .clips import Source
from .recipe import Variant

VERSION = 1
DONE, REJECTED, FAILED, STOPPED = "done", "rejected", "failed", "stopped"
INPUT, MACHINE = "input", "machine"  # what a failure is put down to; only the machine's are tried again
HASHES = ("input", "settings", "model", "code")


@dataclass(frozen=True)
class Task:
    """One result to make: a variant of a clip. hashes: of HASHES, what it is made from; None for an unreadable clip."""

    source: Source
    variant: Variant
    hashes: dict[str, str | None]

    @property
    def name(self) -> str:
        """The name of its lease; the start of those of its files."""
        return f"{self.source.id}.{self.variant.name}"

    def output(self, out: Path) -> Path:
        return out / "clips" / self.source.id / f"{self.variant.name}.mp4"

    def unfinished(self, out: Path) -> Path:
        """Where its clip is until its row is written."""
        return self.output(out).with_name(f".{self.variant.name}.mp4")

    def trial(self, out: Path, number: int) -> Path:
        """Where the clip of one try is until one of them is chosen; finished windows rest beside it."""
        return self.output(out).with_name(f".{self.variant.name}.{number}.mp4")

    def row(self, out: Path) -> Path:
        return self.output(out).with_suffix(".json")


def new_row(task: Task, attempt: int) -> dict:
    """A row of which nothing is known yet but its task."""
    source, variant = task.source, task.variant
    clip, buffers = (None if path is None else os.path.abspath(path) for path in (source.clip, source.buffers))
    return {
        "version": VERSION,
        "id": source.id,
        "variant": variant.name,
        "status": FAILED,
        "fault": None,
        "reason": None,
        "input": {"clip": clip, "buffers": buffers},
        "output": None,
        "frames": None,
        "size": None,
        "fps": None,
        "look": variant.look,
        "settings": dict(variant.settings),
        "seed": variant.seed,
        "prompts": {},
        "figures": {},
        "verdict": None,
        "notes": [],
        "timings": {},
        "hashes": {**task.hashes, "output": None},
        "attempt": attempt,
    }


def failed_row(task: Task, attempt: int, reason: str, fault: str = MACHINE) -> dict:
    return {**new_row(task, attempt), "reason": reason, "fault": fault}


def read_row(out: Path, task: Task) -> dict | None:
    """The row of a task, or None where there is none that can be read or whose output is gone."""
    path = task.row(out)
    try:
        row = read_json(path, "do it again")
    except UserError:
        return None
    whole = row.get("version") == VERSION and isinstance(row.get("hashes"), dict) and "status" in row
    if not whole or (row["status"] != FAILED and not task.output(out).is_file()):
        return None
    return row


def differences(row: dict, task: Task) -> list[str]:
    """Which of HASHES a result was made with another value of; empty is done."""
    return [name for name in HASHES if row["hashes"].get(name) != task.hashes[name]]


def plain(value):
    """Plain data as JSON can hold it: NaN and infinity are None, tuples are lists."""
    if isinstance(value, dict):
        return {key: plain(held) for key, held in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(held) for held in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_row(out: Path, task: Task, row: dict) -> None:
    """Put the unfinished clip into its place and then the row; what else its tries left goes.

    A row of an older result goes first, so that at no moment a row stands beside a clip that it does not describe.
    """
    from ..longvideo import ChunkFolder

    target = task.output(out)
    target.parent.mkdir(parents=True, exist_ok=True)
    task.row(out).unlink(missing_ok=True)
    if row["status"] == FAILED:
        target.unlink(missing_ok=True)
    else:
        os.replace(task.unfinished(out), target)
    write_json(task.row(out), plain(row))
    for dots in (".", ".."):  # two: what a killed process left of a file that it was writing
        for path in target.parent.glob(f"{dots}{task.variant.name}.*"):
            if path.is_dir():
                ChunkFolder(path, {}).remove()
            else:
                path.unlink(missing_ok=True)
