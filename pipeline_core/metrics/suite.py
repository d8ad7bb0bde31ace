"""All metrics that one pass over an output can feed, and the report that comes of them."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field, replace

from torch import Tensor

from ..conditions.buffers import Buffers
from ..conditions.estimators import Estimators
from ..conditions.segmentation import CARLA_TAGS, TAG, VEHICLE_TAGS
from .agreement import DepthRMSE, MaskIoU
from .base import Figure
from .blur import BlurSSIM
from .distribution import RealDistance, real_frames
from .features import Encode, FrameConsistency, ObjectAlignment
from .fidelity import PSNR, SSIM, LowFrequencyError
from .frequency import SpatialFrequency
from .lpips import LPIPS
from .objects import BASIC_COLOURS, LampColours, ObjectColours, decision_table
from .presence import ObjectsPresent
from .realism import Critic, Realism
from .report import collect, environment
from .seams import Drift, SeamError
from .statistics import ColourAndGradient
from .structure import EdgeF1
from .temporal import FlowError, FrameDifferenceError

_NO_BUFFERS, _NO_TWIN = "no such buffers were given", "no reference was given"
_OBJECT_TAGS = (*VEHICLE_TAGS, TAG["pedestrian"], TAG["rider"], TAG["traffic light"], TAG["traffic sign"])


@dataclass(frozen=True)
class Extras:
    """What some figures need beyond the clips; without it they are undefined and say so.

    lpips: local weights file (see `lpips`); blur: measure blur SSIM, which is slow; estimators: depth and
    segmentation models, run on source and output alike; encoder: a feature network (`encoder.load_encoder`, or any of
    that form), for object alignment and frame consistency; real: a clip, or a folder of pictures and clips, of real
    frames, for the distances to them (needs the encoder); output_buffers: masks that a detector found in the output,
    for objects lost or invented; seams: frame numbers at which windows begin.
    """

    lpips: str | os.PathLike | None = None
    blur: bool = False
    estimators: Estimators = field(default_factory=Estimators)
    encoder: Encode | None = None
    real: str | os.PathLike | None = None
    output_buffers: Buffers | None = None
    seams: tuple[int, ...] = ()


class Suite:
    """Every metric of `compare`: `update` with the clips' next chunks in step, then `report`."""

    def __init__(self, buffers: Buffers | None, has_reference: bool, critic: Critic | None, extras: Extras) -> None:
        self._buffers, self._extras, self._has_reference = buffers, extras, has_reference
        held = () if buffers is None else buffers.channels
        self._has_objects = {"semantic", "instance"} <= set(held)
        self._has_flow, self._has_classes = "flow" in held, "semantic" in held
        made = () if extras.output_buffers is None else extras.output_buffers.channels
        self._has_made = self._has_objects and {"semantic", "instance"} <= set(made)
        self._done = 0
        self._to_source = [PSNR(), SSIM(), LowFrequencyError(), SpatialFrequency(), EdgeF1(), Drift()]
        self._to_reference = [
            PSNR(), SSIM(), LowFrequencyError(), SpatialFrequency(), FrameDifferenceError()
        ]  # fmt: skip
        if extras.lpips is not None:
            self._to_source.append(LPIPS(extras.lpips))
            self._to_reference.append(LPIPS(extras.lpips))
        self._colours = [ColourAndGradient(), ColourAndGradient()]  # to the source, to the reference
        self._blur, self._depth, self._masks, self._true_masks = BlurSSIM(), DepthRMSE(), MaskIoU(), MaskIoU()
        self._motion, self._seams = FlowError(), SeamError(extras.seams)
        self._aligned, self._consistent = ObjectAlignment(extras.encoder), FrameConsistency(extras.encoder)
        self._has_real = extras.encoder is not None and extras.real is not None
        self._real = RealDistance(extras.encoder)
        for chunk in real_frames(extras.real) if self._has_real else ():
            self._real.update_real(chunk)
        self._realism = Realism(critic) if critic else None
        self._lamps = LampColours(buffers.lights if buffers else [])
        self._vehicles = ObjectColours("vehicles", VEHICLE_TAGS, names=_colour_names(buffers))
        self._signs = ObjectColours("signs", [TAG["traffic sign"]], min_pixels=12)
        self._present = ObjectsPresent(_OBJECT_TAGS, {tag: name for tag, (name, _) in CARLA_TAGS.items()})

    def update(self, given: Tensor, made: Tensor, twin: Tensor | None) -> int:
        """The next chunk of source, output and reference, (T, H, W, 3) in [0, 1]; returns the frames done."""
        start, stop = self._done, self._done + len(made)
        for metric in self._to_source:
            metric.update(made, given)
        for metric in self._to_reference if twin is not None else ():
            metric.update(made, twin)
        for metric, other in zip(self._colours, (given, twin)):
            if other is not None:
                metric.update(made)
                metric.update_reference(other)
        if self._realism:
            self._realism.update(made)
            if twin is not None:
                self._realism.update_reference(twin)
        if self._extras.blur:
            self._blur.update(made, given)
        self._estimate(given, made, start, stop)
        self._lamps.update(made)
        if self._extras.encoder is not None:
            self._consistent.update(made)
            if self._has_real:
                self._real.update(made)
            if self._has_objects:
                maps = self._buffers.classes(start, stop), self._buffers.instances(start, stop)
                self._aligned.update(made, given, *maps)
        self._follow(given if twin is None else twin, made, start, stop)
        self._done = stop
        return stop

    def _estimate(self, given: Tensor, made: Tensor, start: int, stop: int) -> None:
        depth, segmentation = self._extras.estimators.depth, self._extras.estimators.segmentation
        if depth is not None:
            self._depth.update(1 / depth(made), 1 / depth(given))
        if segmentation is not None:
            found = segmentation(made)
            self._masks.update(found, segmentation(given))
            if self._has_classes:
                self._true_masks.update(found.cpu(), self._buffers.classes(start, stop))

    def _follow(self, colours: Tensor, made: Tensor, start: int, stop: int) -> None:
        instances = self._buffers.instances(start, stop) if self._has_objects else None
        if self._has_objects:
            classes = self._buffers.classes(start, stop)
            for metric in (self._vehicles, self._signs):
                metric.update(made, colours, classes, instances)
            if self._has_made:
                found = self._extras.output_buffers
                self._present.update((found.classes(start, stop), found.instances(start, stop)), (classes, instances))
        if self._has_flow:
            flow = self._buffers.flow(start, stop)
            self._motion.update(made, flow, instances)
            self._seams.update(made, flow, instances)

    def report(self, **about) -> dict:
        """The report (see `report.collect`) with "lost", the objects not kept, and "frames", every figure's value in
        every frame where it has one: {section: {name: [value or None]}}."""
        against = "" if self._has_reference else "against the source, so the change of style counts as well"
        estimators, objects = self._extras.estimators, None if self._has_objects else _NO_BUFFERS
        flow = None if self._has_flow else _NO_BUFFERS
        no_twin = None if self._has_reference else _NO_TWIN
        unsegmented = None if estimators.segmentation else "no segmentation model was given"
        unseen = None if self._extras.encoder is not None else "no feature network was given"
        untrue = unsegmented or (None if self._has_classes else _NO_BUFFERS)
        true_masks = _figures([self._true_masks], untrue, "against the simulator's classes")
        sections = {
            "to the source": {
                **_figures([*self._to_source, self._colours[0]]),
                **_figures([self._blur], None if self._extras.blur else "not measured unless asked for: it is slow"),
                **_figures([self._depth], None if estimators.depth else "no depth model was given"),
                **_figures([self._masks], unsegmented),
                **{f"{name}_to_buffers": figure for name, figure in true_masks.items()},
            },
            "to the reference": _figures([*self._to_reference, self._colours[1]], no_twin),
            "objects": {
                **_figures([self._lamps], None if self._buffers is not None else _NO_BUFFERS),
                **_figures([self._vehicles, self._signs], objects, against),
                **_figures([self._aligned], unseen or objects),
                **_figures([self._present], None if self._has_made else "no masks of the output were given"),
            },
            "time": {**_figures([self._motion, self._seams], flow), **_figures([self._consistent], unseen)},
            "realism": {"critic": Figure(None, note="no critic was given")},
        }
        if self._realism:
            sections["realism"] = self._realism.compute()
        without = None if self._has_real else unseen or "no real frames were given"
        sections["realism"] = {**sections["realism"], **_figures([self._real], without)}
        if self._extras.lpips is None:
            for section in ("to the source", "to the reference"):
                sections[section]["lpips"] = Figure(None, "", "lower", "no LPIPS weights were given")
        report = collect(sections, frames=self._done, environment=environment(), **about)
        judges = (self._lamps, self._vehicles, self._signs, self._present)
        report["lost"] = decision_table(d for judge in judges for d in judge.decisions if not d.kept)
        report["frames"] = {
            "to the source": _series([*self._to_source, self._blur, self._depth]),
            "to the reference": _series(self._to_reference),
            "objects": _series([self._aligned, self._present]),
            "time": _series([self._motion, self._seams, self._consistent]),
            "realism": _series([self._realism] if self._realism else []),
        }
        return report


def _series(metrics: list) -> dict[str, list]:
    """The per-frame values of several metrics, those that have any; what is not finite becomes None."""
    series = {name: values for metric in metrics for name, values in metric.series.items() if values}
    return {
        name: [v if v is not None and math.isfinite(v) else None for v in values] for name, values in series.items()
    }


def _colour_names(buffers: Buffers | None) -> dict[int, str]:
    """The colours that the scene itself states for its objects, where it does."""
    objects = buffers.scene.get("objects", []) if buffers else []
    return {int(o["instance"]): o["colour"] for o in objects if o.get("colour") in BASIC_COLOURS}


def _figures(metrics: list, missing: str | None = None, remark: str = "") -> dict[str, Figure]:
    """The figures of several metrics, with a remark added; all undefined if there was nothing to measure on."""
    figures = {name: figure for metric in metrics for name, figure in metric.compute().items()}
    if missing is not None:
        return {name: replace(figure, value=None, note=missing) for name, figure in figures.items()}
    return {name: replace(f, note="; ".join(filter(None, [f.note, remark]))) for name, f in figures.items()}
