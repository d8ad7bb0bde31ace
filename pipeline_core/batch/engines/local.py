"""Processes of this machine, each with the networks loaded once; one that dies or hangs is replaced."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ...errors import UserError
from ..ends import Lost
from ..networks import NetworkChoice
from ..rows import Task
from ..rules import GateRules
from ..worker import serve

TIMEOUT = 1800.0  # seconds without a model step until a process counts as hanging
_LOADING = 3600.0  # the same for the loading of a model, which may come over a network's disk
_STARTING = threading.Lock()  # the environment that a new process gets is this one's


def local_slots(
    workers: int,
    out: Path,
    choice: NetworkChoice,
    rules: GateRules | None,
    timeout: float = TIMEOUT,
    target: Callable = serve,
) -> list[LocalSlot]:
    """workers: how many processes. They share the cores, and the GPUs one after the other unless a device is named.

    rules: of the gate. target: what a process runs, as `worker.serve`.
    """
    devices = _devices(choice)
    threads = int(os.environ.get("OMP_NUM_THREADS") or max(1, cores() // workers))
    return [
        LocalSlot(number, out, replace(choice, device=devices[number % len(devices)]), rules, threads, timeout, target)
        for number in range(workers)
    ]


def usual_workers(choice: NetworkChoice) -> int:
    """One for each GPU, or one."""
    return len(_devices(choice))


def cores() -> int:
    """Of the CPU, that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _devices(choice: NetworkChoice) -> list[str | None]:
    import torch

    if choice.device is None and torch.cuda.is_available() and torch.cuda.device_count() > 1:
        return [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return [choice.device]


class LocalSlot:
    """One process; see `board.Slot`."""

    def __init__(
        self,
        number: int,
        out: Path,
        choice: NetworkChoice,
        rules: GateRules | None,
        threads: int,
        timeout: float,
        target: Callable,
    ) -> None:
        self._out, self._choice, self._rules, self._threads = out, choice, rules, threads
        self._timeout, self._target = timeout, target
        self._log = out / "logs" / f"{socket.gethostname()}-{os.getpid()}-{number}.log"
        self._process = self._work = self._stop = None
        self._ends = False  # the run is to end

    def ready(self) -> bool:
        for _ in range(2):
            if self._process is not None and self._process.is_alive():
                return True
            self._start()
            try:
                kind, said = self._answer("while it loaded the model", _LOADING)
            except Lost as lost:
                reason = lost
                if self._ends:
                    return False
                continue
            if kind == "refused":
                raise UserError(said)
            return True
        raise UserError(f"{reason} Make sure that the model loads: python -m pipeline_core enhance on one clip.")

    def work(self, task: Task, attempt: int) -> dict:
        try:
            self._work.send((task, attempt))
        except OSError:
            raise Lost(self._end_of_process()) from None
        return self._answer("while it worked on the clip", self._timeout)[1]

    def renew(self) -> None:
        self.kill()

    def stop(self) -> None:
        self._ends = True
        if self._stop is not None:
            try:
                self._stop.send(None)
            except OSError:
                pass  # the process is gone

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()

    def close(self) -> None:
        if self._process is not None:
            self._work.close()
            self._process.join(5)
            self.kill()
        if self._log.is_file() and self._log.stat().st_size == 0:
            self._log.unlink()
            try:
                self._log.parent.rmdir()
            except OSError:
                pass  # other logs are in it

    def _start(self) -> None:
        self.kill()
        self._log.parent.mkdir(exist_ok=True)
        context = multiprocessing.get_context("spawn")
        self._work, work = context.Pipe()
        stop, self._stop = context.Pipe(duplex=False)
        arguments = (work, stop, str(self._out), str(self._log), self._choice, self._rules, self._threads)
        self._process = context.Process(target=self._target, args=arguments, daemon=True)
        with _STARTING, _for_child(self._threads):
            self._process.start()
        work.close()
        stop.close()
        if self._ends:
            self.stop()

    def _answer(self, when: str, seconds: float) -> tuple[str, object]:
        """The next message that is more than a sign of life; raises Lost without one in time."""
        last = time.monotonic()
        while True:
            try:
                if self._work.poll(1.0):
                    kind, content = self._work.recv()
                    if kind != "sign":
                        return kind, content
                    last = time.monotonic()
            except (EOFError, OSError):
                raise Lost(f"{self._end_of_process()} {when}: see {self._log}.") from None
            if time.monotonic() - last > seconds:
                self.kill()
                raise Lost(
                    f"The process hung {when}: it was ended after {seconds:g} s without a model step; set "
                    "--timeout if its steps take longer."
                )

    def _end_of_process(self) -> str:
        self._process.join(5)
        code = self._process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            more = " (as where the memory is used up)" if -code == getattr(signal, "SIGKILL", None) else ""
            return f"The process was ended by {name}{more}"
        return f"The process ended with exit code {code}"


class _for_child:
    """While a process is started: what it inherits. Its threads are counted, and Ctrl-C is its parent's affair."""

    def __init__(self, threads: int) -> None:
        self._values = {"OMP_NUM_THREADS": str(threads)} if "OMP_NUM_THREADS" not in os.environ else {}

    def __enter__(self) -> None:
        os.environ.update(self._values)
        if hasattr(signal, "pthread_sigmask"):
            self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})

    def __exit__(self, *error) -> None:
        for name in self._values:
            os.environ.pop(name)
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
