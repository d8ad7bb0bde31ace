"""Who works on what: a file for each piece of work, there while somebody does it, that expires when nobody touches it.

A lease is made with O_EXCL, so that of two who want it one gets it. It belongs to its maker as long as its time is
touched; after `seconds` without, or where its maker was a process of this machine that is gone, the work is free. Who
takes it over makes a file of the next number, NAME~1 after NAME, again with O_EXCL, so that of two takers one gets it,
and nothing is ever renamed or replaced under a living owner. The highest number counts.
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

SECONDS = 120.0  # until a lease that nobody touches is free
_WAIT = 0.2  # seconds between two looks at one that others have
_NUMBERED = re.compile(r"(?P<name>.*?)(?:~(?P<number>\d+))?", re.DOTALL)


class Lease:
    """One that was claimed. `touch` it well within its time; `release` it when the work's result stands."""

    def __init__(self, folder: Path, name: str, number: int) -> None:
        self._folder, self._name, self._number = folder, name, number
        self._path = _path(folder, name, number)

    def touch(self) -> None:
        try:
            os.utime(self._path)
        except FileNotFoundError:
            pass  # taken over while this process slept; `held` says so

    def held(self) -> bool:
        """Is it still this owner's; not so after others took it over because it had expired."""
        return max(_numbers(self._folder, self._name), default=-1) == self._number

    def release(self) -> None:
        if not self.held():
            return
        # This one first: while an older file stands, a late taker of that one sees whom it would come after.
        for number in sorted(_numbers(self._folder, self._name), reverse=True):
            _path(self._folder, self._name, number).unlink(missing_ok=True)


def claim(folder: Path, name: str, seconds: float = SECONDS) -> Lease | None:
    """The lease of `name` for this process, or None while somebody else has it.

    Whoever got it looks again at whether the work is done: another may have finished in between.
    """
    folder.mkdir(parents=True, exist_ok=True)
    before = max(_numbers(folder, name), default=-1)
    if before >= 0 and not _is_free(folder, name, before, seconds):
        return None
    number = before + 1
    try:
        file = os.open(_path(folder, name, number), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return None
    with os.fdopen(file, "w", encoding="utf-8") as out:
        json.dump(_owner(), out)
    there = _numbers(folder, name)
    if max(there, default=-1) != number or (before >= 0 and before not in there):
        # What was seen before is over: the lease was released, or others are further.
        _path(folder, name, number).unlink(missing_ok=True)
        return None
    return Lease(folder, name, number)


@contextmanager
def waited_for(folder: Path, name: str, seconds: float = SECONDS) -> Iterator[Lease]:
    """The lease of `name`, once others have released it; whoever holds it touches it."""
    while (lease := claim(folder, name, seconds)) is None:
        time.sleep(_WAIT)
    try:
        yield lease
    finally:
        lease.release()


def sweep(folder: Path, seconds: float = SECONDS) -> None:
    """Remove the leases that are free: what killed runs left of work that is done."""
    names = {_NUMBERED.fullmatch(entry.name)["name"] for entry in os.scandir(folder)} if folder.is_dir() else set()
    for name in names:
        lease = claim(folder, name, seconds)
        if lease is not None:
            lease.release()


def _path(folder: Path, name: str, number: int) -> Path:
    return folder / (f"{name}~{number}" if number else name)


def _numbers(folder: Path, name: str) -> set[int]:
    numbers = set()
    for entry in os.scandir(folder):
        match = _NUMBERED.fullmatch(entry.name)
        if match["name"] == name:
            numbers.add(int(match["number"] or 0))
    return numbers


def _is_free(folder: Path, name: str, number: int, seconds: float) -> bool:
    path = _path(folder, name, number)
    try:
        age = _now(folder) - path.stat().st_mtime
        if age > seconds:
            return True
        owner = json.loads(path.read_text(encoding="utf-8"))
        return owner["machine"] == _machine() and _started(owner["pid"]) != owner["started"]
    except (OSError, ValueError, KeyError, TypeError):
        return False  # released just now, or not yet written: its time alone decides


def _now(folder: Path) -> float:
    """The time by the clock of the disk, which on a network is another machine's."""
    probe = folder / f".now-{uuid.uuid4().hex}"
    probe.touch()
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink()


def _owner() -> dict:
    pid = os.getpid()
    about = {"host": socket.gethostname(), "machine": _machine(), "pid": pid, "started": _started(pid)}
    return {**about, "uuid": uuid.uuid4().hex, "time": time.time()}


@cache
def _machine() -> str:
    """Names this machine since it was started, and this container on it; a new name each time where it cannot be known,
    so that no process of another machine is ever taken for one that is gone."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return uuid.uuid4().hex


def _started(pid: int) -> str | None:
    """When a process of this machine was started, in the kernel's ticks; None where there is none. A zombie is none."""
    try:
        text = Path(f"/proc/{int(pid)}/stat").read_text()
    except (OSError, ValueError):
        return None
    fields = text[text.rindex(")") + 2 :].split()  # the name before may hold anything
    return None if fields[0] == "Z" else fields[19]
