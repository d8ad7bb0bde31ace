"""NOISE whose value is known, and the SAMPLER that walks an inversion back from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import comfy.samplers
import torch
from torch import Tensor

from ...pipeline_core.diffusion import sample
from ...pipeline_core.diffusion.inversion.retrace import Retrace
from ...pipeline_core.errors import UserError
from .running import Session
from .schedules import interpolant_of, noise_weight


class StructuredNoise:
    """NOISE whose value is known: an inversion's or a calibration's, in model space.

    noise: shaped like the latent, what x = a x0 + sigma n means by n. weight: what ComfyUI will multiply it with,
    over sigma, at the sigmas it was made for (see noise_weight); 1 except at the top of an EPS schedule.
    """

    def __init__(self, noise: Tensor, seed: int = 0, weight: float = 1.0):
        self.noise, self.seed, self.weight = noise, seed, weight

    def generate_noise(self, latent: Mapping) -> Tensor:
        shape = tuple(latent["samples"].shape)
        if shape != tuple(self.noise.shape):
            raise UserError(
                f"This noise belongs to a latent of shape {tuple(self.noise.shape)}, but latent_image is {shape}; "
                "connect the latent that was inverted or calibrated."
            )
        return self.native()

    def native(self) -> Tensor:
        """The values ComfyUI's samplers are handed."""
        return (self.noise / self.weight).float()


class RetraceSampler(comfy.samplers.Sampler):
    """SAMPLER that walks an inversion back under any guidance; it brings the inverted latent along.

    exact: the inversion's own noise. NOISE travels as float32; where it comes back untouched, its full precision is
    taken, because a bfloat16 network makes the first digits of the answer from the last bits of the state.
    """

    def __init__(self, solver: Retrace, exact: StructuredNoise):
        self.solver, self.exact = solver, exact

    def sample(
        self, model_wrap, sigmas, extra_args, callback, noise, latent_image=None, denoise_mask=None, disable_pbar=False
    ):
        if denoise_mask is not None:
            raise UserError("The retracing sampler cannot keep masked parts; remove Set Latent Noise Mask.")
        interpolant = interpolant_of(model_wrap.inner_model.model_sampling)
        options = {"model_options": extra_args["model_options"], "seed": extra_args.get("seed")}
        session = Session(model_wrap, interpolant, noise, noise, sigmas, options)
        solver = self._on(noise)
        weight = noise_weight(model_wrap, sigmas, noise) / float(sigmas[0])
        untouched = weight == self.exact.weight and torch.equal(noise.cpu(), (self.exact.noise / weight).float())
        start = self.exact.noise if untouched else noise.cpu().double() * weight
        start = start.to(noise.device, session.state_dtype)

        def step(index: int, total: int, x0: Tensor) -> None:
            if callback is not None:
                callback(index, x0, x0, total)

        return sample(
            session.denoise,
            start,
            sigmas.cpu().double(),
            interpolant,
            x0=solver.x0,
            solver=solver,
            callback=step,
            state_dtype=session.state_dtype,
            model_dtype=torch.float32,
        )

    def cut(self, part: Callable[[Tensor], Tensor]) -> RetraceSampler:
        """The sampler of some of the frames; part takes them out of a tensor of the latent's shape."""
        carried = self.solver.carried
        solver = replace(self.solver, x0=part(self.solver.x0), carried=carried if carried is None else part(carried))
        return RetraceSampler(solver, StructuredNoise(part(self.exact.noise), self.exact.seed, self.exact.weight))

    def _on(self, noise: Tensor) -> Retrace:
        if noise.shape != self.solver.x0.shape:
            raise UserError(
                f"This sampler retraces a latent of shape {tuple(self.solver.x0.shape)}, but latent_image is "
                f"{tuple(noise.shape)}; connect the latent that was inverted."
            )
        return self.solver.to(noise.device)


def native_weight(session: Session) -> float:
    """What StructuredNoise has to be divided by, so that native samplers start from the very state it describes."""
    return noise_weight(session.guider, session.sigmas, session.x0) / float(session.sigmas[0])
