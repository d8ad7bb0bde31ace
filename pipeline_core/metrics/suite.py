"""All metrics that one pass over an output can feed, and the report that comes of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from ..conditions.buffers import Buffers
from ..conditions.estimated import Estimators
from ..conditions.segmentation import CARLA_TAGS, TAG, VEHICLE_TAGS
from .agreement import DepthRMSE, MaskIoU
from .base import Figure
from .blur import BlurSSIM
from .colmap import ColmapConsistency, colmap_missing
from .detected import DetectedObjects, objects_of
from .distribution import RealDistance, real_clips, real_frames
from .extras import Extras
from .features import FrameConsistency, ObjectAlignment
from .fidelity import PSNR, SSIM, LowFrequencyError
from .frequency import SpatialFrequency
from .judge import Preference
from .layers import Layers, read_alpha
from .lights import LightColours
from .lpips import LPIPS
from .objects import BASIC_COLOURS, LampColours, ObjectColours, decision_table
from .poses import boxes_of, poses_of
from .presence import ObjectsPresent
from .prompts import ClipQuality, PickScore, unmeasured
from .realism import Critic, Realism
from .report import collect, environment
from .reprojection import reprojection_of
from .seams import Drift, SeamError
from .signs import SignShapes
from .statistics import ColourAndGradient
from .structure import EdgeF1
from .temporal import FlowError, FrameDifferenceError
from .windows import VideoDistance, VideoQuality

SOURCE, REFERENCE = "to the source", "to the reference"
_NO_BUFFERS = "not measured: give the source's buffers, or masks of its objects"
_NO_TWIN = "not measured: give a reference"
_NO_ENCODER = "not measured: give a feature network (DINOv2 or CLIP)"
_OBJECT_TAGS = (*VEHICLE_TAGS, TAG["pedestrian"], TAG["rider"], TAG["traffic light"], TAG["traffic sign"])
_NAMES = {tag: name for tag, (name, _) in CARLA_TAGS.items()}


@dataclass
class _Chunk:
    """The next frames of all clips, and what several metrics want to know of them, found out once."""

    source: Tensor
    output: Tensor
    twin: Tensor | None
    start: int
    suite: Suite

    @property
    def span(self) -> tuple[int, int]:
        return self.start, self.start + len(self.output)

    @property
    def size(self) -> tuple[int, int]:
        return tuple(self.output.shape[1:3])

    @cached_property
    def boxes(self) -> Sequence[Tensor]:
        """Of each frame the boxes of its people."""
        joints = self.suite.extras.joints
        return boxes_of(self.classes, self.instances) if joints is None else joints.boxes[slice(*self.span)]

    @cached_property
    def classes(self) -> Tensor:
        return self.suite.buffers.classes(*self.span)

    @cached_property
    def instances(self) -> Tensor:
        return self.suite.buffers.instances(*self.span)

    @cached_property
    def labels(self) -> tuple[Tensor, Tensor]:
        """Classes of the output and of the source as the segmentation model sees them."""
        segment = self.suite.extras.estimators.segmentation
        return segment(self.output), segment(self.source)

    @cached_property
    def detected(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Classes and instances of the output and of the source as the detector sees them."""
        if self.suite.extras.detect is not None:
            return self.suite.extras.detect(self.output), self.suite.extras.detect(self.source)
        return tuple((classes, objects_of(classes, _OBJECT_TAGS)) for classes in self.labels)

    @cached_property
    def motion(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Output, flow and ids of the frames whose flow is known by now: see `Suite._followed`."""
        return self.suite._followed(self)


@dataclass(frozen=True)
class _Entry:
    """A metric, the section its figures stand in, and how it is fed; or why it is not."""

    section: str
    metric: object
    feed: Callable[[_Chunk], None]
    missing: str | None = None
    remark: str = ""
    suffix: str = ""


class Suite:
    """Every metric of `compare`: `update` with the clips' next chunks in step, then `report`."""

    def __init__(self, buffers: Buffers | None, has_reference: bool, critic: Critic | None, extras: Extras) -> None:
        self.buffers, self.extras, self._has_reference, self._done = buffers, extras, has_reference, 0
        self._entries: list[_Entry] = []
        self._last: tuple[Tensor, Tensor, Tensor | None] | None = None  # a frame whose flow is not yet known
        self.held = frozenset(() if buffers is None else buffers.channels)
        self._has_objects = {"semantic", "instance"} <= self.held
        groups = {
            "fidelity": self._fidelity, "structure": self._structure, "colour": self._colour,
            "objects": self._objects, "time": self._time, "realism": lambda: self._realism(critic),
        }  # fmt: skip
        for name, add in groups.items():
            if not extras.only or name in extras.only:
                add()

    def _add(
        self, section: str, metric, feed: Callable, missing: str | None = None, remark: str = "", suffix=""
    ) -> None:
        self._entries.append(_Entry(section, metric, feed, missing, remark, suffix))

    def _to_source(self, metric) -> None:
        self._add(SOURCE, metric, lambda c: metric.update(c.output, c.source))

    def _to_reference(self, metric) -> None:
        missing = None if self._has_reference else _NO_TWIN
        self._add(REFERENCE, metric, lambda c: metric.update(c.output, c.twin), missing)

    def _fidelity(self) -> None:
        for add in (self._to_source, self._to_reference):
            for metric in (PSNR(), SSIM(), LowFrequencyError(), SpatialFrequency()):
                add(metric)
            if self.extras.lpips is not None:
                add(LPIPS(self.extras.lpips, self.extras.device))
        if self.extras.lpips is None:
            absent = _Absent({"lpips": Figure(None, "", "lower", "not measured: give LPIPS weights")})
            for section in (SOURCE, REFERENCE):
                self._add(section, absent, lambda c: None)

    def _structure(self) -> None:
        estimators = self.extras.estimators
        self._to_source(EdgeF1())
        blur, depth, masks, true_masks = BlurSSIM(), DepthRMSE(), MaskIoU(), MaskIoU()
        asked = None if self.extras.blur else "not measured: ask for it, it is slow"
        self._add(SOURCE, blur, lambda c: blur.update(c.output, c.source), asked)
        estimate = estimators.depth
        unseen = None if estimate else "not measured: give a depth model"
        seer, names = _by(estimators, "depth"), _by(estimators, "segmentation")
        self._add(SOURCE, depth, lambda c: depth.update(1 / estimate(c.output), 1 / estimate(c.source)), unseen, seer)
        unsegmented = None if estimators.segmentation else "not measured: give a segmentation model"
        self._add(SOURCE, masks, lambda c: masks.update(*c.labels), unsegmented, names)
        untrue = unsegmented or (None if "semantic" in self.held else _NO_BUFFERS)
        self._add(
            SOURCE, true_masks, lambda c: true_masks.update(c.labels[0].cpu(), c.classes), untrue,
            "; ".join(filter(None, ["against the simulator's classes", names])), "_to_buffers",
        )  # fmt: skip

    def _colour(self) -> None:
        for section, other in ((SOURCE, "source"), (REFERENCE, "twin")):
            metric = ColourAndGradient()

            def feed(chunk: _Chunk, metric=metric, other=other) -> None:
                metric.update(chunk.output)
                metric.update_reference(getattr(chunk, other))

            self._add(section, metric, feed, _NO_TWIN if other == "twin" and not self._has_reference else None)

    def _objects(self) -> None:
        missing = None if self._has_objects else _NO_BUFFERS
        lamps = LampColours(self.buffers.lights if self.buffers else [])
        self._add("objects", lamps, lambda c: lamps.update(c.output), None if self.buffers is not None else _NO_BUFFERS)
        lights = LightColours()
        self._add("objects", lights, lambda c: lights.update(c.output, c.source, c.classes, c.instances), missing)
        against = "" if self._has_reference else "against the source, so the change of style counts as well"
        vehicles = ObjectColours("vehicles", VEHICLE_TAGS, names=_colour_names(self.buffers))
        signs = ObjectColours("signs", [TAG["traffic sign"]], min_pixels=12)
        for metric in (vehicles, signs):

            def feed(chunk: _Chunk, metric=metric) -> None:
                colours = chunk.source if chunk.twin is None else chunk.twin
                metric.update(chunk.output, colours, chunk.classes, chunk.instances)

            self._add("objects", metric, feed, missing, against)
        shapes = SignShapes()
        self._add("objects", shapes, lambda c: shapes.update(c.output, c.source, c.classes, c.instances), missing)
        aligned, present = ObjectAlignment(self.extras.encoder), ObjectsPresent(_OBJECT_TAGS, _NAMES)
        unseen = None if self.extras.encoder is not None else _NO_ENCODER
        self._add(
            "objects", aligned, lambda c: aligned.update(c.output, c.source, c.classes, c.instances), unseen or missing
        )
        masks = self.extras.output_buffers
        known = masks is not None and self._has_objects and {"semantic", "instance"} <= set(masks.channels)

        def compare_masks(chunk: _Chunk) -> None:
            output = masks.classes(*chunk.span), masks.instances(*chunk.span)
            present.update(output, (chunk.classes, chunk.instances))

        self._add("objects", present, compare_masks, None if known else "not measured: give masks of the output")
        # Of people and layers, which no drive has to have, the report speaks only where it is asked to.
        if self.extras.poses is not None:
            poses, unboxed = poses_of(self.extras.poses, self.extras.joints, self.buffers)
            self._add("objects", poses, lambda c: poses.update(c.output, c.boxes), unboxed)
        if (alpha := self.extras.alpha) is not None:
            layers = Layers()
            self._add("objects", layers, lambda c: layers.update(c.output, read_alpha(alpha, *c.span, c.size)))
        detected = DetectedObjects(_OBJECT_TAGS, self.extras.encoder, names=_NAMES)
        can = self.extras.detect is not None or self.extras.estimators.segmentation is not None
        undetected = None if can else "not measured: give a detector or a segmentation model"
        by = "" if self.extras.detect is not None else _by(self.extras.estimators, "segmentation")
        self._add("objects", detected, lambda c: detected.update(c.output, c.source, *c.detected), undetected, by)

    def _time(self) -> None:
        flow = "flow" in self.held or self.extras.estimators.flow is not None
        missing = None if flow else "not measured: give buffers with flow, or an estimator of it"
        remark = "" if "flow" in self.held else "flow estimated on the source"
        for metric in (FlowError(), SeamError(self.extras.seams)):
            self._add("time", metric, lambda c, metric=metric: metric.update(*c.motion), missing, remark)
        still, unplaced = reprojection_of(self.buffers)
        self._add("time", still, lambda c: still.update(c.output, self.buffers.depth(*c.span), c.classes), unplaced)
        if self.extras.colmap:
            colmap = ColmapConsistency(still.cameras)
            self._add("time", colmap, lambda c: colmap.update(c.output), colmap_missing())
        consistent = FrameConsistency(self.extras.encoder)
        unseen = None if self.extras.encoder is not None else _NO_ENCODER
        self._add("time", consistent, lambda c: consistent.update(c.output), unseen)
        self._to_source(Drift())
        self._to_reference(FrameDifferenceError())

    def _realism(self, critic: Critic | None) -> None:
        extras = self.extras
        if critic is None:
            self._add("realism", _Absent({"critic": Figure(None, note="not measured: give a critic")}), lambda c: None)
        else:
            judged = Realism(critic)

            def feed(chunk: _Chunk) -> None:
                judged.update(chunk.output)
                if chunk.twin is not None:
                    judged.update_reference(chunk.twin)

            self._add("realism", judged, feed)
        no_real = None if extras.real is not None else "not measured: give real frames"
        distance = RealDistance(extras.encoder)
        unseen = None if extras.encoder is not None else _NO_ENCODER
        self._add("realism", distance, lambda c: distance.update(c.output), unseen or no_real)
        video = VideoDistance(*(extras.video_encoder or (None,)))
        unwatched = None if extras.video_encoder is not None else "not measured: give a video network (VideoMAE)"
        self._add("realism", video, lambda c: video.update(c.output), unwatched or no_real)
        for chunk in real_frames(extras.real) if not (unseen or no_real) else ():
            distance.update_real(chunk)
        for clip in real_clips(extras.real) if not (unwatched or no_real) else ():
            video.update_real(clip)
        if extras.text_image is not None:
            quality = ClipQuality(extras.text_image)
            self._add("realism", quality, lambda c: quality.update(c.output))
        if extras.pick is not None:
            pick = PickScore(extras.pick, extras.prompt)
            self._add("realism", pick, lambda c: pick.update(c.output))
        for name, figure in unmeasured().items():
            if extras.pick is None if name == "pickscore" else extras.text_image is None:
                self._add("realism", _Absent({name: figure}), lambda c: None)
        for name, score in extras.quality.items():
            hook = VideoQuality(name, score)
            self._add("realism", hook, lambda c, hook=hook: hook.update(c.output))
        if "dover" not in extras.quality:
            dover = Figure(None, "", "higher", "not measured: give a hook of that name")
            self._add("realism", _Absent({"dover": dover}), lambda c: None)
        against = "reference" if self._has_reference else "source"
        votes = Preference(extras.judge, against)
        unasked = None if extras.judge is not None else "not measured: give a vision-language model"
        self._add("realism", votes, lambda c: votes.update(c.output, c.source if c.twin is None else c.twin), unasked)

    def update(self, source: Tensor, output: Tensor, twin: Tensor | None) -> int:
        """The next chunk of source, output and reference, (T, H, W, 3) in [0, 1]; returns the frames done."""
        chunk = _Chunk(source, output, twin, self._done, self)
        for entry in self._entries:
            if entry.missing is None:
                entry.feed(chunk)
        self._done += len(output)
        return self._done

    def _followed(self, chunk: _Chunk) -> tuple[Tensor, Tensor, Tensor | None]:
        """Output, flow and ids as `FlowError.update` takes them.

        The buffers' flow is there with the frame; an estimated one only when the next frame of the source is, so the
        chunk's last frame waits.
        """
        ids = chunk.instances if self._has_objects else None
        if "flow" in self.held:
            return chunk.output, self.buffers.flow(*chunk.span), ids
        source, output = chunk.source, chunk.output
        if self._last is not None:
            source, output = torch.cat([self._last[0], source]), torch.cat([self._last[1], output])
            ids = ids if ids is None else torch.cat([self._last[2], ids])
        self._last = source[-1:], output[-1:], None if ids is None else ids[-1:]
        if len(source) < 2:
            return output[:0], output.new_zeros(0, *output.shape[1:3], 2), None if ids is None else ids[:0]
        return output[:-1], self.extras.estimators.flow(source)[:-1], None if ids is None else ids[:-1]

    def _finish(self) -> None:
        """Feed the frame that waited for a flow; there is none after the last one and none is used."""
        if self._last is not None:
            _, output, ids = self._last
            for entry in self._entries:
                if entry.missing is None and isinstance(entry.metric, (FlowError, SeamError)):
                    entry.metric.update(output, output.new_full((1, *output.shape[1:3], 2), torch.nan), ids)
            self._last = None

    def report(self, **about) -> dict:
        """The report (see `report.collect`) with "lost", the objects not kept, and "frames", every figure's value in
        every frame where it has one: {section: {name: [value or None]}}."""
        self._finish()
        sections: dict[str, dict[str, Figure]] = {}
        frames: dict[str, dict[str, list]] = {}
        for section in (SOURCE, REFERENCE, "objects", "time", "realism"):
            for entry in (entry for entry in self._entries if entry.section == section):
                sections.setdefault(section, {}).update(_figures(entry))
                held = frames.setdefault(section, {})
                held.update(_series(entry.metric) if entry.missing is None else {})
        report = collect(sections, frames=self._done, environment=environment(), **about)
        judges = [m for entry in self._entries if hasattr(m := entry.metric, "decisions") and entry.missing is None]
        report["lost"] = decision_table(d for judge in judges for d in judge.decisions if not d.kept)
        report["frames"] = frames
        return report


@dataclass(frozen=True)
class _Absent:
    """Stands for a metric that could not even be made, with what its figures would be called."""

    figures: dict[str, Figure]

    def compute(self) -> dict[str, Figure]:
        return self.figures


def _by(estimators: Estimators, model: str) -> str:
    """A remark that says which model a figure is by."""
    return f"by {estimators.names[model]}" if model in estimators.names else ""


def _series(metric) -> dict[str, list]:
    """The per-frame values of a metric, if it has any; what is not finite becomes None."""
    series = {name: values for name, values in getattr(metric, "series", {}).items() if values}
    return {
        name: [v if v is not None and math.isfinite(v) else None for v in values] for name, values in series.items()
    }


def _colour_names(buffers: Buffers | None) -> dict[int, str]:
    """The colours that the scene itself states for its objects, where it does."""
    objects = buffers.scene.get("objects", []) if buffers else []
    return {int(o["instance"]): o["colour"] for o in objects if o.get("colour") in BASIC_COLOURS}


def _figures(entry: _Entry) -> dict[str, Figure]:
    """The figures of an entry, with its remark; all undefined if there was nothing to measure on."""
    figures = {f"{name}{entry.suffix}": figure for name, figure in entry.metric.compute().items()}
    if entry.missing is not None:
        return {name: replace(figure, value=None, note=entry.missing) for name, figure in figures.items()}
    return {name: replace(f, note="; ".join(filter(None, [f.note, entry.remark]))) for name, f in figures.items()}
