"""Clips of the world's drives for LoRAs, by the pack's own commands."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pipeline_core.__main__ import main as command
from pipeline_core.video.files import write_text


def run(words: Sequence[str]) -> None:
    """A command of the pack; RuntimeError where it did not end well, and has said why."""
    if code := command(list(words)):
        raise RuntimeError(f"{words[0]} ended with {code}")


def render_drives(
    folder: Path, seeds: Iterable[int], style: str, shape: Sequence[str], about: Callable[[int], dict[str, str]]
) -> None:
    """A clip of every seed where there is none yet, and the folder's metadata.jsonl, `about` the seed in every line.

    shape: --frames and --size with their values.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for seed in seeds:
        file = folder / f"{seed}.mp4"
        if not file.is_file():
            run(["render", "--seed", str(seed), "--style", style, "-o", str(file), *shape])
        lines.append({"file_name": file.name, **about(seed), "source": style})
    write_text(folder / "metadata.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
