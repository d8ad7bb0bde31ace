"""The one file that touches ComfyUI's sampling internals: MODEL and CONDITIONING become the core's `predict`.

ComfyUI loads models, moves them and encodes conditions only inside a guider's `sample`. So everything that needs the
network runs there: `run_in_guider` hands a function of the core ("body") to a guider as if it were a sampler.
Latents inside are in model space, as the core wants them; outside they are ComfyUI's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import comfy.model_management
import comfy.sample
import comfy.sampler_helpers
import comfy.samplers
import comfy.utils
import latent_preview
import torch
from torch import Tensor

from ..pipeline_core.diffusion import FLOW, VE, Interpolant, end_above_zero, sample
from ..pipeline_core.diffusion.guidance import Guidance, guided
from ..pipeline_core.diffusion.inversion.retrace import Retrace
from ..pipeline_core.diffusion.run import finest_state_dtype
from ..pipeline_core.errors import UserError

PREVIEW_SIZE = 512  # pixels, the longer side of a picture beside a progress bar
NEGATIVES = ("negative", "uncond")  # branches that a model may encode as negative prompts


# -- what a model's sigmas mean -------------------------------------------------------------------------------------


def interpolant_of(model_sampling) -> Interpolant:
    """VE or FLOW, asked of the model's own noise_scaling: a(sigma) = 1 or 1 - sigma. UserError for anything else."""
    one = torch.ones(1, 1, 1, 1)
    found = [float(_mix(model_sampling, sigma, 0 * one, one)) for sigma in (0.25, 0.5)]
    for interpolant in (VE, FLOW):
        if all(abs(a - interpolant.a(sigma)) < 1e-4 for a, sigma in zip(found, (0.25, 0.5))):
            return interpolant
    raise UserError(
        f"This model's noise schedule ({type(model_sampling).__name__}) is neither x0 + sigma n nor "
        "(1 - sigma) x0 + sigma n; connect another model."
    )


def _mix(model_sampling, sigma: float, noise: Tensor, latent: Tensor, max_denoise: bool = False) -> Tensor:
    # Some noise_scaling implementations add into their argument.
    return model_sampling.noise_scaling(torch.tensor([sigma]).to(noise), noise.clone(), latent.clone(), max_denoise)


def _noise_weight(guider, sigmas: Tensor, like: Tensor) -> float:
    """What ComfyUI multiplies noise with at sigmas[0]: sigma, or sqrt(1 + sigma^2) at the top of an EPS schedule."""
    model_sampling = guider.inner_model.model_sampling
    top = comfy.samplers.Sampler().max_denoise(guider, sigmas)
    one = like.new_ones([1] * like.ndim)
    return float(_mix(model_sampling, float(sigmas[0]), one, 0 * one, top))


# -- guiders --------------------------------------------------------------------------------------------------------


class BranchGuider(comfy.samplers.CFGGuider):
    """GUIDER over named branches and one of the core's guidance objects; all branches of a step in one batch.

    branches: name -> CONDITIONING. The batch stays one forward if the branches share their ControlNet objects.
    """

    def __init__(self, model, branches: Mapping[str, list], guidance: Guidance, cfg: float = 1.0):
        super().__init__(model)
        self.guidance = guidance
        self.set_cfg(cfg)  # ComfyUI logs it and hands it to patches
        for name, conditioning in branches.items():
            check_conditioning(name, conditioning)
        missing = [name for name in guidance.branches() if name not in branches]
        if missing:
            raise UserError(f"This guidance needs the {missing[0]!r} conditioning; connect it.")
        self.inner_set_conds({name: _marked(conditioning, name) for name, conditioning in branches.items()})

    def predict(self, x: Tensor, timestep: Tensor, names: Sequence[str], model_options: dict) -> list[Tensor]:
        """Clean predictions [x0 per name] of the state x, by one calc_cond_batch."""
        conds = [self.conds[name] for name in names]
        if "sampler_calc_cond_batch_function" in model_options:
            args = {"conds": conds, "input": x, "sigma": timestep, "model": self.inner_model}
            return model_options["sampler_calc_cond_batch_function"]({**args, "model_options": model_options})
        return comfy.samplers.calc_cond_batch(self.inner_model, conds, x, timestep, model_options)

    def predict_noise(self, x, timestep, model_options={}, seed=None):  # noqa: B006 (ComfyUI's own signature)
        answers: dict[str, Tensor] = {}

        def predict(state: Tensor, _: float, names: Sequence[str]) -> list[Tensor]:
            answers.update(zip(names, self.predict(state, timestep, names, model_options)))
            return [answers[name] for name in names]

        denoised = guided(predict, self.guidance)(x, float(timestep.flatten()[0]))
        return self._patched(denoised, answers, x, timestep, model_options)

    def _patched(self, denoised, answers, x, timestep, model_options):
        """What patches on the MODEL do after CFG; they know a positive and a negative prediction."""
        for patch in model_options.get("sampler_post_cfg_function", []):
            positive, negative = answers.get("positive", denoised), answers.get("negative")
            args = {"denoised": denoised, "cond_denoised": positive, "uncond_denoised": negative, "input": x}
            args |= {"cond": self.conds.get("positive"), "uncond": self.conds.get("negative"), "cond_scale": self.cfg}
            denoised = patch({**args, "model": self.inner_model, "sigma": timestep, "model_options": model_options})
        return denoised


class ReferenceGuider(BranchGuider):
    """A BranchGuider whose branch "reference" is answered by a second MODEL of the same latents (SimDrop)."""

    def __init__(self, model, branches, guidance: Guidance, cfg: float, reference_model, reference: list):
        shapes = [m.model.latent_format.latent_channels for m in (model, reference_model)]
        if shapes[0] != shapes[1]:
            raise UserError(
                f"reference_model has {shapes[1]} latent channels and model {shapes[0]}; they need the same VAE."
            )
        model = model.clone()
        # Loaded and kept in memory beside the model, for as long as it samples.
        model.set_additional_models("video_realism_reference", [reference_model])
        super().__init__(model, {**branches, "reference": reference}, guidance, cfg)
        self.reference_model = reference_model

    def outer_sample(self, *args, **kwargs):
        self.reference_model.pre_run()
        try:
            return super().outer_sample(*args, **kwargs)
        finally:
            self.reference_model.cleanup()

    def inner_sample(self, noise, latent_image, device, *args, **kwargs):
        # Text and control are encoded by the model that will read them.
        own = {"reference": [entry.copy() for entry in self.conds.pop("reference")]}
        inner = self.reference_model.model
        self.reference_conds = comfy.samplers.process_conds(inner, noise, own, device, latent_image)["reference"]
        return super().inner_sample(noise, latent_image, device, *args, **kwargs)

    def predict(self, x: Tensor, timestep: Tensor, names: Sequence[str], model_options: dict) -> list[Tensor]:
        own = [name for name in names if name != "reference"]
        answers = dict(zip(own, super().predict(x, timestep, own, model_options) if own else []))
        if "reference" in names:
            inner, options = self.reference_model.model, self.reference_model.model_options
            options = {**options, "transformer_options": dict(options.get("transformer_options", {}))}
            options |= {key: model_options[key] for key in ("context_handler",) if key in model_options}
            found = comfy.samplers.calc_cond_batch(inner, [self.reference_conds], x, timestep, options)
            answers["reference"] = found[0]
        return [answers[name] for name in names]


def check_conditioning(name: str, conditioning) -> None:
    """One sentence when a CONDITIONING input holds nothing to condition on."""
    if not conditioning or any(entry[0] is None for entry in conditioning):
        raise UserError(f"The {name} conditioning holds no text; connect a CLIP Text Encode (empty text is fine).")


def _marked(conditioning: list, name: str) -> list:
    kind = "negative" if name in NEGATIVES else "positive"
    return [[entry[0], {**entry[1], "prompt_type": kind}] for entry in conditioning]


# -- running the core inside a guider -------------------------------------------------------------------------------


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
        return finest_state_dtype(self.x0.device)


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


# -- noise and the sampler that retraces it -------------------------------------------------------------------------


class StructuredNoise:
    """NOISE whose value is known: an inversion's or a calibration's, in model space.

    noise: shaped like the latent, what x = a x0 + sigma n means by n. weight: what ComfyUI will multiply it with,
    over sigma, at the sigmas it was made for (see _noise_weight); 1 except at the top of an EPS schedule.
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
        weight = _noise_weight(model_wrap, sigmas, noise) / float(sigmas[0])
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
    return _noise_weight(session.guider, session.sigmas, session.x0) / float(session.sigmas[0])


def random_noise(latent: Mapping, seed: int) -> Tensor:
    """ComfyUI's own noise for a seed, on the CPU."""
    return comfy.sample.prepare_noise(latent["samples"], seed)


# -- jobs that bring their own networks -----------------------------------------------------------------------------


def progress_bar() -> Callable[..., None]:
    """progress(done, total, picture=None): moves the node's bar, shows a PIL picture; raises ComfyUI's own exception
    when the user cancels."""
    bar = None

    def progress(done: int, total: int, picture=None) -> None:
        nonlocal bar
        comfy.model_management.throw_exception_if_processing_interrupted()
        bar = bar or comfy.utils.ProgressBar(total)
        bar.update_absolute(done, total, picture and ("JPEG", picture, PREVIEW_SIZE))

    return progress


def compute_device() -> torch.device:
    """Where ComfyUI computes."""
    return comfy.model_management.get_torch_device()


def make_room() -> None:
    """Unload ComfyUI's models from a GPU, for networks that are not in its books."""
    if compute_device().type != "cpu":
        comfy.model_management.unload_all_models()


def announce(node_id: str, text: str) -> None:
    """Show a text in the node at once, before it has run; web/js/report.js draws it where reports go."""
    from server import PromptServer  # there is one only where ComfyUI serves

    PromptServer.instance.send_sync("video_realism.report", {"node": str(node_id), "text": text})


@contextmanager
def sampling_models_kept() -> Iterator[None]:
    """While a map is encoded: loading the VAE may push out the models that are sampling, so they are loaded again."""
    loaded = comfy.model_management.loaded_models(only_currently_used=True)
    yield
    comfy.model_management.load_models_gpu(loaded)
