"""Depth and classes that models see in a clip, frame by frame in the units of a recording: steady over the clip."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .depth import FAR_PLANE
from .smoothing import smooth_depth

USUAL_DISTANCE = 20.0  # metres; the middle of a street scene, for models that know no unit
_CHUNK = 8  # frames that a network sees at a time

Estimate = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Agreement:
    """How well frames and texts go together. log_odds: frames (T, H, W, 3) in [0, 1] and K texts -> (T, K); limit: by
    how much a prompt may fall behind a plain one, see job/contradiction.py; name: the network's."""

    log_odds: Callable[[Tensor, list[str]], Tensor]
    limit: float
    name: str


@dataclass(frozen=True)
class Estimators:
    """depth: frames (T, H, W, 3) in [0, 1] -> (T, H, W) distance, of unknown unit unless `depth_in_metres`;
    segmentation: frames -> (T, H, W) uint8 CARLA tags; flow: frames -> (T, H, W, 2) forward pixels; agreement: of
    frames and texts. None where no model was given; flow needs none (see perception/flow.py)."""

    depth: Estimate | None = None
    segmentation: Estimate | None = None
    flow: Estimate | None = None
    depth_in_metres: bool = False
    agreement: Agreement | None = None
    names: Mapping[str, str] = field(default_factory=dict)


def chunks(frames: Iterable[Tensor]) -> Iterator[Tensor]:
    """A stream of frames (H, W, 3), uint8 or in [0, 1], in pieces (T, H, W, 3) in [0, 1] for a network at a time."""
    held = []
    for frame in frames:
        held.append(frame.float() / 255 if frame.dtype == torch.uint8 else frame)
        if len(held) == _CHUNK:
            yield torch.stack(held)
            held = []
    if held:
        yield torch.stack(held)


def estimated_depth(frames: Iterable[Tensor], estimators: Estimators, smoothing: int = 0) -> Iterator[Tensor]:
    """Depth of every frame, (H, W) float32, from a stream of frames (H, W, 3), uint8 or in [0, 1].

    In metres where the model is metric; otherwise the whole clip is scaled so that the median of its first frame is
    USUAL_DISTANCE, because only ratios of disparity mean anything. smoothing: see `smooth_depth`.
    """
    factor = 1.0 if estimators.depth_in_metres else None
    for distance in smooth_depth(map(estimators.depth, chunks(frames)), smoothing):
        if factor is None:
            seen = distance[distance < FAR_PLANE]
            factor = USUAL_DISTANCE / float(seen.median()) if seen.numel() else 1.0
        sky = distance[0] >= FAR_PLANE
        yield torch.where(sky, FAR_PLANE, (distance[0] * factor).clamp(max=FAR_PLANE))


def estimated_classes(frames: Iterable[Tensor], segment: Estimate) -> Iterator[Tensor]:
    """CARLA tags of every frame, (H, W) uint8, from a stream of frames (H, W, 3)."""
    for chunk in chunks(frames):
        yield from segment(chunk)
