"""Ray: the same work by actors, on this machine or on a cluster whose machines see the same files under the same paths.

Ray says where an actor runs and when it died; what is done stands on the disk, as with every engine, and none of Ray's
own checkpointing is used. Tasks carry paths, never frames.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from ...doors.sentences import first_line
from ...errors import UserError
from ..ends import Lost
from ..networks import NetworkChoice
from ..rows import Task
from ..rules import GateRules

_ROOT = Path(__file__).resolve().parents[3]
_POLL = 1.0  # seconds between two questions to an actor


class RayWorker:
    """What an actor is: networks loaded once, one result at a time, and two things that may be said in between."""

    def __init__(self, out: str, choice: NetworkChoice, rules: GateRules | None) -> None:
        self._out, self._choice, self._rules = Path(out), choice, rules
        self._gate, self._networks, self._signs, self._ends = None, None, 0, False

    def load(self) -> str | None:
        """None once the networks are there, or the sentence that says why they cannot be."""
        from ..judging import load_gate
        from ..networks import load_networks

        try:
            self._networks = load_networks(self._choice)
            self._gate = load_gate(self._rules, self._networks.estimators, self._choice.device)
        except UserError as error:
            return str(error)
        return None

    def make(self, task: Task, attempt: int) -> dict:
        from ..process import process

        own = task.source, task.variant, self._out, self._networks, task.hashes, attempt
        return process(*own, self._sign, lambda: self._ends, self._gate)

    def _sign(self, done: int, total: int) -> None:
        self._signs += 1

    def signs(self) -> int:
        """Model steps so far: while they grow it works."""
        return self._signs

    def stop(self) -> None:
        self._ends = True


def ray_slots(
    workers: int | None,
    out: Path,
    choice: NetworkChoice,
    rules: GateRules | None,
    timeout: float,
    address: str | None = None,
    kind: type = RayWorker,
) -> list[RaySlot]:
    """workers: how many actors; None is one for each GPU of the cluster, or for each node of one without.

    address: of a cluster; None starts Ray on this machine, unless RAY_ADDRESS names one. kind: the actors' class.
    UserError where Ray is not installed or does not answer. `close_ray` ends what was begun here.
    """
    if find_spec("ray") is None:
        raise UserError("--engine ray needs Ray: pip install ray, or use another engine.")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    try:
        if address:
            _knock(address)
        ray.init(
            address=address, log_to_driver=False, logging_level="ERROR", include_dashboard=None if address else False
        )
    except Exception as error:  # Ray raises anything, a bare Exception among it
        where = f"answer at {address}" if address else "start here"
        change = "start it or change --ray-address" if address else "see that there is memory and try again"
        raise UserError(f"Ray did not {where} ({first_line(error)[:200]}): {change}.") from error
    held = ray.cluster_resources()
    gpus, cpus = int(held.get("GPU", 0)), int(held.get("CPU", 1))
    workers = workers or gpus or sum(node["Alive"] for node in ray.nodes())
    share = 1 if gpus else max(1, cpus // workers)  # Ray gives an actor as many threads
    actor = ray.remote(num_gpus=min(1.0, gpus / workers), num_cpus=share, max_concurrency=3, max_restarts=0)(kind)
    return [RaySlot(lambda: actor.remote(str(out), choice, rules), timeout) for _ in range(workers)]


def _knock(address: str) -> None:
    """OSError where nobody listens at host:port; Ray itself would try for minutes. Names such as "auto" are Ray's."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=30).close()


def close_ray() -> None:
    import ray

    ray.shutdown()


class RaySlot:
    """One actor; see `board.Slot`. start: makes one."""

    def __init__(self, start: Callable, timeout: float) -> None:
        self._start, self._timeout = start, timeout
        self._actor = self._loading = None
        self._ends = self._killed = False

    def ready(self) -> bool:
        import ray

        if self._actor is None:
            self._actor = self._start()
            self._loading = self._actor.load.remote()
        if self._loading is None:
            return True
        if not ray.wait([self._loading], timeout=_POLL)[0]:
            return False  # it loads, or waits for a machine with room for it
        try:
            said = ray.get(self._loading)
        except ray.exceptions.RayError:
            self._actor = None  # its machine went away meanwhile
            return False
        if said is not None:
            raise UserError(said)
        self._loading = None
        return True

    def work(self, task: Task, attempt: int) -> dict:
        import ray

        result = self._actor.make.remote(task, attempt)
        if self._ends:
            self._actor.stop.remote()
        last, signs = time.monotonic(), -1
        try:
            while not ray.wait([result], timeout=_POLL)[0]:
                if self._killed:
                    raise Lost("The run was ended.")
                asked = self._actor.signs.remote()
                if ray.wait([asked], timeout=_POLL)[0] and ray.get(asked) != signs:
                    last, signs = time.monotonic(), ray.get(asked)
                if time.monotonic() - last > self._timeout:
                    self.renew()
                    raise Lost(
                        f"The actor hung: it was ended after {self._timeout:g} s without a model step; set --timeout "
                        "if its steps take longer."
                    )
            return ray.get(result)
        except ray.exceptions.RayError as error:
            self._actor = None
            raise Lost(f"The actor that worked on the clip died ({first_line(error)[:200]}).") from None

    def renew(self) -> None:
        import ray

        if self._actor is not None:
            ray.kill(self._actor)
            self._actor = None

    def stop(self) -> None:
        self._ends = True
        if self._actor is not None:
            self._actor.stop.remote()

    def kill(self) -> None:
        self._killed = True

    def close(self) -> None:
        self.renew()
