"""Finished windows of a job, found again: what each was made from is a hash, and the same hash is the same window."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from torch import Tensor

from .. import __version__
from ..longvideo import ChunkFolder, Finished, Window
from ..longvideo.chunks import hash_of
from .plan import Job

if TYPE_CHECKING:
    from ..models.networks.video_model import VideoModel

_SAMPLE = 1024  # values of each weight that are looked at


class KeptWindows:
    """The windows of a job in its ChunkFolder; with None nothing is kept and everything made."""

    def __init__(self, job: Job, chunks: ChunkFolder | None):
        self._job, self._chunks = job, chunks
        # Not what is made from finished windows.
        after = ("stitch", "anchor_colours", "detail", "refine", "refine_start")
        shared = {**job.report.settings, **dict.fromkeys(after)}
        self._name = "" if chunks is None else job_name([shared, job.size, job.work_size, job.weights], job.model)

    def key(self, index: int, inputs: Mapping[str, Tensor], before: str = "") -> str:
        """The key of window `index`; before: that of the window it goes on from."""
        return "" if self._chunks is None else window_key(self._name, self._job.windows[index], inputs, before)

    def window(self, index: int, key: str, make: Callable[[], Finished]) -> Finished:
        """What was finished under this key, or else what `make` makes, kept under it."""
        if self._chunks is None:
            return make()
        damaged = len(self._chunks.damaged)
        finished = self._chunks.load(index, key)
        if len(self._chunks.damaged) > damaged:
            self._job.report.notes.append(
                f"The file of window {index + 1} was damaged since it was written: the window was computed again."
            )
        if finished is None:
            finished = replace(make(), key=key)
            self._chunks.save(index, finished)
        return finished


def job_name(shared: object, model: VideoModel) -> str:
    """Hash of what all windows of a job share. shared: settings and sizes, plain values; model: its preset and weights,
    the version of this package and what the networks run on and in."""
    facts = [shared, asdict(model.preset), __version__, model.device.type, model.bf16, model.reference]
    return hash_of(json.dumps(facts, sort_keys=True), *_weights(model))


def window_key(job: str, window: Window, inputs: Mapping[str, Tensor], before: str = "") -> str:
    """Hash of one window: job, as `job_name` gives it; inputs: its source and maps; before: the key of the window it
    goes on from."""
    parts = [part for name in sorted(inputs) for part in (name, inputs[name])]
    return hash_of(job, f"{window.start} {window.stop}", before, *parts)


def _weights(model: VideoModel) -> Iterator[Tensor | str]:
    """A sample of every weight of the networks: enough to tell two models apart, quick for the largest."""
    networks = (model.transformer, model.vae, model.text_encoder, *model.branches.values())
    for network in (network for network in networks if network is not None):
        for name, weight in network.named_parameters():
            flat = weight.detach().flatten()
            yield name
            yield flat[:: max(1, len(flat) // _SAMPLE)]
