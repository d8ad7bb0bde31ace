"""What a finished window was made from, as a hash: the same hash is the same window, and need not be made again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from torch import Tensor

from .. import __version__
from ..longvideo.chunks import hash_of
from ..longvideo.plan import Window

if TYPE_CHECKING:
    from ..models.networks.video_model import VideoModel

_SAMPLE = 1024  # values of each weight that are looked at


def job_name(told: object, model: VideoModel) -> str:
    """Hash of what all windows of a job share. told: settings and sizes, plain values; model: its preset and weights,
    the version of this package and what the networks run on and in."""
    shared = [told, asdict(model.preset), __version__, model.device.type, model.bf16]
    return hash_of(json.dumps(shared, sort_keys=True), *_weights(model))


def window_key(job: str, window: Window, made: Mapping[str, Tensor], before: str = "") -> str:
    """Hash of one window: job, as `job_name` gives it; made: its source and maps; before: the key of the window it
    goes on from."""
    parts = [part for name in sorted(made) for part in (name, made[name])]
    return hash_of(job, f"{window.start} {window.stop}", before, *parts)


def _weights(model: VideoModel) -> Iterator[Tensor | str]:
    """A sample of every weight of the networks: enough to tell two models apart, quick for the largest."""
    for network in (model.transformer, model.vae, model.text_encoder, *model.branches.values()):
        for name, weight in network.named_parameters():
            flat = weight.detach().flatten()
            yield name
            yield flat[:: max(1, len(flat) // _SAMPLE)]
