"""A device as the checks see it: wait for it, its peak of memory, and how often the host waits for it."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

HELPERS = Path(__file__).resolve().parents[2] / "tests" / "helpers"
PRETEND = "pretend"


class Place:
    """One device by its torch name, or "pretend": the tests' second device on the CPU, for rehearsals.

    A context manager: the pretend device exists only inside it.
    """

    def __init__(self, name: str):
        self.name = name
        self._pretend = _pretend_device() if name == PRETEND else None

    def __enter__(self) -> Place:
        if self._pretend is not None:
            self._pretend.__enter__()
        self.device = torch.device(self.name)
        return self

    def __exit__(self, *raised) -> None:
        if self._pretend is not None:
            self._pretend.__exit__(*raised)

    @property
    def kind(self) -> str:
        """cuda, mps, cpu or pretend."""
        return self.device.type

    @property
    def factory(self) -> torch.device:
        """Where networks are built: on the device itself, except on the pretend one, which has no kernels."""
        return torch.device("cpu") if self._pretend is not None else self.device

    def wait(self) -> None:
        """Until everything queued on the device is done."""
        if self.kind == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.kind == "mps":
            torch.mps.synchronize()

    def forget_peak(self) -> None:
        if self.kind == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)

    def peak(self) -> int | None:
        """Bytes allocated at most since `forget_peak`; None where the device does not count them."""
        return torch.cuda.max_memory_allocated(self.device) if self.kind == "cuda" else None

    def allocated(self) -> int | None:
        """Bytes allocated now; None where the device does not count them."""
        return torch.cuda.memory_allocated(self.device) if self.kind == "cuda" else None

    def reads(self, action: Callable[[], object]) -> int | None:
        """How often the host waited for the device while `action` ran; None where nothing counts that."""
        if self._pretend is not None:
            self._pretend.clear()
            action()
            return len(self._pretend.reads)
        if self.kind != "cuda":
            action()
            return None
        before = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                action()
            finally:
                torch.cuda.set_sync_debug_mode(before)
        return sum("synchroniz" in str(warning.message) for warning in seen)

    def facts(self) -> dict:
        """The machine and the device, for the report."""
        facts = {"device": self.name, "torch": torch.__version__, "python": platform.python_version()}
        facts |= {"system": platform.platform(), "cpu threads": torch.get_num_threads()}
        if self.kind == "cuda":
            card = torch.cuda.get_device_properties(self.device)
            facts |= {"card": card.name, "memory bytes": card.total_memory, "capability": f"{card.major}.{card.minor}"}
            facts |= {"cuda": torch.version.cuda, "hip": torch.version.hip, "cudnn": torch.backends.cudnn.version()}
        return facts


def _pretend_device():
    import sys

    sys.path.insert(0, str(HELPERS))  # the helper belongs to the tests, which are no package
    from pretend_device import PretendDevice

    return PretendDevice()
