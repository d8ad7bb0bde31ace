"""Between the clip's own size and the model's: frames in at the one, finished frames out at the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from torch import Tensor

from ..video.detail import with_detail
from ..video.frames import as_floats, resize
from .plan import Job


class Delivery:
    """Makes frames small for the model and its results full-size again, with the source's detail.

    Holds the source frames between the two, a window's worth, as they came (bytes stay bytes).
    """

    def __init__(self, job: Job):
        self._job = job
        self._waiting: deque[tuple[Tensor, Tensor]] = deque()  # (frame at its own size, what the model sees of it)

    def small(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """Frames (H, W, 3), floats in [0, 1] or uint8, at the model's size (h, w, 3), floats."""
        for frame in frames:
            small = resize(as_floats(frame)[None], self._job.work_size)[0]
            self._waiting.append((frame, small))
            yield small

    def full(self, results: Iterable[Tensor]) -> Iterator[Tensor]:
        """Finished frames (h, w, 3), in the order in which `small` gave theirs, at the clip's size (H, W, 3).

        Where the clip ended before its planned frames, its last one stands for the rest, as it does in the windows.
        """
        for result in results:
            if self._waiting:
                frame, small = self._waiting.popleft()
            # Full size is the model's device's work; finished frames rest on the CPU, where a long clip fits.
            small, result = (picture.to(self._job.model.device) for picture in (small, result))
            yield with_detail(frame, small, result, self._job.settings.detail).cpu()
