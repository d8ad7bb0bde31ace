"""A process that makes one result after the other with networks that it loads once. Its parent gives out the work."""

from __future__ import annotations

import os
import signal
import threading
import time
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .networks import NetworkChoice
    from .rules import GateRules

_EVERY = 0.5  # seconds between two signs of life


def serve(
    work: Connection, stop: Connection, out: str, log: str, choice: NetworkChoice, rules: GateRules | None, threads: int
) -> None:
    """Answer tasks until the parent closes `work` or is gone.

    Sends ("refused", sentence) where the networks cannot be loaded, else ("ready", None); for each (task, attempt) that
    comes any number of ("sign", None), one a model step at the most, and one ("row", row). Anything on `stop` asks to
    end after the window at hand. What libraries print goes to the file `log`.
    """
    _set_up(log)
    import torch

    from ..errors import UserError
    from .judging import load_gate
    from .networks import load_networks
    from .process import process

    torch.set_num_threads(threads)
    try:
        held = load_networks(choice)
        gate = load_gate(rules, held.estimators, choice.device)
    except UserError as error:
        work.send(("refused", str(error)))
        return
    work.send(("ready", None))
    last = 0.0

    def sign(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > _EVERY:
            last = time.monotonic()
            work.send(("sign", None))

    while True:
        try:
            task, attempt = work.recv()
            row = process(task.source, task.variant, Path(out), held, task.hashes, attempt, sign, stop.poll, gate)
            work.send(("row", row))
        except (EOFError, OSError):
            return


def _set_up(log: str) -> None:
    """Signals are the parent's affair; without a parent there is nobody to work for."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_with_parent, daemon=True).start()
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)


def _end_with_parent() -> None:
    wait([parent_process().sentinel])
    os._exit(1)
