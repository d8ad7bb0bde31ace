"""The core at work inside a guider: MODEL and CONDITIONING become the core's `predict`.

ComfyUI loads models, moves them and encodes conditions only inside a guider's `sample`. So everything that needs the
network runs there: `run_in_guider` hands a function of the core ("body") to a guider as if it were a sampler.
Latents inside are in model space, as the core wants them; outside they are ComfyUI's.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import comfy.model_management
import comfy.samplers
import latent_preview
import torch
from torch import Tensor

from ...pipeline_core.devices import finest_dtype
from ...pipeline_core.diffusion import Denoise, Guidance, Interpolant
from ...pipeline_core.errors import UserError
from .schedules import interpolant_of


@dataclass(frozen=True)
class Session:
    """What a body gets: the guider at work, the latent x0 and noise in model space on the model's device, sigmas."""

    guider: comfy.samplers.CFGGuider
    interpolant: Interpolant
    x0: Tensor
    noise: Tensor
    sigmas: Tensor
    extra_args: dict

    def denoise(self, x: Tensor, sigma: float) -> Tensor:
        """The guider's own clean prediction; Cancel is honoured before every network call."""
        comfy.model_management.throw_exception_if_processing_interrupted()
        return self.guider(x, x.new_full((x.shape[0],), sigma), **self.extra_args)

    def under(self, guidance: Guidance, cfg: float = 1.0) -> Denoise:
        """A BranchGuider's clean prediction under other guidance than its own; what is patched on the MODEL acts."""
        guider = copy.copy(self.guider)
        guider.guidance = guidance
        guider.set_cfg(cfg)
        return replace(self, guider=guider).denoise

    @property
    def state_dtype(self) -> torch.dtype:
        """Of the solver's state, whatever the network's own."""
        return finest_dtype(self.x0.device)


Result = TypeVar("Result")


class _BodySampler(comfy.samplers.Sampler):
    """A SAMPLER that runs one function of the core and holds what it returned. Belongs to one run."""

    def __init__(self, body: Callable[[Session], Result]):
        self.body, self.result = body, None

    def sample(
        self, model_wrap, sigmas, extra_args, callback, noise, latent_image=None, denoise_mask=None, disable_pbar=False
    ):
        x0 = torch.zeros_like(noise) if latent_image is None else latent_image
        interpolant = interpolant_of(model_wrap.inner_model.model_sampling)
        options = {"model_options": extra_args["model_options"], "seed": extra_args.get("seed")}
        self.result = self.body(Session(model_wrap, interpolant, x0, noise, sigmas, options))
        return x0  # what ComfyUI makes of a sampler's answer is not needed


def run_in_guider(
    guider, latent: Mapping, noise: Tensor | None, sigmas: Tensor, body: Callable[[Session], Result], seed: int = 0
) -> Result:
    """Run `body` where the guider's model is loaded and its conditions are encoded; returns what it returns.

    latent: ComfyUI's LATENT; noise: model space, None for zeros. Latents that the body returns are in model space, see
    `as_samples`.
    """
    x0 = fitting_samples(latent, guider.model_patcher)
    if "noise_mask" in latent:
        raise UserError("The latent carries a noise mask, which inversion cannot keep; remove Set Latent Noise Mask.")
    noise = torch.zeros_like(x0) if noise is None else noise
    sampler = _BodySampler(body)
    guider.sample(noise, x0, sampler, sigmas, disable_pbar=True, seed=seed)
    return sampler.result


def as_samples(x0: Tensor, model) -> Tensor:
    """A latent in the MODEL's own space as ComfyUI's samples, where ComfyUI keeps them between nodes."""
    samples = model.model.process_latent_out(x0.to(torch.float32))
    return samples.to(comfy.model_management.intermediate_device())


def fitting_samples(latent: Mapping, model) -> Tensor:
    """The latent's tensor, with a sentence for what ComfyUI would only fail on deep inside the network."""
    samples = latent["samples"]
    if getattr(samples, "is_nested", False):
        raise UserError("A latent of several parts (video with audio) came; give the video's latent alone.")
    form = model.model.latent_format
    dimensions = getattr(form, "latent_dimensions", 2) + 2
    if samples.ndim != dimensions:
        raise UserError(
            f"A latent of shape {tuple(samples.shape)} came, but this model needs {dimensions} dimensions; "
            "encode the frames with the model's own VAE."
        )
    if samples.shape[1] != form.latent_channels:
        raise UserError(
            f"A latent with {samples.shape[1]} channels came, but this model needs {form.latent_channels}; "
            "encode the frames with the model's own VAE."
        )
    return samples


def step_callback(model, steps: int) -> Callable[[int, int, Tensor], None]:
    """Progress bar and latent preview, in the form the core calls back: (step, total, x0)."""
    native = latent_preview.prepare_callback(model, steps)

    def callback(step: int, total: int, x0: Tensor) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        native(step, x0, x0, total)

    return callback


def models_at_work() -> list:
    """The MODELs that are loaded and in use; older ComfyUI lists those that are gone too."""
    return [model for model in comfy.model_management.loaded_models(only_currently_used=True) if model is not None]


@contextmanager
def sampling_models_kept() -> Iterator[None]:
    """While a map is encoded: loading the VAE may push out the models that are sampling, so they are loaded again."""
    loaded = models_at_work()
    yield
    comfy.model_management.load_models_gpu(loaded)
