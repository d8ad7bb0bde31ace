"""Sampling and inverting a long latent window by window: one load of the model, one set of conditions, any SAMPLER.

The windows are slices of one latent and one noise, so that what neighbours share is the same from the start. A
hand-over holds each window's predictions to the one before (see longvideo/handover.py); results are joined as latents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import comfy.model_management
import comfy.sample
import comfy.samplers
from torch import Tensor

from ....pipeline_core.diffusion import Inversion, Only, invert
from ....pipeline_core.diffusion.inversion.report import InversionReport
from ....pipeline_core.job.settings import EnhanceSettings
from ....pipeline_core.longvideo.fused import join_latents
from ....pipeline_core.longvideo.handover import HandOver, hand_over, handed_start, last_corrected, with_handover
from ....pipeline_core.video.overlaps import window_weights
from ..guiders import BranchGuider
from ..noise import RetraceSampler, StructuredNoise, native_weight
from ..running import Session, fitting_samples, run_in_guider
from .predictions import Layout, ShownWindow, SourceMotion, WindowedPredictions, windowed_guider


@dataclass(frozen=True, eq=False)
class Passing:
    """What a window gets from the one before. kind, share, anchor: as EnhanceSettings' handover, handover_share and
    anchor. motion: the source's, for the kind motion."""

    kind: str
    motion: SourceMotion | None = None
    share: float = EnhanceSettings.handover_share
    anchor: float = EnhanceSettings.anchor

    def handler(self, layout: Layout) -> ShownWindow | WindowedPredictions:
        """What asks the network: for all windows at once, or for the one that is at work."""
        return ShownWindow(layout) if self.kind != "fused" else WindowedPredictions(lambda shape: layout, "fused")


class _HeldGuider:
    """A guider as samplers see it, whose predictions are held to the window before."""

    def __init__(self, guider, layout: Layout, handover: HandOver, until: float):
        self._guider, self._layout, self._handover, self._until = guider, layout, handover, until

    def __call__(self, x: Tensor, timestep: Tensor, **options) -> Tensor:
        as_video, as_latent = self._layout.as_video, self._layout.as_latent

        def denoise(state: Tensor, _: float) -> Tensor:
            return as_video(self._guider(as_latent(state), timestep, **options))

        held = with_handover(denoise, self._handover, self._until)
        return as_latent(held(as_video(x), float(timestep.flatten()[0])))

    def __getattr__(self, name: str):
        return getattr(self._guider, name)


class WindowedSampler(comfy.samplers.Sampler):
    """A SAMPLER that runs another one on one window after the other. Belongs to one run.

    inverted: a sampler for every window with the noise it retraces, instead of `sampler` and the noise that comes.
    """

    def __init__(self, sampler, shown: ShownWindow, passing: Passing, inverted: list[RetraceSampler] | None = None):
        self.sampler, self.shown, self.passing, self.inverted = sampler, shown, passing, inverted

    def sample(
        self, model_wrap, sigmas, extra_args, callback, noise, latent_image=None, denoise_mask=None, disable_pbar=False
    ):
        layout, until = self.shown.layout, last_corrected(sigmas, self.passing.share)
        steps, parts, starts = len(sigmas) - 1, [], []
        for index in range(len(layout.windows)):
            comfy.model_management.throw_exception_if_processing_interrupted()
            self.shown.index = index
            sampler, start = self._start(index, noise)
            guider, handover = model_wrap, self._handover(index, parts, starts)
            if handover is not None:
                guider = _HeldGuider(model_wrap, layout, handover, until)
                if isinstance(sampler, RetraceSampler):
                    sampler = _handed(sampler, layout, handover)
                    start = sampler.exact.native().to(start.device)
            done = index * steps
            window_step = callback and (lambda step, x0, x, _, done=done: callback(done + step, x0, x, None))
            options = {**extra_args, "seed": (extra_args.get("seed") or 0) + index}
            cut = [layout.cut(whole, index) for whole in (latent_image, denoise_mask)]
            parts.append(sampler.sample(guider, sigmas, options, window_step, start, *cut, disable_pbar))
            starts.append(sampler.exact.noise if isinstance(sampler, RetraceSampler) else start)
        joined = [layout.as_video(part) for part in parts]
        return layout.as_latent(join_latents(joined, layout.spans, window_weights(layout.spans, layout.lead_in)))

    def _start(self, index: int, noise: Tensor) -> tuple[comfy.samplers.Sampler, Tensor]:
        """The window's sampler and the noise to call it with."""
        layout = self.shown.layout
        if self.inverted is not None:
            return self.inverted[index], self.inverted[index].exact.native().to(noise.device)
        if isinstance(self.sampler, RetraceSampler):
            return self.sampler.cut(lambda whole: layout.cut(whole, index)), layout.cut(noise, index)
        return self.sampler, layout.cut(noise, index)

    def _handover(self, index: int, parts: list[Tensor], starts: list[Tensor]) -> HandOver | None:
        """What the window goes on from."""
        if index == 0 or self.passing.kind == "none":
            return None
        layout, flow = self.shown.layout, None
        result, noise = (layout.as_video(values[-1]) for values in (parts, starts))
        if self.passing.kind == "motion":
            flow = lambda _: self.passing.motion.between(layout, index, tuple(result.shape[-2:]))  # noqa: E731
        earlier, later = layout.windows[index - 1 : index + 1]
        return hand_over(result, noise, earlier, later, layout.ratio, self.passing.anchor, flow)


def _handed(sampler: RetraceSampler, layout: Layout, handover: HandOver) -> RetraceSampler:
    """The sampler of a window that goes on from the one before: `handed_start` in the latent's own form."""
    solver, exact = sampler.solver, sampler.exact
    noise = layout.as_video(exact.noise)
    if solver.carried is not None:
        solver = replace(solver, carried=layout.as_video(solver.carried))
    noise, solver = handed_start(noise, solver, handover)
    if solver.carried is not None:
        solver = replace(solver, carried=layout.as_latent(solver.carried))
    return RetraceSampler(solver, StructuredNoise(layout.as_latent(noise), exact.seed, exact.weight))


def whole_latent(latent: Mapping, model) -> dict:
    """The LATENT, checked to fit the model; empty ones get its number of channels, as native samplers do."""
    samples = comfy.sample.fix_empty_latent_channels(model, latent["samples"])
    return {**latent, "samples": fitting_samples({**latent, "samples": samples}, model)}


def sample_windows(
    guider, latent: Mapping, noise: Tensor, sampler, sigmas: Tensor, layout: Layout, passing: Passing,
    inverted: list[RetraceSampler] | None, step: Callable[[Tensor], None], seed: int,
) -> Tensor:  # fmt: skip
    """The guider's sampling of a long latent. step(x0) after every step; returns samples in ComfyUI's latent space."""
    handler = passing.handler(layout)
    own = windowed_guider(guider, handler, layout)
    if isinstance(handler, ShownWindow):
        sampler = WindowedSampler(sampler, handler, passing, inverted)
    elif inverted is not None:
        sampler, noise = inverted[0], inverted[0].exact.native()
    samples = own.sample(
        noise,
        latent["samples"],
        sampler,
        sigmas,
        denoise_mask=latent.get("noise_mask"),
        callback=lambda index, x0, x, total: step(x0),
        disable_pbar=True,
        seed=seed,
    )
    return samples.to(comfy.model_management.intermediate_device())


def invert_windows(
    model, inversion: list, latent: Mapping, sigmas: Tensor, layout: Layout, passing: Passing, method: str,
    step: Callable[[Tensor], None],
) -> tuple[list[RetraceSampler], list[InversionReport]]:  # fmt: skip
    """What retraces every window, or where windows are fused the whole latent, and how inverting went."""
    handler = passing.handler(layout)
    guider = windowed_guider(BranchGuider(model, {"inversion": inversion}, Only("inversion")), handler, layout)
    shown = handler if isinstance(handler, ShownWindow) else None

    def body(session: Session) -> tuple[list[Inversion], float]:
        inversions = []
        for index in range(1 if shown is None else len(layout.windows)):
            x0 = session.x0
            if shown is not None:
                shown.index, x0 = index, layout.cut(x0, index)
            inversions.append(
                invert(
                    session.denoise, x0, sigmas, session.interpolant, method,
                    callback=lambda _step, _total, x0: step(x0), state_dtype=session.state_dtype,
                )
            )  # fmt: skip
        return inversions, native_weight(session)

    inversions, weight = run_in_guider(guider, latent, None, sigmas.float(), body)
    samplers = [
        RetraceSampler(inversion.solver.to("cpu"), StructuredNoise(inversion.noise.cpu(), weight=weight))
        for inversion in inversions
    ]
    return samplers, [inversion.report for inversion in inversions]
