"""What the gate looks at, measured in one pass over a clip and its result, in constant memory."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from ..conditions.segmentation import TAG, VEHICLE_TAGS
from ..errors import UserError
from ..metrics.collapse import Collapse
from ..metrics.compare import file_chunks
from ..metrics.detected import DetectedObjects, objects_of
from ..metrics.distribution import RealDistance, real_frames
from ..metrics.extras import Extras
from ..metrics.invented import Invented
from ..metrics.lights import LightColours
from ..metrics.objects import Decision, LampColours, ObjectColours
from ..metrics.realism import Critic, Realism
from ..metrics.seams import SeamError
from ..metrics.shown import FEWEST, ObjectsShown, Unexplained
from ..metrics.structure import EdgeF1

if TYPE_CHECKING:
    from ..conditions.buffers import Buffers

OBJECT_TAGS = (*VEHICLE_TAGS, TAG["pedestrian"], TAG["rider"], TAG["traffic light"], TAG["traffic sign"])


@dataclass(frozen=True)
class _Chunk:
    """The next frames of both clips; classes and instances where the buffers have them."""

    source: Tensor
    output: Tensor
    start: int
    classes: Tensor | None
    instances: Tensor | None

    @property
    def span(self) -> tuple[int, int]:
        return self.start, self.start + len(self.output)


_Entry = tuple[object, Callable[[_Chunk], None]]  # a metric, and what feeds it


def figures(
    source: str | os.PathLike,
    result: str | os.PathLike,
    buffers: Buffers | None = None,
    critic: Critic | None = None,
    extras: Extras = Extras(),
    frames: int | None = None,
) -> dict[str, float]:
    """{name: value} of all figures that can be measured on a result; those of `CHECKS` are among them.

    source, result: clips of one size and number of frames; frames: how many of the source's first ones the result is
    of, where it is not of all. buffers: the source's. critic: see `metrics.realism`. Of
    extras count detect or estimators.segmentation (objects lost and invented), encoder with real (distance to real
    frames) and seams (frames at which windows begin). UserError for clips that cannot be read, or that differ.
    """
    entries = [*_of_both(), *_of_buffers(buffers, extras), *_of_networks(critic, extras)]
    for chunk in _chunks(source, result, buffers, frames):
        for _, feed in entries:
            feed(chunk)
    return _numbers([metric for metric, _ in entries])


def _of_both() -> Iterator[_Entry]:
    for metric in (EdgeF1(), Collapse(), Unexplained()):
        yield metric, lambda c, m=metric: m.update(c.output, c.source)


def _of_buffers(buffers: Buffers | None, extras: Extras) -> Iterator[_Entry]:
    if buffers is None:
        return
    lamps = LampColours(buffers.lights)
    yield lamps, lambda c: lamps.update(c.output)
    if _has_masks(buffers):
        signs = ObjectColours("signs", [TAG["traffic sign"]], min_pixels=12)
        for metric in (LightColours(), ObjectsShown(OBJECT_TAGS), signs, Invented(OBJECT_TAGS)):
            yield metric, lambda c, m=metric: m.update(c.output, c.source, c.classes, c.instances)
    if extras.seams and "flow" in buffers.channels:
        seams = SeamError(extras.seams)
        yield seams, lambda c: seams.update(c.output, buffers.flow(*c.span), c.instances)


def _of_networks(critic: Critic | None, extras: Extras) -> Iterator[_Entry]:
    segment = extras.estimators.segmentation
    detect = extras.detect or (None if segment is None else lambda frames: _by_classes(segment(frames)))
    if detect is not None:
        objects = DetectedObjects(OBJECT_TAGS, None)
        yield objects, lambda c: objects.update(c.output, c.source, detect(c.output), detect(c.source))
    if critic is not None:
        realism = Realism(critic)
        yield realism, lambda c: realism.update(c.output)
    if extras.encoder is not None and extras.real is not None:
        distance = RealDistance(extras.encoder)
        for frames in real_frames(extras.real):
            distance.update_real(frames)
        yield distance, lambda c: distance.update(c.output)


def _by_classes(classes: Tensor) -> tuple[Tensor, Tensor]:
    return classes, objects_of(classes, OBJECT_TAGS)


def _has_masks(buffers: Buffers) -> bool:
    return {"semantic", "instance"} <= set(buffers.channels)


def _chunks(
    source: str | os.PathLike, result: str | os.PathLike, buffers: Buffers | None, frames: int | None
) -> Iterator[_Chunk]:
    start = 0
    try:
        for theirs, ours in zip(file_chunks(source, frames), file_chunks(result), strict=True):
            classes = instances = None
            if buffers is not None and _has_masks(buffers):
                stop = start + len(ours)
                classes, instances = buffers.classes(start, stop), buffers.instances(start, stop)
            yield _Chunk(theirs, ours, start, classes, instances)
            start += len(ours)
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{source} and {result} differ in frames: give a clip and its own result.") from error


def _numbers(metrics: Iterable) -> dict[str, float]:
    """Every defined figure of the metrics, and of what is decided view by view the object that fares worst."""
    values = {name: figure.value for metric in metrics for name, figure in metric.compute().items()}
    for metric in metrics:
        if isinstance(metric, LampColours):
            values["lamp_least"] = _least_kept(metric.decisions)
        elif isinstance(metric, LightColours):
            values["light_least"] = _least_kept(metric.decisions)
        elif isinstance(metric, EdgeF1):
            values["edge_f1_least"] = min((f for f in metric.series["edge_f1"] if f is not None), default=None)
    return {name: value for name, value in values.items() if value is not None and math.isfinite(value)}


def _least_kept(decisions: Iterable[Decision]) -> float | None:
    """The share of its views that the object keeps that keeps least; those of fewer than FEWEST views are left out."""
    views: dict[int, list[bool]] = {}
    for decision in decisions:
        views.setdefault(decision.instance, []).append(decision.kept)
    return min((sum(held) / len(held) for held in views.values() if len(held) >= FEWEST), default=None)
