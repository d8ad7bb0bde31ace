"""Between the clip's own size and the model's: frames in at the one, finished frames out at the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from ..video.detail import with_detail
from ..video.frames import as_floats, resize
from .plan import Job


class Delivery:
    """Makes frames small for the model and its results full-size again, with the source's detail.

    Holds the source frames between the two, two windows' worth, as they came (bytes stay bytes). Fused windows give
    nothing back before the clip's end: with them the clip is read a second time, where the job can, and not held.
    """

    def __init__(self, job: Job):
        self._job = job
        self._read = job.read if job.settings.handover == "fused" else None
        self._waiting: deque[tuple[Tensor, Tensor]] = deque()  # (frame at its own size, what the model sees of it)

    def small(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """Frames (H, W, 3), floats in [0, 1] or uint8, at the model's size (h, w, 3), floats."""
        for frame, small in self._pairs(frames):
            if self._read is None:
                self._waiting.append((frame, small))
            yield small

    def full(self, results: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """(source frame as it came, result at its size) of finished frames (h, w, 3), in the order of `small`.

        Where the clip ended before its planned frames, its last one stands for the rest, as it does in the windows.
        """
        again = self._pairs(() if self._read is None else self._read())
        for result in results:
            if pair := self._waiting.popleft() if self._waiting else next(again, None):
                frame, small = pair
            if tuple(frame.shape[:2]) == tuple(self._job.work_size):  # the model saw every pixel: nothing to bring back
                yield frame, result
                continue
            # Full size is the model's device's work; finished frames rest on the CPU, where a long clip fits.
            small, result = (picture.to(self._job.model.device) for picture in (small, result))
            yield frame, with_detail(frame, small, result, self._job.settings.detail).cpu()

    def _pairs(self, frames: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        for frame in frames:
            yield frame, resize(as_floats(frame)[None], self._job.work_size)[0]


def with_kept(keep: Tensor | None, frame: Tensor, delivered: Tensor) -> Tensor:
    """The source's own pixels where the mask (H, W) is true, the delivered ones elsewhere."""
    if keep is None:
        return delivered
    return torch.where(keep.to(delivered.device)[..., None], as_floats(frame).to(delivered), delivered)
