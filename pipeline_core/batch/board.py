"""A run: slots that can make one result at a time, each served by a thread, take what is to do from one board.

A slot is a process, a Ray actor or a ComfyUI server. What is done, and who works on what, stands on the disk, so that
any number of runs may share a folder.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from ..errors import UserError
from .ends import Lost
from .leases import SECONDS, Lease, claim
from .networks import NetworkChoice
from .quarantine import quarantined
from .rows import FAILED, MACHINE, STOPPED, Task, differences, failed_row, read_row, write_row

_WAIT = 0.5  # seconds between two looks at what other runs do


class Slot(Protocol):
    """One place where results are made. All but `stop` and `kill` are called by the slot's own thread."""

    def ready(self) -> bool:
        """Can it take a task now; starts what has to be, which may take seconds. UserError where it never will."""

    def work(self, task: Task, attempt: int) -> dict:
        """The row of a task; raises Lost."""

    def renew(self) -> None:
        """Before another attempt after a fault of the machine: what may be broken is started anew."""

    def stop(self) -> None:
        """End after the window at hand."""

    def kill(self) -> None:
        """End at once."""

    def close(self) -> None:
        """The run is over."""


class Board:
    """The tasks of a run. settled: name of a task -> its row, of this run's and of earlier ones."""

    def __init__(
        self,
        tasks: Sequence[Task],
        out: Path,
        choice: NetworkChoice,
        retries: int = 2,
        again: bool = False,
        seconds: float = SECONDS,
    ) -> None:
        self.out, self.settled = out, {}
        self._choice, self._retries, self._seconds = choice, retries, seconds
        self._open = {task.name: task for task in tasks}
        self._again = set(self._open) if again else set()  # failed tasks that are to be tried once more
        self._lock, self._stop, self._error = threading.Lock(), threading.Event(), None
        self._held: dict[str, Lease] = {}
        self._attempts: dict[str, int] = {}  # that ended by a fault of the machine
        for task in tasks:
            self._look(task)

    @property
    def left(self) -> int:
        return len(self._open)

    def run(self, slots: Sequence[Slot], watch: Callable[[], None] = lambda: None) -> None:
        """Until every task is settled, here or by other runs. watch: called a few times a second.

        On KeyboardInterrupt the slots end after the window at hand, on a second one at once, and it is raised. What a
        slot raised that is no affair of one clip ends the run the same way.
        """
        threads = [threading.Thread(target=self._serve, args=(slot,), daemon=True) for slot in slots]
        threads.append(threading.Thread(target=self._keep_leases, daemon=True))
        interrupted = 0
        try:
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                try:
                    threads[0].join(0.1)
                    time.sleep(0.0 if threads[0].is_alive() else 0.1)
                    watch()
                    if self._error is not None and not interrupted:
                        interrupted += 1
                        self._end(slots)
                except KeyboardInterrupt:
                    interrupted += 1
                    self._end(slots, at_once=interrupted > 1)
        finally:
            for slot in slots:
                slot.kill()
        if self._error is not None:
            raise self._error
        if interrupted:
            raise KeyboardInterrupt("finished windows are kept, and the same command goes on from them")

    def _end(self, slots: Sequence[Slot], at_once: bool = False) -> None:
        self._stop.set()
        for slot in slots:
            slot.kill() if at_once else slot.stop()

    def _serve(self, slot: Slot) -> None:
        try:
            while self.left and not self._stop.is_set():
                if not slot.ready():
                    self._stop.wait(_WAIT)
                elif self._stop.is_set():
                    return  # asked to while it got ready
                elif (task := self._claimed()) is None:
                    self._stop.wait(_WAIT)  # others have what is left; they may die
                else:
                    self._settle(slot, task)
        except BaseException as error:
            self._error = self._error or error
        finally:
            slot.close()

    def _settle(self, slot: Slot, task: Task) -> None:
        """Work on a task that was claimed; its row is written unless it is to be tried again or the run is to end."""
        try:
            row = self._attempt(slot, task)
            if row is not None and self._held[task.name].held():
                if row["status"] == FAILED:
                    quarantined(self.out, task, row, self._choice)
                write_row(self.out, task, row)
                self._is_settled(task, row)
        finally:
            with self._lock:
                lease = self._held.pop(task.name)
            lease.release()

    def _attempt(self, slot: Slot, task: Task) -> dict | None:
        """The row of one more attempt; None where others are to follow, in any slot, after what else is open."""
        attempt = self._attempts.get(task.name, 0) + 1
        try:
            row = slot.work(task, attempt)
        except Lost as lost:
            row = failed_row(task, attempt, str(lost))
        if row["status"] == STOPPED or (self._stop.is_set() and row["fault"] == MACHINE):
            return None
        if row["status"] == FAILED and row["fault"] == MACHINE:
            slot.renew()
            if attempt <= self._retries:
                with self._lock:
                    self._attempts[task.name] = attempt
                    self._open[task.name] = self._open.pop(task.name)
                return None
        return row

    def _claimed(self) -> Task | None:
        """A task that nobody works on, now this run's; None where there is none at the moment."""
        for task in list(self._open.values()):
            with self._lock:
                if task.name in self._held or task.name not in self._open:
                    continue
                if self._look(task):
                    continue
                lease = claim(self.out / "leases", task.name, self._seconds)
                if lease is None:
                    continue
                if self._look(task):  # done between the look and the claim
                    lease.release()
                    continue
                self._held[task.name] = lease
                return task
        return None

    def _look(self, task: Task) -> bool:
        """Is there a row that agrees with the task; then it is settled."""
        row = read_row(self.out, task)
        if row is None or differences(row, task) or (row["status"] == FAILED and task.name in self._again):
            return False
        self._is_settled(task, row)
        return True

    def _is_settled(self, task: Task, row: dict) -> None:
        self.settled[task.name] = row
        self._open.pop(task.name, None)

    def _keep_leases(self) -> None:
        while self.left and not (self._stop.is_set() and not self._held):
            with self._lock:
                held = list(self._held.values())
            for lease in held:
                lease.touch()
            time.sleep(min(1.0, self._seconds / 8))


def check_retries(retries: int) -> None:
    if not 0 <= retries <= 100:
        raise UserError(f"--retries is {retries} but must be from 0 to 100: change --retries.")
