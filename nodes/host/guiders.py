"""GUIDERs over named branches and one of the core's guidance objects."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import comfy.samplers
import torch
from torch import Tensor

from ...pipeline_core.diffusion import CFG, Interval, Only
from ...pipeline_core.diffusion.guidance import Guidance, guided
from ...pipeline_core.errors import UserError
from .experts import ASK, own_experts, run_options
from .first_blocks import FirstBlocks
from .folder.model import VideoDiT
from .holding import Holding
from .run_cache import HANDLER, WINDOWS, run_cache
from .schedules import percent_sigmas

CFG_FUNCTION = "sampler_cfg_function"  # of model_options
COMPILED = "torch_compile_kwargs"  # of model_options: that ComfyUI compiles the network
NEGATIVES = ("negative", "uncond")  # branches that a model may encode as negative prompts


class BranchGuider(comfy.samplers.CFGGuider):
    """GUIDER over named branches and one of the core's guidance objects; all branches of a step in one batch.

    branches: name -> CONDITIONING. The batch stays one forward if the branches share their ControlNet objects.
    cache: threshold of the first-block cache of every run, 0 is off; only models of Load Video Model have one. An
    inversion has to be retraced, so calls for the branch "inversion" alone are never cached.
    """

    def __init__(self, model, branches: Mapping[str, list], guidance: Guidance, cfg: float = 1.0, cache: float = 0.0):
        if cache and not isinstance(model.model.diffusion_model, VideoDiT):
            raise UserError(
                f"cache is {cache:g}, but this model ({type(model.model).__name__}) is ComfyUI's own: set cache to 0 "
                "and put EasyCache before this node, or take a model of Load Video Model."
            )
        if cache and COMPILED in model.model_options:
            raise UserError(
                f"cache is {cache:g}, but the model is compiled, and what is skipped is decided from step to step: set "
                "cache to 0 or leave TorchCompileModel out."
            )
        super().__init__(model)
        self.cache, self.first_blocks = cache, None
        self.guidance = guidance
        self.set_cfg(cfg)  # ComfyUI logs it and hands it to patches
        for name, conditioning in branches.items():
            check_conditioning(name, conditioning)
        missing = [name for name in guidance.branches() if name not in branches]
        if missing:
            raise UserError(f"This guidance needs the {missing[0]!r} conditioning; connect it.")
        if CFG_FUNCTION in model.model_options and not isinstance(guidance, (CFG, Only)):
            logging.getLogger(__name__).warning(
                "A patch on the model replaces CFG (as RescaleCFG does) and has no effect here: this guidance is not "
                "plain CFG from start to end."
            )
        self.inner_set_conds({name: _marked(conditioning, name) for name, conditioning in branches.items()})

    def inner_sample(self, *args, **kwargs):
        self.first_blocks = FirstBlocks(self.cache) if self.cache else None
        try:
            return super().inner_sample(*args, **kwargs)
        finally:
            if self.first_blocks is not None:
                logging.getLogger(__name__).info(self.first_blocks.sentence())
            self.first_blocks = None

    def predict(self, x: Tensor, timestep: Tensor, names: Sequence[str], model_options: dict) -> list[Tensor]:
        """Clean predictions [x0 per name] of the state x, by one calc_cond_batch."""
        if self.first_blocks is not None and list(names) != ["inversion"]:
            model_options = self.first_blocks.added(model_options)
        return _asked(self.inner_model, [self.conds[name] for name in names], x, timestep, model_options)

    def predict_noise(self, x, timestep, model_options={}, seed=None):  # noqa: B006 (ComfyUI's own signature)
        answers: dict[str, Tensor] = {}

        def predict(state: Tensor, _: float, names: Sequence[str]) -> list[Tensor]:
            answers.update(zip(names, self.predict(state, timestep, names, model_options)))
            answers.update(self._before_cfg(answers, state, timestep, model_options))
            return [answers[name] for name in names]

        denoised = guided(predict, self.guidance)(x, float(timestep.flatten()[0]))
        return self._after_cfg(denoised, answers, x, timestep, model_options)

    def _seen_by_patches(self, answers, x, timestep, model_options) -> dict:
        """Arguments of every patch around CFG. They know two branches; an inversion's one stands for the positive."""
        main = "positive" if "positive" in answers else next(iter(answers))
        without = torch.zeros_like(answers[main])  # ComfyUI's own answer where there is no negative prompt
        args = {"cond_denoised": answers[main], "uncond_denoised": answers.get("negative", without), "input": x}
        conds = {"cond": self.conds[main], "uncond": self.conds["negative"] if "negative" in answers else None}
        args |= {**conds, "cond_scale": self.cfg, "timestep": timestep, "sigma": timestep}
        return {**args, "model": self.inner_model, "model_options": model_options}

    def _before_cfg(self, answers, x, timestep, model_options) -> dict[str, Tensor]:
        """What patches put in the place of the answers to positive and negative, where there are both."""
        if not {"positive", "negative"} <= answers.keys():
            return {}
        for patch in model_options.get("sampler_pre_cfg_function", []):
            args = self._seen_by_patches(answers, x, timestep, model_options)
            args |= {"conds": [args["cond"], args["uncond"]]}
            outs = patch({**args, "conds_out": [args["cond_denoised"], args["uncond_denoised"]]})
            answers = {**answers, "positive": outs[0], "negative": outs[1]}
        return answers

    def _after_cfg(self, denoised, answers, x, timestep, model_options) -> Tensor:
        """What patches on the MODEL make of plain CFG, and of its result or that of any other guidance."""
        args = self._seen_by_patches(answers, x, timestep, model_options)
        patch = model_options.get(CFG_FUNCTION)
        if patch is not None and isinstance(self.guidance, CFG) and {"positive", "negative"} <= answers.keys():
            pair = {"cond": x - args["cond_denoised"], "uncond": x - args["uncond_denoised"]}
            denoised = x - patch({**args, **pair, "input_cond": args["cond"], "input_uncond": args["uncond"]})
        for patch in model_options.get("sampler_post_cfg_function", []):
            if isinstance(patch, Holding) and list(answers) == ["inversion"]:
                continue  # an inversion walks by the source's own prediction
            denoised = patch({**args, "denoised": denoised})
        return denoised


class ReferenceGuider(BranchGuider):
    """A BranchGuider whose branch "reference" is answered by a second MODEL of the same latents (SimDrop)."""

    def __init__(self, model, branches, guidance: Guidance, cfg: float, reference_model, reference: list):
        shapes = [m.model.latent_format.latent_channels for m in (model, reference_model)]
        if shapes[0] != shapes[1]:
            raise UserError(
                f"reference_model has {shapes[1]} latent channels and model {shapes[0]}; they need the same VAE."
            )
        if model.is_clone(reference_model) and model.patches_uuid != reference_model.patches_uuid:
            raise UserError(
                "reference_model is the model itself with another LoRA or patch on its weights, which both share: "
                "choose the LoRA in reference_lora."
            )
        model = model.clone()
        # Loaded and kept in memory beside the model, for as long as it samples.
        model.set_additional_models("video_realism_reference", [reference_model])
        super().__init__(model, {**branches, "reference": reference}, guidance, cfg)
        self.reference_model = reference_model

    def outer_sample(self, *args, **kwargs):
        self.reference_experts = own_experts(self.reference_model)
        self.reference_model.pre_run()
        try:
            with self.reference_experts.at_work(self.reference_model) if self.reference_experts else nullcontext():
                return super().outer_sample(*args, **kwargs)
        finally:
            self.reference_model.cleanup()

    def inner_sample(self, noise, latent_image, device, sampler, sigmas, *args, **kwargs):
        # Text and control are encoded by the model that will read them.
        own = {"reference": [entry.copy() for entry in self.conds.pop("reference")]}
        inner = self.reference_model.model
        self.reference_conds = comfy.samplers.process_conds(inner, noise, own, device, latent_image)["reference"]
        self.reference_options = self._options_of_reference(sigmas)
        return super().inner_sample(noise, latent_image, device, sampler, sigmas, *args, **kwargs)

    def _options_of_reference(self, sigmas: Tensor) -> dict:
        """The reference model's own, once for the whole run as ComfyUI does it; windows are those of the model."""
        options = run_options(self.reference_model)
        options["transformer_options"]["sample_sigmas"] = sigmas
        options |= {HANDLER: self.model_options[HANDLER]} if HANDLER in self.model_options else {}
        options |= {ASK: self.reference_experts} if self.reference_experts else {}
        return options

    def predict(self, x: Tensor, timestep: Tensor, names: Sequence[str], model_options: dict) -> list[Tensor]:
        own = [name for name in names if name != "reference"]
        answers = dict(zip(own, super().predict(x, timestep, own, model_options) if own else []))
        if "reference" in names:
            # What windows prepared for one model serves the other: their maps and the source's flow are the same.
            options = {**self.reference_options, WINDOWS: run_cache(model_options)}
            answers["reference"] = _asked(self.reference_model.model, [self.reference_conds], x, timestep, options)[0]
        return [answers[name] for name in names]


def _asked(model, conds: list, x: Tensor, timestep: Tensor, model_options: dict) -> list[Tensor]:
    """[x0 per condition] by calc_cond_batch, or by what a patch has put in its place."""
    if ASK in model_options:
        args = {"conds": conds, "input": x, "sigma": timestep, "model": model, "model_options": model_options}
        return model_options[ASK](args)
    return comfy.samplers.calc_cond_batch(model, conds, x, timestep, model_options)


def check_conditioning(name: str, conditioning) -> None:
    """One sentence when a CONDITIONING input holds nothing to condition on."""
    if not conditioning or any(entry[0] is None for entry in conditioning):
        raise UserError(f"The {name} conditioning holds no text; connect a CLIP Text Encode (empty text is fine).")


def _marked(conditioning: list, name: str) -> list:
    kind = "negative" if name in NEGATIVES else "positive"
    return [[entry[0], {**entry[1], "prompt_type": kind}] for entry in conditioning]


def within(model, guidance: Guidance, start_percent: float, end_percent: float) -> Guidance:
    """The guidance between two shares of the sampling; the positive prompt alone outside."""
    if (start_percent, end_percent) == (0.0, 1.0):
        return guidance
    high, low = percent_sigmas(model, start_percent, end_percent)
    return Interval(guidance, low, high)
