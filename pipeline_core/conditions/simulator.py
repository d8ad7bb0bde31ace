"""Control maps, masks and weights of a recording at the size of the clip: two passes, a few frames at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UserError
from ..video.frames import middle_pixels
from .alignment import common_frames
from .conventions import EMBEDDED, map_convention
from .depth import depth_limits, disparity_map
from .edges import edge_map
from .instances import instance_map, largest_instances
from .layouts import Recording
from .recordings import read_classes, read_depth, read_instances
from .segmentation import PALETTES, TAG, segmentation_map
from .weights import class_mask, class_weights

INSTANCES = "instances"
PAINTS = (*PALETTES, INSTANCES)
_CHUNK = 16
_SHAPE = 0.02  # how far two shapes may differ, as a share: 1280x720 goes with 854x480

Stream = Callable[[], Iterator[Tensor]]


@dataclass(frozen=True)
class Streams:
    """The channels of a recording, each a function that starts reading (H, W) frames anew, or None.

    depth in metres with the sky at 1000.0, classes as current CARLA tags, instances as ids; frames: how many;
    scale: the depth that the ends of the depth scale are taken from, where that is more than these frames.
    """

    frames: int
    depth: Stream | None = None
    classes: Stream | None = None
    instances: Stream | None = None
    scale: Stream | None = None


def recording_streams(
    recording: Recording, depth_scale: float = 1.0, start: int = 0, frames: int = 0, whole_scale: bool = False
) -> Streams:
    """Streams of the frames start .. start + frames - 1 of a recording; 0 frames is all that follow.

    whole_scale: take the depth scale from the whole recording, so that its parts fit each other. UserError where its
    channels differ in length, or end before.
    """
    total = common_frames(recording.channels())
    scale = recording.depth_scale or depth_scale
    stop = start + frames if frames else total
    if not start < stop <= total:
        raise UserError(
            f"The recording has {total} frames but frames {start} to {stop - 1} are needed: give the buffers of this "
            "clip, or change start."
        )

    def reader(source: Path | None, read, *arguments) -> Stream | None:
        return None if source is None else lambda: read(source, *arguments, start=start, stop=stop)

    classes = recording.semantic or recording.instance
    whole = whole_scale and recording.depth is not None
    return Streams(
        stop - start,
        reader(recording.depth, read_depth, recording.depth_format, scale),
        reader(classes, read_classes, recording.semantic_format),
        reader(recording.instance, read_instances, recording.instance_format),
        (lambda: read_depth(recording.depth, recording.depth_format, scale)) if whole else None,
    )


def tensor_streams(
    depth: Tensor | None = None, classes: Tensor | None = None, instances: Tensor | None = None
) -> Streams:
    """Streams of channels that are in memory, (T, H, W) each; UserError where they differ, or where none came."""
    channels = {"depth": depth, "classes": classes, "instances": instances}
    channels = {name: values for name, values in channels.items() if values is not None}
    if not channels:
        raise UserError("No buffers came: give depth, tag or instance pictures, or a recording's folder.")
    shapes = {tuple(values.shape) for values in channels.values()}
    if len(shapes) > 1:
        each_shape = ", ".join(f"{name} {tuple(values.shape)}" for name, values in channels.items())
        raise UserError(f"The buffers differ in frames or size ({each_shape}): give the buffers of one clip.")
    streams = {name: lambda values=values: iter(values) for name, values in channels.items()}
    return Streams(shapes.pop()[0], **streams)


@dataclass
class SimulatorMaps:
    """Of T frames at the clip's size: depth (T, H, W) near = 1, segmentation (T, H, W, 3), edge (T, H, W), mask
    (T, H, W) 0 or 1, weights (T, H, W), all in [0, 1]; None where the recording or the clip lacks what it takes."""

    depth: Tensor | None = None
    segmentation: Tensor | None = None
    edge: Tensor | None = None
    mask: Tensor | None = None
    weights: Tensor | None = None


def simulator_maps(
    streams: Streams,
    frames: Tensor | None = None,
    paint: str = "carla",
    mask_of: str = "",
    weights: dict[str, float] | None = None,
    thresholds: tuple[float, float] = (100 / 255, 200 / 255),
    crop: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
    convention: str = EMBEDDED,
) -> SimulatorMaps:
    """Everything that a recording says about a clip.

    frames: the clip (T, H, W, 3) in [0, 1], for the edges and for the size of all maps; without it they have the
    recording's own. paint: a palette's name, or "instances" for a colour for each of the clip's 100 largest objects;
    mask_of: classes ("lights and signs"); weights: {class: weight from 0 to 1} (see `class_weights`); thresholds: of
    the edges, which ignore the inside of traffic lights. crop: cut the recording to the clip's shape around its middle
    where they differ; otherwise that is an error. convention: the family that the edges and the depth scale are for,
    one of CONVENTIONS; the scale is taken from the streams. UserError for buffers of another length or shape than the
    clip, and for weights above 1.
    """
    _check(streams, frames, paint, mask_of, weights)
    made_for = map_convention(convention)
    passes = 1 + (streams.depth is not None) + (paint == INSTANCES)
    limits, objects, seen = None, None, 0

    def report(done: int) -> None:
        progress(seen + min(done, streams.frames), passes * streams.frames)

    if streams.depth is not None:
        source = streams.scale or streams.depth
        limits = depth_limits(_counted(_chunks(source()), report), made_for.depth)
        seen += streams.frames
    if paint == INSTANCES:
        objects = largest_instances(_counted(_chunks(streams.instances()), report))
    parts: dict[str, list[Tensor]] = {}
    channels = {name: getattr(streams, name) for name in ("depth", "classes", "instances")}
    channels = {name: _chunks(stream()) for name, stream in channels.items() if stream is not None}
    for start in range(0, streams.frames, _CHUNK):
        size = None if frames is None else tuple(frames.shape[1:3])
        chunk = {name: _sized(next(values), size, name, crop) for name, values in channels.items()}
        clip = None if frames is None else frames[start : start + _CHUNK]
        maps = _maps(chunk, clip, limits, objects, paint, mask_of, weights, (*thresholds, made_for.edges))
        for name, values in maps.items():
            parts.setdefault(name, []).append(values)
        done = start + len(next(iter(chunk.values())))
        progress((passes - 1) * streams.frames + done, passes * streams.frames)
    return SimulatorMaps(**{name: torch.cat(values) for name, values in parts.items()})


def _check(streams: Streams, frames: Tensor | None, paint: str, mask_of: str, weights: dict | None) -> None:
    if frames is not None and len(frames) != streams.frames:
        raise UserError(
            f"The buffers have {streams.frames} frames and the clip {len(frames)}: give the buffers of this clip."
        )
    if paint not in PAINTS:
        raise UserError(f"The palette {paint!r} is unknown: choose one of {', '.join(PAINTS)}.")
    if paint == INSTANCES and streams.instances is None:
        raise UserError("There are no instance pictures to paint objects from: choose another palette.")
    if streams.classes is None and (mask_of or weights):
        raise UserError("There are no semantic pictures to take classes from: leave the classes empty.")
    for name, weight in (weights or {}).items():
        if weight > 1:
            raise UserError(f"The weight of {name} is {weight:g}: give weights from 0 to 1.")


def _maps(chunk, clip, limits, objects, paint, mask_of, weights, canny) -> dict[str, Tensor]:
    maps, classes = {}, chunk.get("classes")
    if "depth" in chunk:
        maps["depth"] = _averaged(disparity_map(chunk["depth"], limits), clip)
    if paint == INSTANCES:
        maps["segmentation"] = instance_map(_picked(chunk["instances"], clip), objects)
    if classes is not None:
        fitted = _picked(classes, clip)
        if paint != INSTANCES:
            maps["segmentation"] = segmentation_map(fitted, paint)
        if mask_of:
            maps["mask"] = _averaged(class_mask(classes, mask_of).float(), clip)
        if weights:
            maps["weights"] = _averaged(class_weights(classes, weights), clip)
    if clip is not None:
        ignore = None if classes is None else fitted == TAG["traffic light"]
        low, high, operator = canny
        maps["edge"] = edge_map(clip, low, high, ignore, operator)
    return maps


def _chunks(frames: Iterable[Tensor]) -> Iterator[Tensor]:
    held: list[Tensor] = []
    for frame in frames:
        if held and frame.shape != held[0].shape:
            raise UserError("The recording's pictures differ in size: give a whole recording.")
        held.append(frame)
        if len(held) == _CHUNK:
            yield torch.stack(held)
            held = []
    if held:
        yield torch.stack(held)


def _counted(chunks: Iterator[Tensor], report: Callable[[int], None]) -> Iterator[Tensor]:
    done = 0
    for chunk in chunks:
        yield chunk
        done += len(chunk)
        report(done)


def _sized(values: Tensor, size: tuple[int, int] | None, name: str, crop: bool) -> Tensor:
    """The values in the shape of the clip: as they are, or cut around the middle."""
    if size is None:
        return values
    height, width = values.shape[1:3]
    shape, wanted = width / height, size[1] / size[0]
    if abs(shape / wanted - 1) <= _SHAPE:
        return values
    if not crop:
        raise UserError(
            f"The {name} pictures are {width}x{height} and the clip is {size[1]}x{size[0]}, another shape: give the "
            "buffers of this clip, or have them cut to its shape."
        )
    height, width = (height, round(height * wanted)) if shape > wanted else (round(width / wanted), width)
    top, left = (values.shape[1] - height) // 2, (values.shape[2] - width) // 2
    return values[:, top : top + height, left : left + width]


def _averaged(values: Tensor, clip: Tensor | None) -> Tensor:
    """(T, H, W) floats at the clip's size: averaged, as the clip's pixels are."""
    if clip is None or values.shape[1:3] == clip.shape[1:3]:
        return values
    return F.interpolate(values[:, None], size=tuple(clip.shape[1:3]), mode="area")[:, 0]


def _picked(values: Tensor, clip: Tensor | None) -> Tensor:
    """(T, H, W) integers at the clip's size: the one that stands at the middle of each pixel."""
    if clip is None or values.shape[1:3] == clip.shape[1:3]:
        return values
    rows, columns = (middle_pixels(old, new).to(values.device) for new, old in zip(clip.shape[1:3], values.shape[1:3]))
    return values[:, rows[:, None], columns]
