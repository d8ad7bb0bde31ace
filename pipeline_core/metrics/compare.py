"""All metrics of one output at once, on files or on frames in memory: the source it was made from, its buffers
and its twin where there are any."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from .. import media
from ..conditions.buffers import Buffers
from ..conditions.segmentation import TAG, VEHICLE_TAGS
from ..errors import UserError
from .base import Figure, check_frames
from .fidelity import PSNR, SSIM, LowFrequencyError
from .objects import BASIC_COLOURS, LampColours, ObjectColours, decision_table
from .realism import Critic, Realism
from .report import collect, environment
from .structure import EdgeF1
from .temporal import FlowError, FrameDifferenceError

Progress = Callable[[int, int], None]

_CHUNK = 16  # frames in memory per clip


def _chunks(path: str | os.PathLike) -> Iterator[Tensor]:
    """The clip as float (T, H, W, 3) chunks in [0, 1]."""
    held = []
    for frame in media.read_frames(path):
        held.append(frame)
        if len(held) == _CHUNK:
            yield torch.stack(held).float() / 255
            held = []
    if held:
        yield torch.stack(held).float() / 255


def compare(
    source: str | os.PathLike,
    output: str | os.PathLike,
    buffers: Buffers | None = None,
    reference: str | os.PathLike | None = None,
    critic: Critic | None = None,
    progress: Progress = lambda done, total: None,
) -> dict:
    """Measure an output clip in one pass and constant memory; returns a report (see `report.collect`).

    source: the clip it was made from; buffers: the source's, for the figures of objects and motion;
    reference: the photoreal twin or another clip the output should look like; critic: see `realism`.
    `progress(done, total)` is called with frame counts after every chunk. What cannot be measured without
    one of them is undefined and says so. Raises UserError for clips that cannot be read or differ in frames
    or size.
    """
    clips = {"source": source, "output": output}
    if reference is not None:
        clips["reference"] = reference
    infos = {name: media.probe(path) for name, path in clips.items()}
    if buffers is not None:
        infos["buffers folder"] = buffers
    total = _check_sizes({name: (info.frames, info.height, info.width) for name, info in infos.items()})
    about = {name: str(path) for name, path in clips.items()}
    if buffers is not None:
        about["buffers"] = str(buffers.folder)
    return _measure([_chunks(path) for path in clips.values()], total, buffers, critic, progress, about)


def compare_frames(
    source: Tensor,
    output: Tensor,
    reference: Tensor | None = None,
    critic: Critic | None = None,
    progress: Progress = lambda done, total: None,
) -> dict:
    """`compare` for clips in memory, (T, H, W, 3) in [0, 1], without buffers; the same figures.

    Raises UserError for clips that are empty or differ in frames or size, and for values outside [0, 1].
    """
    clips = {"source": source, "output": output}
    if reference is not None:
        clips["reference"] = reference
    for name, clip in clips.items():
        check_frames(clip[:0], name)  # the shape; the values are checked chunk by chunk
    total = _check_sizes({name: tuple(clip.shape[:3]) for name, clip in clips.items()})
    if total == 0:
        raise UserError("The output has no frames: give clips with at least one frame.")
    return _measure([clip.split(_CHUNK) for clip in clips.values()], total, None, critic, progress, {})


def _measure(
    clips: list[Iterable[Tensor]],
    total: int,
    buffers: Buffers | None,
    critic: Critic | None,
    progress: Progress,
    about: dict,
) -> dict:
    """One pass over the chunks of source, output and, if there is one, reference."""
    has_reference = len(clips) == 3
    to_source = [PSNR(), SSIM(), LowFrequencyError(), EdgeF1()]
    to_reference = [PSNR(), SSIM(), LowFrequencyError(), FrameDifferenceError()]
    motion, realism = FlowError(), Realism(critic) if critic else None
    lamps = LampColours(buffers.lights if buffers else [])
    vehicles = ObjectColours("vehicles", VEHICLE_TAGS, names=_colour_names(buffers))
    signs = ObjectColours("signs", [TAG["traffic sign"]], min_pixels=12)
    has_objects = buffers is not None and {"semantic", "instance"} <= set(buffers.channels)
    has_flow = buffers is not None and "flow" in buffers.channels

    done = 0
    for given, made, *rest in zip(*clips):
        twin = rest[0] if rest else None
        stop = done + len(made)
        for metric in to_source:
            metric.update(made, given)
        if twin is not None:
            for metric in to_reference:
                metric.update(made, twin)
        if realism:
            realism.update(made)
            if twin is not None:
                realism.update_reference(twin)
        lamps.update(made)
        if has_objects:
            classes, instances = buffers.classes(done, stop), buffers.instances(done, stop)
            for metric in (vehicles, signs):
                metric.update(made, given if twin is None else twin, classes, instances)
        if has_flow:
            motion.update(made, buffers.flow(done, stop), instances if has_objects else None)
        done = stop
        progress(done, total)
    if done != total:
        raise UserError(f"Only {done} of {total} frames could be decoded: give clips that play to their end.")

    against = "" if has_reference else "against the source, so the change of style counts as well"
    no_buffers, no_twin = "no such buffers were given", "no reference was given"
    sections = {
        "to the source": _figures(to_source),
        "to the reference": _figures(to_reference, None if has_reference else no_twin),
        "objects": {
            **_figures([lamps], None if buffers else no_buffers),
            **_figures([vehicles, signs], None if has_objects else no_buffers, against),
        },
        "time": _figures([motion], None if has_flow else no_buffers),
        "realism": realism.compute() if realism else {"critic": Figure(None, note="no critic was given")},
    }
    report = collect(sections, frames=done, environment=environment(), **about)
    lost = [d for metric in (lamps, vehicles, signs) for d in metric.decisions if not d.kept]
    report["lost"] = decision_table(lost)
    return report


def _check_sizes(sizes: dict[str, tuple[int, int, int]]) -> int:
    """The number of frames, after making sure that all (frames, height, width) agree with the output's."""
    frames, height, width = sizes["output"]
    for name, size in sizes.items():
        if size != (frames, height, width):
            raise UserError(
                f"The {name} has {size[0]} frames of {size[1]}x{size[2]} and the output "
                f"{frames} of {height}x{width}: give clips of the same number and size of frames."
            )
    return frames


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
