"""How far a job is, in model steps."""

from __future__ import annotations

from collections.abc import Callable

from .plan import Job
from .refine import refine_sigmas
from .starts import inversion_levels

# progress(done model steps, all model steps): called after every step of every window; cancel by raising in it.
Progress = Callable[[int, int], None]


class Steps:
    """Counts the model steps of a job and tells `progress`."""

    def __init__(self, job: Job, progress: Progress | None = None):
        self.per_window = len(job.sigmas) - 1
        if job.settings.start == "inversion":
            self.per_window += len(inversion_levels(job.sigmas, job.settings.inversion_steps)) - 1
        second = len(refine_sigmas(job)) - 1 if job.settings.refine else 0
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
