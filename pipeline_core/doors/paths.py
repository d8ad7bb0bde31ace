"""Paths of one call: outputs that can be written, and that are neither an input nor another output."""

from __future__ import annotations

import os
import secrets
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..errors import UserError
from .sentences import sentence


def regular_file(path: str | os.PathLike, most_bytes: int | None = None, change: str = "") -> Path:
    """The path, if it is a file of at most `most_bytes`; UserError for folders, devices, pipes and what is not there.

    A pipe would be waited for and a device may have no end, so that neither is opened. change: as `sentence` takes it.
    """
    path = Path(path)
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = sentence(error, change) or f"{str(path)!r} cannot be a file's name: change the path."
        raise UserError(reason) from error
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f"{path} is not a file: {change or 'give the path of a file'}.")
    if most_bytes is not None and status.st_size > most_bytes:
        raise UserError(
            f"{path} has {status.st_size / 1e6:.0f} MB but at most {most_bytes / 1e6:.0f} are read: give another file."
        )
    return path


# Kinds of file that nobody means to replace by something else.
_PRECIOUS = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".pt", ".pth", ".safetensors", ".exr", ".npy", ".json")


def writable(path: str | os.PathLike, what: str, folder: bool = False, suffixes: tuple[str, ...] = ()) -> Path:
    """The path, if `what` can be written there; UserError otherwise, before any work is done.

    Tried for real, with an empty file under the name that the unfinished output will have, which is removed again.
    folder: `what` is a folder, which may be there already. suffixes: what `what` is usually called; a clip, weights or
    a buffer called otherwise is not replaced by it.
    """
    path = Path(path)
    try:
        if not path.parent.is_dir():
            raise UserError(f"The folder {path.parent} for {what} does not exist: create it or change the path.")
        try:
            mode = os.stat(path).st_mode
        except FileNotFoundError:
            mode = None
        if mode is not None:
            _check_replaceable(path, what, mode, folder, suffixes)
        place = path / "x" if folder and mode is not None else path
        probe = unfinished_name(place)
        probe.touch(exist_ok=False)
        probe.unlink()
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        why = sentence(error) or "The path holds a character that no file name may have: change it."
        if isinstance(error, OSError) and error.filename is not None:
            why = sentence(type(error)(error.errno, error.strerror, str(path)))
        raise UserError(why.replace(str(path), f"The path {path} for {what}", 1)) from error
    return path


def _check_replaceable(path: Path, what: str, mode: int, folder: bool, suffixes: tuple[str, ...]) -> None:
    if folder:
        if not stat.S_ISDIR(mode):
            raise UserError(f"{path} is a file but {what} needs a folder: change the path.")
        return
    if stat.S_ISDIR(mode):
        raise UserError(f"{path} is a folder but {what} needs a file name: change the path.")
    if not stat.S_ISREG(mode):
        raise UserError(f"{path} is a device or pipe but {what} needs a file: change the path.")
    if not mode & 0o222:
        raise UserError(f"{path} is write-protected: change the path for {what}, or allow writing.")
    if path.suffix.lower() in _PRECIOUS and path.suffix.lower() not in suffixes:
        raise UserError(f"{path} is there and something else than {what} by its name: change the path.")


def check_paths(
    reads: Mapping[str, str | os.PathLike | None],
    writes: Mapping[str, str | os.PathLike | None],
    folders: Mapping[str, str | os.PathLike | None] | None = None,
) -> None:
    """UserError unless no output is an input or another output, so that nothing is lost; paths that are None are left
    out.

    reads, writes: what it is in the user's words (such as "--report") -> path; what is read may be a folder, and a file
    in it is then not written over either. folders: outputs that are folders; nothing else may be in them or be them.
    Links are followed, hard links and names that differ only in case, where the folder takes them for one, are seen.
    """
    reads, writes, folders = (
        {name: Path(path) for name, path in (paths or {}).items() if path is not None}
        for paths in (reads, writes, folders)
    )
    for name, path in (*reads.items(), *writes.items(), *folders.items()):
        if "\0" in str(path):
            raise UserError(f"{name} holds a character that no file name may have: change {name}.")
    for name, path in writes.items():
        for other, source in reads.items():
            if _same(path, source):
                raise UserError(f"{name} {path} is {other} itself and would be written over it: change {name}.")
            if os.path.lexists(path) and source.is_dir() and _inside(path, source):
                raise UserError(f"{name} {path} is a part of {other} and would be written over it: change {name}.")
    written = {**writes, **folders}
    for place, (name, path) in enumerate(written.items()):
        for other, second in list(written.items())[:place]:
            if _same(path, second) or any(
                _inside(a, b) for a, b in ((path, second), (second, path)) if b in folders.values()
            ):
                raise UserError(f"{name} and {other} would both be written to {path}: change one of them.")
    for name, path in folders.items():
        for other, source in reads.items():
            if _same(path, source) or _inside(source, path):
                raise UserError(f"{name} {path} holds what {other} reads, and would be replaced: change {name}.")


def _same(a: Path, b: Path) -> bool:
    """Do two paths name one file or folder, there or not yet."""
    if os.path.exists(a) and os.path.exists(b):
        return os.path.samefile(a, b)
    a, b = (Path(os.path.realpath(path)) for path in (a, b))
    if a == b:
        return True
    return a.parent == b.parent and _folded(a.name) == _folded(b.name) and _ignores_case(a.parent)


def _inside(path: Path, folder: Path) -> bool:
    return any(_same(above, folder) for above in _above(path))


def _above(path: Path) -> Iterator[Path]:
    yield from Path(os.path.realpath(path)).parents


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _ignores_case(folder: Path) -> bool:
    """Does the file system take A and a for one name; found out with a file that is removed again."""
    probe = unfinished_name(folder / "case")
    try:
        probe.touch(exist_ok=False)
    except OSError:
        return False
    try:
        return probe.with_name(probe.name.upper()).exists()
    finally:
        probe.unlink()


def unfinished_name(path: str | os.PathLike) -> Path:
    """A new name in the same folder, hidden, for what will be called `path`; no two calls give the same."""
    path = Path(path)
    return path.parent / f".{path.name}.{secrets.token_hex(4)}.part"
