"""How far a job is, in model steps."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from .plan import Job
from .refine import refine_sigmas
from .starts import inversion_levels

# progress(done model steps, all model steps): called after every step of every window; cancel by raising in it.
Progress = Callable[[int, int], None]


def _steps_of_pass(job: Job, sigmas: Tensor, start: str) -> int:
    inverted = len(inversion_levels(sigmas, job.settings.inversion_steps)) - 1 if start == "inversion" else 0
    return len(sigmas) - 1 + inverted


class Steps:
    """Counts the model steps of a job and tells `progress`."""

    def __init__(self, job: Job, progress: Progress | None = None):
        self.per_window = _steps_of_pass(job, job.sigmas, job.settings.start)
        second = _steps_of_pass(job, refine_sigmas(job), job.settings.refine_start) if job.settings.refine else 0
        self.total, self.done, self._progress = len(job.windows) * (self.per_window + second), 0, progress
        self._second = 0  # steps of the second pass that are done

    def advance(self, count: int = 1) -> None:
        """`count` more steps are done."""
        self.done += count
        self._tell()

    def refined(self) -> None:
        """A step of the second pass is done."""
        self._second += 1
        self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(min(self.done + self._second, self.total), self.total)

    def window_done(self, index: int) -> None:
        """Window `index` is finished; one that an earlier run had finished has all its steps behind it at once."""
        if (left := self.per_window * (index + 1) - self.done) > 0:
            self.advance(left)
