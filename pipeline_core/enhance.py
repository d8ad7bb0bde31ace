"""The whole job: a synthetic clip in, a photoreal one out (arXiv 2511.14719), window by window.

frames -> control maps -> latent x0 -> noise (inverted, calibrated or random) -> guided sampling -> frames
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .conditions.conventions import map_convention
from .conditions.estimators import Estimators, estimated_limits
from .conditions.flow import buffer_flow, estimated_flow, require_flow
from .conditions.maps import available_controls, check_maps, clip_disparity_limits, given_maps, window_maps
from .conditions.stack import normalise_weights
from .diffusion import Callback, Predict
from .frames import as_floats, resize, working_size
from .longvideo import (
    ChunkFolder,
    Finished,
    Window,
    blend_windows,
    enhance_stream,
    fused_predict,
    plan_windows,
)
from .longvideo.colours import anchored_colours, colour_offset
from .longvideo.fused import check_fused, join_latents, window_weights
from .longvideo.motion import latent_flow
from .longvideo.plan import compute_factor, latent_frames
from .longvideo.stitch import Mix, crossfade, flow_aligned, window_clips
from .longvideo.stream import hand_over
from .passes import enhance_handed, enhance_latent, job_interpolant, job_sigmas
from .resume import job_name, window_key
from .settings import EnhanceSettings, resolve
from .starts import inversion_levels

if TYPE_CHECKING:
    from .conditions.buffers import Buffers
    from .conditions.depth import DisparityLimits
    from .models.video_model import VideoModel

__all__ = [
    "EnhanceSettings",
    "Job",
    "Report",
    "enhance",
    "enhance_handed",
    "enhance_latent",
    "job_interpolant",
    "job_sigmas",
    "prepare",
    "resize",
    "run",
    "window_inputs",
    "window_predictor",
    "working_size",
]

# progress(done model steps, all model steps): called after every step of every window.
Progress = Callable[[int, int], None]


@dataclass
class Report:
    """What was done: resolved settings, notes on everything that was changed about the input, one entry a window."""

    settings: dict
    notes: list[str]
    plan: dict
    windows: list[dict] = field(default_factory=list)

    def to_dict(self) -> dict:
        return {"settings": self.settings, "plan": self.plan, "notes": self.notes, "windows": self.windows}


@dataclass(frozen=True)
class Job:
    """Everything the windows share. Made by `prepare`, run by `run`."""

    model: VideoModel
    settings: EnhanceSettings
    windows: list[Window]
    size: tuple[int, int]
    work_size: tuple[int, int]
    texts: dict[str, Tensor]
    weights: dict[str, float]
    buffers: Buffers | None
    estimators: Estimators
    limits: DisparityLimits | None
    maps: Mapping[str, Tensor]
    report: Report


def enhance(
    frames: Tensor,
    model: VideoModel,
    settings: EnhanceSettings | None = None,
    buffers: Buffers | None = None,
    progress: Progress | None = None,
    estimators: Estimators = Estimators(),
    maps: Mapping[str, Tensor] | None = None,
    description: str = "",
) -> tuple[Tensor, Report]:
    """Enhance a clip in memory. frames (T, H, W, 3) in [0, 1]; returns frames of the same shape and the report."""
    size, settings = tuple(frames.shape[1:3]), settings or EnhanceSettings()
    job = prepare(len(frames), size, model, settings, buffers, estimators, lambda: frames, maps, description)
    result = torch.empty(frames.shape, device=frames.device)
    for index, frame in enumerate(run(job, frames, progress)):
        result[index] = frame
    return result, job.report


def prepare(
    frame_count: int,
    size: tuple[int, int],
    model: VideoModel,
    settings: EnhanceSettings,
    buffers: Buffers | None = None,
    estimators: Estimators = Estimators(),
    read: Callable[[], Iterable[Tensor]] | None = None,
    maps: Mapping[str, Tensor] | None = None,
    description: str = "",
) -> Job:
    """Plan a job for a clip of `frame_count` frames of `size` (height, width).

    buffers: the simulator's; estimators: models for what the buffers lack; read: gives the clip's frames from the
    start, used for a first pass where depth is estimated, because its scale is the whole clip's; maps: ready-made
    control maps of the whole clip (see conditions.maps.check_maps), which go before buffers and models;
    description: what is in the clip, for the preset's prompts, default: what the buffers say.
    Raises UserError for settings out of range, an unknown control and maps that do not fit the clip.
    """
    preset, maps = model.preset, dict(maps or {})
    check_maps(maps, frame_count, size)
    if buffers is not None:
        description = description or buffers.scene.get("description", "")
    settings = resolve(settings, preset, description)
    notes = []
    no_flow = settings.handover == "motion" and (buffers is None or "flow" not in buffers.channels)
    if no_flow:
        notes.append("No optical flow came with the clip: the hand-over's motion was estimated from its frames.")
    if estimators.flow is None and (no_flow or settings.stitch == "flow"):
        require_flow()
        estimators = replace(estimators, flow=estimated_flow)
    controls, missing = {}, []
    for name, weight in settings.controls.items():
        if name in maps or name in available_controls(buffers, estimators):
            controls[name] = weight
        elif weight > 0:
            missing.append(name)
    if missing:
        notes.append(
            f"No {' and no '.join(missing)} control: the clip came without such maps and no model for it was given."
        )
    if unused := [name for name in maps if settings.controls.get(name, 0) == 0]:
        notes.append(f"The {' and the '.join(unused)} map had no effect: its weight is 0 or the model lacks it.")
    weights = {name: weight for name, weight in normalise_weights(controls).items() if weight > 0}
    work_size = working_size(size, preset.size, preset.spatial_ratio * 2)
    if work_size != size:
        notes.append(
            f"Frames of {size[1]}x{size[0]} were resized to {work_size[1]}x{work_size[0]} for the model, "
            "and its result back."
        )
    windows = plan_windows(frame_count, preset.window, preset.overlap, preset.temporal_ratio)
    padding = windows[-1].stop - frame_count
    if padding:
        notes.append(f"The last frame was repeated {padding} times to fill a window and trimmed from the result.")
    branches = {
        "positive": settings.prompt,
        "negative": settings.negative_prompt,
        "inversion": settings.inversion_prompt,
    }
    embeddings = model.encode_text(list(branches.values()))
    texts = {name: embeddings[i : i + 1] for i, name in enumerate(branches)}
    plan = {
        "frames": frame_count,
        "windows": [[w.start, w.stop] for w in windows],
        "window": preset.window,
        "compute_factor": round(compute_factor(windows, frame_count), 3),
        "work_size": list(work_size),
        "controls": weights,
    }
    limits = None
    if "depth" in weights and "depth" not in maps:
        if buffers is not None and "depth" in buffers.channels:
            limits = clip_disparity_limits(buffers, preset.maps)
        else:
            small = (resize(as_floats(frame)[None], work_size)[0] for frame in read())
            limits = estimated_limits(estimators.depth, small, map_convention(preset.maps).depth)
    return Job(
        model,
        settings,
        windows,
        size,
        work_size,
        texts,
        weights,
        buffers,
        estimators,
        limits,
        maps,
        Report(settings.to_dict(), notes, plan),
    )


def run(
    job: Job, frames: Iterable[Tensor], progress: Progress | None = None, chunks: ChunkFolder | None = None
) -> Iterator[Tensor]:
    """Enhance a stream of frames (H, W, 3), floats in [0, 1] or uint8; yields finished frames (H, W, 3) in order.

    Holds one window of the source and of the result at a time. Cancel by raising in `progress`. chunks: where finished
    windows are kept, and found again by a later run of the same job.
    """
    grid = job_sigmas(job.settings, job.model.preset, job_interpolant(job.model.preset))
    steps = len(grid) - 1
    if job.settings.start == "inversion":
        steps += len(inversion_levels(grid, job.settings.inversion_steps)) - 1
    total = len(job.windows) * steps
    done = 0

    def steps_done(count: int = 1) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(min(done, total), total)

    mix = flow_aligned(job.estimators.flow) if job.settings.stitch == "flow" else crossfade
    # Not what is made from finished windows.
    told = [{**job.report.settings, "stitch": None, "anchor_colours": None}, job.size, job.work_size, job.weights]
    name = job_name(told, job.model) if chunks is not None else ""
    if job.settings.handover == "fused":
        yield from _run_fused(job, frames, lambda *_: steps_done(len(job.windows)), name, chunks, mix)
        return

    source, offset = None, None  # of the window that is decoded next, and of the first

    def enhance_window(index: int, clip: Tensor, before: Finished | None) -> Finished:
        nonlocal source
        made = window_inputs(job, index, as_floats(clip))
        source = made["source"]
        before = before if job.settings.handover != "none" else None
        key = window_key(name, job.windows[index], made, before.key if before else "") if chunks is not None else ""
        finished = _kept(chunks, index, key, lambda: _enhance_window(job, index, made, before, lambda *_: steps_done()))
        if (found := steps * (index + 1) - done) > 0:  # a window that was kept had all its steps before
            steps_done(found)
        job.report.windows.append(finished.entry)
        return finished

    def decode_window(finished: Finished) -> Tensor:
        nonlocal offset
        result = job.model.decode(finished.latent)
        if job.settings.anchor_colours:
            offset = colour_offset(result, source) if offset is None else offset
            result = anchored_colours(result, source, offset)
        return _delivered(job, result)

    yield from enhance_stream(frames, job.windows, enhance_window, decode_window, mix)


def _kept(chunks: ChunkFolder | None, index: int, key: str, make: Callable[[], Finished]) -> Finished:
    """What was finished under this key, or else what `make` makes, kept under it."""
    finished = chunks.load(index, key) if chunks is not None else None
    if finished is None:
        finished = replace(make(), key=key)
        if chunks is not None:
            chunks.save(index, finished)
    return finished


def _delivered(job: Job, frames: Tensor) -> Tensor:
    # Finished frames rest on the CPU: a long clip does not fit on the model's device.
    return resize(frames, job.size).clamp(0, 1).cpu()


def _run_fused(
    job: Job, frames: Iterable[Tensor], step_done: Callback, name: str, chunks: ChunkFolder | None, mix: Mix
) -> Iterator[Tensor]:
    """`run` with every step predicted by all windows over one long latent: holds the clip's latents, not its frames."""
    ratio = job.model.preset.temporal_ratio
    spans, lead_in = [latent_frames(w, ratio) for w in job.windows], int(ratio > 1)
    parts, predicts, key = [], [], ""
    for index, clip in enumerate(window_clips(frames, job.windows)):
        made = window_inputs(job, index, as_floats(clip))
        key = window_key(name, job.windows[index], made, key) if chunks is not None else ""
        parts.append(job.model.encode(made["source"]))
        check_fused(parts[0], spans[-1].stop)
        predicts.append(window_predictor(job, made))

    def make() -> Finished:
        x0 = join_latents(parts, spans, window_weights(spans, lead_in))
        predict, interpolant = fused_predict(predicts, spans, lead_in), job_interpolant(job.model.preset)
        sigmas = job_sigmas(job.settings, job.model.preset, interpolant)
        finished = enhance_handed(predict, x0, sigmas, job.settings, interpolant, job.settings.seed, step_done)
        return replace(finished, entry={"start": 0, "stop": job.windows[-1].stop, **finished.entry})

    finished = _kept(chunks, 0, key, make)
    job.report.windows.append(finished.entry)
    clips = (clip[w.start - start :] for w, (start, clip) in zip(job.windows, _decoded_spans(job, spans, finished)))
    yield from blend_windows(clips, job.windows, mix)


def _decoded_spans(job: Job, spans: list[range], finished: Finished) -> Iterator[tuple[int, Tensor]]:
    """The pixel frames of each span of a long latent, with the number of the first of them.

    Decoded from one latent frame before the span: a decoder takes the first for the start of a scene, one frame long.
    """
    for span in spans:
        first = max(0, span.start - 1)
        yield (
            first * job.model.preset.temporal_ratio,
            _delivered(job, job.model.decode(finished.latent[:, :, first : span.stop])),
        )


def window_inputs(job: Job, index: int, clip: Tensor) -> dict[str, Tensor]:
    """What a window is made from: its source and its control maps at the model's size, by name, and the source's flow
    where a hand-over follows it."""
    window, source = job.windows[index], resize(clip, job.work_size)
    maps = given_maps(job.maps, job.weights, window.start, window.length, job.work_size)
    to_make = [name for name in job.weights if name not in maps]
    # Made at the model's size: edges and blur mean nothing at another.
    convention = job.model.preset.maps
    maps |= window_maps(to_make, source, window.start, job.buffers, job.estimators, job.limits, convention)
    if job.settings.handover == "motion" and index:
        known = job.buffers is not None and "flow" in job.buffers.channels
        maps["flow"] = buffer_flow(job.buffers, window.start, window.length) if known else job.estimators.flow(source)
    return {"source": source, **maps}


def window_predictor(job: Job, made: dict[str, Tensor]) -> Predict:
    """The model with the job's prompts and a window's maps bound inside; made: as `window_inputs` gives it."""
    hints = {name: job.model.encode_hint(made[name]) for name in job.weights}
    settings = job.settings
    return job.model.predictor(job.texts, hints, job.weights, job_interpolant(job.model.preset), settings.cache)


def _enhance_window(
    job: Job, index: int, made: dict[str, Tensor], before: Finished | None, step_done: Callback
) -> Finished:
    """One window through the model; before: the finished one to go on from."""
    window, model, settings = job.windows[index], job.model, job.settings
    interpolant = job_interpolant(model.preset)
    predict = window_predictor(job, made)
    x0 = model.encode(made["source"])
    sigmas = job_sigmas(settings, model.preset, interpolant)
    given, flow = None, None
    if before is not None:
        given = hand_over(before, job.windows[index - 1], window, model.preset.temporal_ratio)
    if given is not None and "flow" in made:
        flow = latent_flow(made["flow"], model.preset.temporal_ratio, tuple(x0.shape[-2:]), given.shared)
        flow = flow.to(x0.device)
    finished = enhance_handed(predict, x0, sigmas, settings, interpolant, settings.seed + index, step_done, given, flow)
    return replace(finished, entry={"start": window.start, "stop": window.stop, **finished.entry})
