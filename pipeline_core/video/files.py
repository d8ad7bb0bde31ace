"""Files that are whole or not there at all: written under another name beside their own, which they get at the end."""

from __future__ import annotations

import glob
import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..doors.paths import unfinished_name
from ..errors import UserError

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be deleted anyway
    fcntl = None


def remove_unfinished(path: str | os.PathLike) -> None:
    """Delete what a killed process left beside `path` under its unfinished names; UserError where another process is
    writing `path` right now."""
    path = Path(path)
    for unfinished in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        try:
            with _held(unfinished):
                unfinished.unlink(missing_ok=True)
        except BlockingIOError:
            raise UserError(f"Another run is writing {path}: wait for it, or change the output's name.") from None


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Keep a file for this process while the block runs, where the system knows how; BlockingIOError for one that
    another holds. The system lets go of what a killed process held."""
    if fcntl is None:
        yield
        return
    number = os.open(path, os.O_RDWR)
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            pass  # a network disk without locks
        yield
    finally:
        os.close(number)


@contextmanager
def only_run(folder: str | os.PathLike, what: str) -> Iterator[None]:
    """Keep a folder, which is made where it is not there, for this process while the block runs; what: its option.

    UserError where another process keeps it. A killed process lets go of it.
    """
    lock = Path(folder) / ".lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    with ExitStack() as held:
        try:
            held.enter_context(_held(lock))
        except BlockingIOError:
            raise UserError(f"Another run is writing to {folder}: wait for it, or change {what}.") from None
        yield


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
        with _held(unfinished):
            yield unfinished
        unfinished.chmod(mode)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | os.PathLike) -> Iterator[Path]:
    """An empty folder to fill by its unfinished name; what is in it becomes part of `path` when the block ends without
    an error. Files and folders of the same names there are replaced, everything else stays.

    Until then, and after an error, `path` is as it was. UserError where the folder above it does not exist, and for a
    file where a folder came or the other way round.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise UserError(f"The folder {path.parent} for {path.name} does not exist: create it or change the path.")
    if path.exists() and not path.is_dir():
        raise UserError(f"{path} is a file but a folder is needed: change the path.")
    unfinished = unfinished_name(path)
    try:
        unfinished.mkdir()
        yield unfinished
        if not path.is_dir():
            os.replace(unfinished, path)
            return
        pairs = [(part, path / part.name) for part in unfinished.iterdir()]
        for part, target in pairs:
            if target.exists() and target.is_dir() != part.is_dir():
                raise UserError(f"{target} is of another kind than what is to be written: move it away.")
        for part, target in pairs:
            if target.is_dir():
                shutil.rmtree(target)
            os.replace(part, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Text as UTF-8. UserError as `atomic_file`."""
    with atomic_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike, content: dict, indent: int | None = 1) -> None:
    """A dict as JSON; ValueError for NaN and infinity, which JSON does not have. UserError as `atomic_file`."""
    write_text(path, json.dumps(content, indent=indent, allow_nan=False) + "\n")
