"""A planned job at work: windows through the model one after the other, frames out in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from torch import Tensor

from ..longvideo import ChunkFolder, Finished, blend_windows, enhance_stream, fused_predict
from ..longvideo.colours import anchored_colours, colour_offset
from ..longvideo.fused import check_fused, join_latents
from ..longvideo.handover import HandOver, hand_over
from ..longvideo.motion import latent_flow
from ..longvideo.plan import latent_frames
from ..longvideo.stitch import Mix, crossfade, flow_aligned, window_clips
from ..video.overlaps import window_weights
from .delivery import Delivery, with_kept
from .inputs import window_inputs, window_predictor
from .latent import enhance_handed
from .plan import Job
from .progress import Progress, Steps
from .refine import refined
from .resume import KeptWindows


def run(
    job: Job, frames: Iterable[Tensor], progress: Progress | None = None, chunks: ChunkFolder | None = None
) -> Iterator[Tensor]:
    """Enhance a stream of frames (H, W, 3), floats in [0, 1] or uint8; yields finished frames (H, W, 3) in order.

    Holds two windows of the source and, at the model's size, one of the result; with the setting refine two windows of
    the result at the clip's size too. Cancel by raising in `progress`. chunks: where finished windows are kept, and
    found again by a later run of the same job.
    """
    steps, store = Steps(job, progress), KeptWindows(job, chunks)
    mix = flow_aligned(job.estimators.flow) if job.settings.stitch == "flow" else crossfade
    delivery = Delivery(job)
    if job.settings.handover == "fused":
        results = _run_fused(job, delivery.small(frames), steps, store, mix)
    else:
        windows = _Windows(job, steps, store)
        say, small = job.report.notes.append, delivery.small(frames)
        results = enhance_stream(small, job.windows, windows.enhance, windows.decode, mix, say)
    pairs = delivery.full(results)
    if job.settings.refine:
        pairs = refined(job, pairs, steps.refined)
    for frame, delivered in pairs:
        yield with_kept(job.keep, frame, delivered)


class _Windows:
    """Window after window, each through the model and then through the decoder: the two halves of `enhance_stream`."""

    def __init__(self, job: Job, steps: Steps, store: KeptWindows):
        self.job, self.steps, self.store = job, steps, store
        self.source = None  # of the window that is decoded next
        self.colours = None  # how far the first window's mean colour is from its source's

    def enhance(self, index: int, clip: Tensor, before: Finished | None) -> Finished:
        job = self.job
        inputs = window_inputs(job, index, clip)
        self.source = inputs["source"]
        before = before if job.settings.handover != "none" else None
        key = self.store.key(index, inputs, before.key if before else "")
        finished = self.store.window(index, key, lambda: self._sampled(index, inputs, before))
        self.steps.window_done(index)
        job.report.windows.append(finished.entry)
        return finished

    def decode(self, finished: Finished) -> Tensor:
        frames = self.job.model.decode(finished.latent)
        if self.job.settings.anchor_colours:
            if self.colours is None:
                self.colours = colour_offset(frames, self.source)
            frames = anchored_colours(frames, self.source, self.colours)
        return _finished(frames)

    def _sampled(self, index: int, inputs: dict[str, Tensor], before: Finished | None) -> Finished:
        job, window = self.job, self.job.windows[index]
        predict, x0 = window_predictor(job, inputs), job.model.encode(inputs["source"])
        handover = None if before is None else _handover(job, index, inputs, before)
        seed, step_done = (job.settings.seed + index) % 2**63, lambda *_: self.steps.advance()
        finished = enhance_handed(
            predict, x0, job.sigmas, job.settings, job.interpolant, seed, step_done, handover, inputs.get("places")
        )
        return replace(finished, entry={"start": window.start, "stop": window.stop, **finished.entry})


def _handover(job: Job, index: int, inputs: dict[str, Tensor], before: Finished) -> HandOver | None:
    """What window `index` gets from the one before it, along the source's flow where the inputs have it."""
    flow, ratio = None, job.temporal_ratio
    if "flow" in inputs:
        size = tuple(before.latent.shape[-2:])
        flow = lambda shared: latent_flow(inputs["flow"], ratio, size, shared)  # noqa: E731
    earlier, later = job.windows[index - 1 : index + 1]
    return hand_over(before.latent, before.noise, earlier, later, ratio, job.settings.anchor, flow)


def _run_fused(job: Job, frames: Iterable[Tensor], steps: Steps, store: KeptWindows, mix: Mix) -> Iterator[Tensor]:
    """`run` with every step predicted by all windows over one long latent: holds the clip's latents, not its frames."""
    spans, lead_in = [latent_frames(w, job.temporal_ratio) for w in job.windows], int(job.temporal_ratio > 1)
    parts, predicts, places, key = [], [], [], ""
    for index, clip in enumerate(window_clips(frames, job.windows, job.report.notes.append)):
        inputs = window_inputs(job, index, clip)
        key = store.key(index, inputs, key)
        parts.append(job.model.encode(inputs["source"]))
        check_fused(parts[0], spans[-1].stop)
        predicts.append(window_predictor(job, inputs))
        places += [inputs["places"]] if "places" in inputs else []

    def sampled() -> Finished:
        weights = window_weights(spans, lead_in)
        x0, held = join_latents(parts, spans, weights), join_latents(places, spans, weights) if places else None
        predict, step_done = fused_predict(predicts, spans, lead_in), lambda *_: steps.advance(len(job.windows))
        seed = job.settings.seed
        finished = enhance_handed(predict, x0, job.sigmas, job.settings, job.interpolant, seed, step_done, places=held)
        return replace(finished, entry={"start": 0, "stop": job.windows[-1].stop, **finished.entry})

    finished = store.window(0, key, sampled)
    steps.window_done(len(job.windows) - 1)
    job.report.windows.append(finished.entry)
    clips = (clip[w.start - start :] for w, (start, clip) in zip(job.windows, _decoded_spans(job, spans, finished)))
    yield from blend_windows(clips, job.windows, mix)


def _decoded_spans(job: Job, spans: list[range], finished: Finished) -> Iterator[tuple[int, Tensor]]:
    """The pixel frames of each span of a long latent, with the number of the first of them.

    Decoded from one latent frame before the span: a decoder takes the first for the start of a scene, one frame long.
    """
    for span in spans:
        first = max(0, span.start - 1)
        frames = job.model.decode(finished.latent[:, :, first : span.stop])
        yield first * job.temporal_ratio, _finished(frames)


def _finished(frames: Tensor) -> Tensor:
    # Finished frames rest on the CPU: a long clip does not fit on the model's device.
    return frames.clamp(0, 1).cpu()
