"""The core at work inside a guider: MODEL and CONDITIONING become the core's `predict`.

ComfyUI loads models, moves them and encodes conditions only inside a guider's `sample`. So everything that needs the
network runs there: `run_in_guider` hands a function of the core ("body") to a guider as if it were a sampler.
Latents inside are in model space, as the core wants them; outside they are ComfyUI's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import comfy.model_management
import comfy.samplers
import latent_preview
import torch
from torch import Tensor

from ...pipeline_core.devices import finest_dtype
from ...pipeline_core.diffusion import Interpolant
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

    def predict(self, x: Tensor, sigma: float, names: Sequence[str]) -> list[Tensor]:
        """The answers of a BranchGuider's branches, for bodies that use several guidance objects."""
        comfy.model_management.throw_exception_if_processing_interrupted()
        timestep = x.new_full((x.shape[0],), sigma)
        return self.guider.predict(x, timestep, names, self.extra_args["model_options"])

    @property
    def state_dtype(self) -> torch.dtype:
        """Of the solver's state, whatever the network's own."""
        return finest_dtype(self.x0.device)


Body = Callable[[Session], Tensor]


class _BodySampler(comfy.samplers.Sampler):
    """A SAMPLER that runs one function of the core and keeps nothing."""

    def __init__(self, body: Body):
        self.body = body

    def sample(
        self, model_wrap, sigmas, extra_args, callback, noise, latent_image=None, denoise_mask=None, disable_pbar=False
    ):
        x0 = torch.zeros_like(noise) if latent_image is None else latent_image
        interpolant = interpolant_of(model_wrap.inner_model.model_sampling)
        options = {"model_options": extra_args["model_options"], "seed": extra_args.get("seed")}
        return self.body(Session(model_wrap, interpolant, x0, noise, sigmas, options))


def run_in_guider(guider, latent: Mapping, noise: Tensor | None, sigmas: Tensor, body: Body, seed: int = 0) -> Tensor:
    """Run `body` where the guider's model is loaded and its conditions are encoded; returns the body's latent.

    latent: ComfyUI's LATENT; noise: model space, None for zeros. The result is in ComfyUI's latent space.
    """
    x0 = fitting_samples(latent, guider.model_patcher)
    if "noise_mask" in latent:
        raise UserError("The latent carries a noise mask, which inversion cannot keep; remove Set Latent Noise Mask.")
    noise = torch.zeros_like(x0) if noise is None else noise
    result = guider.sample(noise, x0, _BodySampler(body), sigmas, disable_pbar=True, seed=seed)
    return result.to(comfy.model_management.intermediate_device())


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


@contextmanager
def sampling_models_kept() -> Iterator[None]:
    """While a map is encoded: loading the VAE may push out the models that are sampling, so they are loaded again."""
    loaded = comfy.model_management.loaded_models(only_currently_used=True)
    yield
    comfy.model_management.load_models_gpu(loaded)
