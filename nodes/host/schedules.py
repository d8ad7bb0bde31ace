"""What a MODEL's sigmas mean: the interpolant behind its schedule, shares of the sampling, the grid of both passes."""

from __future__ import annotations

import comfy.samplers
import torch
from torch import Tensor

from ...pipeline_core.diffusion import FLOW, VE, Interpolant, end_above_zero
from ...pipeline_core.errors import UserError


def interpolant_of(model_sampling) -> Interpolant:
    """VE or FLOW, asked of the model's own noise_scaling: a(sigma) = 1 or 1 - sigma. UserError for anything else."""
    one = torch.ones(1, 1, 1, 1)
    measured = [float(_mix(model_sampling, sigma, 0 * one, one)) for sigma in (0.25, 0.5)]
    for interpolant in (VE, FLOW):
        if all(abs(a - interpolant.a(sigma)) < 1e-4 for a, sigma in zip(measured, (0.25, 0.5))):
            return interpolant
    raise UserError(
        f"This model's noise schedule ({type(model_sampling).__name__}) is neither x0 + sigma n nor "
        "(1 - sigma) x0 + sigma n; connect another model."
    )


def _mix(model_sampling, sigma: float, noise: Tensor, latent: Tensor, max_denoise: bool = False) -> Tensor:
    # Some noise_scaling implementations add into their argument.
    return model_sampling.noise_scaling(torch.tensor([sigma]).to(noise), noise.clone(), latent.clone(), max_denoise)


def noise_weight(guider, sigmas: Tensor, like: Tensor) -> float:
    """What ComfyUI multiplies noise with at sigmas[0]: sigma, or sqrt(1 + sigma^2) at the top of an EPS schedule."""
    model_sampling = guider.inner_model.model_sampling
    top = comfy.samplers.Sampler().max_denoise(guider, sigmas)
    one = like.new_ones([1] * like.ndim)
    return float(_mix(model_sampling, float(sigmas[0]), one, 0 * one, top))


def model_interpolant(model) -> Interpolant:
    """VE or FLOW of a MODEL that is not loaded yet."""
    return interpolant_of(model.get_model_object("model_sampling"))


def percent_sigmas(model, start_percent: float, end_percent: float) -> tuple[float, float]:
    """(high, low) sigmas of two shares of the sampling, as native nodes mean them."""
    if not start_percent < end_percent:
        raise UserError(f"start_percent {start_percent} is not below end_percent {end_percent}; change one of them.")
    schedule = model.get_model_object("model_sampling")
    return float(schedule.percent_to_sigma(start_percent)), float(schedule.percent_to_sigma(end_percent))


def sampling_grid(sigmas: Tensor, interpolant: Interpolant) -> Tensor:
    """The SIGMAS both passes walk: no trailing 0, and an end low enough for a clean latent to stand on."""
    return end_above_zero(sigmas, interpolant)
