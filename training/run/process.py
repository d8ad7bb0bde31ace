"""The process around a run: one core, low priority, a lock on its folder, and a clean end on signals."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline_core.errors import UserError

LOCK, STOP = "lock", "stop"


def settle_on_core(core: int | None, niceness: int) -> None:
    """Pin this process to one core (None: wherever the system likes), lower its priority, one passive thread.

    Call it before torch is imported: its thread pools read the environment once. UserError for a core that is not
    there.
    """
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    # The compiler's workers would run beside the one core that was given.
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    os.nice(niceness)
    if core is None or not hasattr(os, "sched_setaffinity"):
        return
    cores = os.sched_getaffinity(0)
    if core not in cores:
        raise UserError(f"Core {core} came and this process may use {sorted(cores)}: change --core.")
    os.sched_setaffinity(0, {core})


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system lets go of even when the process is killed. UserError if it is held."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{folder} is being trained by process {holder(folder)}: choose another --out.") from None
        lock.seek(0)
        lock.truncate()
        lock.write(str(os.getpid()))
        lock.flush()
        (folder / STOP).unlink(missing_ok=True)
        yield


def holder(folder: Path) -> int | None:
    """Process id of the run that holds the folder's lock, None when none does."""
    import fcntl

    path = folder / LOCK
    if not path.exists():
        return None
    with path.open("r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(lock.read() or 0)
    return None


class StopRequest:
    """Call it: whether SIGTERM, SIGINT or the folder's stop file asked for an end. A second signal ends at once."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / STOP
        self._signalled = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._receive)

    def _receive(self, number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        self._signalled = True

    def __call__(self) -> bool:
        return self._signalled or self._file.exists()


def ask_to_stop(folder: Path, patience: float) -> bool:
    """Ask the run in `folder` to end after its step; True when it has within `patience` seconds."""
    if holder(folder) is None:
        return True
    (folder / STOP).touch()
    until = time.monotonic() + patience
    while holder(folder) is not None and time.monotonic() < until:
        time.sleep(0.2)
    return holder(folder) is None
