"""A run's log, one JSON object a line, that agrees with the checkpoint however often the run was killed."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline_core.video.files import remove_unfinished, write_text

NAME = "log.jsonl"


class RunLog:
    """Entries of kind "loss" or "figures", each with its step; those after `step` are dropped: they happen again."""

    def __init__(self, folder: Path, step: int | None = None) -> None:
        self.path = folder / NAME
        self._entries = _read(self.path)
        if step is not None and self.path.exists():
            self._entries = [entry for entry in self._entries if entry["step"] <= step]
            remove_unfinished(self.path)
            write_text(self.path, "".join(json.dumps(entry) + "\n" for entry in self._entries))

    def write(self, kind: str, step: int, values: dict) -> None:
        """Append an entry; floats keep five digits."""
        entry = {"kind": kind, "step": step} | {name: _short(value) for name, value in values.items()}
        self._entries.append(entry)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def entries(self, kind: str) -> list[dict]:
        """All entries of a kind, oldest first."""
        return [entry for entry in self._entries if entry["kind"] == kind]


def _read(path: Path) -> list[dict]:
    """Every whole line; a last line cut off by a kill is no entry."""
    entries = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            entries.append(json.loads(line))
        except ValueError:
            continue
    return entries


def _short(value: object) -> object:
    if isinstance(value, dict):
        return {name: _short(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_short(inner) for inner in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value
