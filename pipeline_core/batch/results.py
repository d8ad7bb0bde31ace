"""What a batch folder holds: its manifest and the rows of its results, as they were written."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..doors import read_json
from ..errors import UserError
from .plan import MANIFEST
from .rows import VERSION

_AGAIN = "run enhance-folder on its clips again"
# What stands in a row and cannot be missing; None where it may be null.
_ROW = {"id": str, "variant": str, "status": str, "input": dict, "figures": dict, "hashes": dict}


@dataclass(frozen=True)
class Results:
    """A batch folder as it was read: `manifest`; `rows` of the results in the order of clip and variant; a sentence on
    every file in `damaged` that is no row."""

    out: Path
    manifest: dict
    rows: list[dict]
    damaged: list[str]

    def clip_of(self, row: dict) -> str:
        """The row's clip as the manifest calls it: its path below the input folder, or else its file's name."""
        for clip in self.manifest["clips"]:
            if clip.get("id") == row["id"]:
                return str(clip["clip"])
        return Path(str(row["input"].get("clip"))).name

    def model_of(self, row: dict) -> str:
        """What the row's model is called: its folder's name, or "embedded"."""
        model = row.get("model") or (self.manifest.get("networks") or {}).get("model")
        return Path(str(model)).name if model else "embedded"

    def output_of(self, row: dict) -> Path | None:
        """Where the row's result lies, None for a row without one or whose file is gone."""
        path = None if row.get("output") is None else self.out / row["output"]
        return path if path is not None and path.is_file() else None


def read_results(out: str | os.PathLike) -> Results:
    """Read the manifest and all rows of a batch folder. UserError for a folder without a manifest of this version."""
    out = Path(out)
    if not (out / MANIFEST).is_file():
        raise UserError(f"{out} is no batch folder (no manifest.json in it): give the OUT of enhance-folder.")
    manifest = read_json(out / MANIFEST, _AGAIN)
    clips = manifest.get("clips")
    sound = isinstance(clips, list) and all(isinstance(clip, dict) and "clip" in clip for clip in clips)
    if manifest.get("version") != VERSION or not sound:
        raise UserError(f"{out / 'manifest.json'} is of another version or damaged: {_AGAIN}.")
    rows, damaged = [], []
    for path in _row_files(out):
        try:
            rows.append(_checked_row(path))
        except UserError as reason:
            if path.exists():  # else a run is making it anew
                damaged.append(str(reason))
    return Results(out, manifest, rows, damaged)


def _row_files(out: Path) -> Iterator[Path]:
    yield from sorted(path for path in (out / "clips").glob("*/*.json") if not path.name.startswith("."))


def _checked_row(path: Path) -> dict:
    """One row; UserError for a file that is none."""
    row = read_json(path, _AGAIN)
    sound = row.get("version") == VERSION and all(isinstance(row.get(name), kind) for name, kind in _ROW.items())
    if not sound or not _is_in_place(row, path) or not _is_judged(row):
        raise UserError(f"{path} is no result of this version: {_AGAIN}.")
    return row


def _is_in_place(row: dict, path: Path) -> bool:
    """Is it the row of the clip that it lies beside: a row can name no other file."""
    name, variant = path.parent.name, path.stem
    return (row["id"], row["variant"]) == (name, variant) and row.get("output") in (None, f"clips/{name}/{variant}.mp4")


def _is_judged(row: dict) -> bool:
    """Are its figures numbers that JSON has, or texts, and its verdict, if there is one, a list of checks."""
    values = [*row["figures"].values(), *_or_empty(row.get("timings")).values()]
    checks = _or_empty(row.get("verdict")).get("checks", [])
    numbers = [value for value in values if isinstance(value, float)]
    plain = all(value is None or isinstance(value, (bool, int, float, str)) for value in values)
    return (
        plain
        and all(map(math.isfinite, numbers))
        and isinstance(checks, list)
        and all(isinstance(check, dict) for check in checks)
    )


def _or_empty(held: object) -> dict:
    return held if isinstance(held, dict) else {}
