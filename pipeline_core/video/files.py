"""Files that are whole or not there at all: written under another name beside their own, which they get at the end."""

from __future__ import annotations

import glob
import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import UserError


def unfinished_name(path: str | os.PathLike) -> Path:
    """A new name in the same folder, hidden, for what will be called `path`; no two calls give the same."""
    path = Path(path)
    return path.parent / f".{path.name}.{secrets.token_hex(4)}.part"


def remove_unfinished(path: str | os.PathLike) -> None:
    """Delete what a killed process left beside `path` under its unfinished names."""
    path = Path(path)
    for unfinished in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        unfinished.unlink(missing_ok=True)


@contextmanager
def atomic_file(path: str | os.PathLike) -> Iterator[Path]:
    """An empty file to fill by its unfinished name; it becomes `path` when the block ends without an error.

    Until then, and after an error, an older file of that name stays as it was and nothing else is left. The file may
    be read by those who could read the older one, or else by those who may read any new file, whatever the code that
    filled it thought. UserError where the folder does not exist.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise UserError(f"The output folder {path.parent} does not exist: create it first.")
    unfinished = unfinished_name(path)
    try:
        unfinished.touch(exist_ok=False)
        mode = stat.S_IMODE((path if path.is_file() else unfinished).stat().st_mode)
        yield unfinished
        unfinished.chmod(mode)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Text as UTF-8. UserError as `atomic_file`."""
    with atomic_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike, content: dict) -> None:
    """A dict as JSON; ValueError for NaN and infinity, which JSON does not have. UserError as `atomic_file`."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")
