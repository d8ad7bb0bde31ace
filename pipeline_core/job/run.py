"""A planned job at work: windows through the model one after the other, frames out in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from torch import Tensor

from ..conditions.flow import buffer_flow
from ..conditions.maps import given_maps, window_maps
from ..diffusion import Callback, Predict
from ..longvideo import (
    ChunkFolder,
    Finished,
    blend_windows,
    enhance_stream,
    fused_predict,
)
from ..longvideo.colours import anchored_colours, colour_offset
from ..longvideo.fused import check_fused, join_latents, window_weights
from ..longvideo.motion import latent_flow
from ..longvideo.plan import latent_frames
from ..longvideo.stitch import Mix, crossfade, flow_aligned, window_clips
from ..longvideo.stream import hand_over
from ..video.frames import as_floats, resize
from .latent import enhance_handed, job_interpolant, job_sigmas
from .plan import Job, Progress
from .resume import job_name, window_key
from .starts import inversion_levels


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

    yield from enhance_stream(frames, job.windows, enhance_window, decode_window, mix, job.report.notes.append)


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
    for index, clip in enumerate(window_clips(frames, job.windows, job.report.notes.append)):
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
    maps |= window_maps(to_make, source, window.start, job.buffers, job.estimators, job.limits)
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
