"""Looks once at start whether ComfyUI still has what the nodes rely on: names, signatures, and what sigma means."""

from __future__ import annotations

import importlib
import inspect
import logging

# What is called, with how many arguments by position and which by name ("self" counts).
CALLED = (
    ("comfy.samplers.calc_cond_batch", 5, ()),
    ("comfy.samplers.process_conds", 5, ()),
    ("comfy.samplers.Sampler.max_denoise", 3, ()),
    ("comfy.samplers.CFGGuider.__init__", 2, ()),
    ("comfy.samplers.CFGGuider.set_cfg", 2, ()),
    ("comfy.samplers.CFGGuider.inner_set_conds", 2, ()),
    ("comfy.samplers.CFGGuider.sample", 5, ("disable_pbar", "seed")),
    ("comfy.sample.prepare_noise", 2, ()),
    ("latent_preview.prepare_callback", 2, ()),
    ("comfy.model_sampling.EPS.noise_scaling", 5, ()),
    ("comfy.model_sampling.CONST.noise_scaling", 5, ()),
    ("comfy.model_management.throw_exception_if_processing_interrupted", 0, ()),
    ("comfy.model_management.intermediate_device", 0, ()),
    ("comfy.model_management.load_models_gpu", 1, ()),
    ("comfy.model_patcher.ModelPatcher.__init__", 2, ("load_device", "offload_device")),
    ("comfy.model_patcher.ModelPatcher.get_model_object", 2, ()),
    ("comfy.patcher_extension.WrapperExecutor.new_class_executor", 3, ()),
    ("comfy.controlnet.ControlBase.control_merge", 3, ("output_dtype",)),
    ("comfy.controlnet.ControlBase.set_cond_hint", 4, ()),
    ("comfy.controlnet.ControlBase.pre_run", 3, ()),
    ("comfy.controlnet.ControlBase.cleanup", 1, ()),
    ("comfy.model_base.BaseModel.extra_conds", 1, ("noise", "device")),
    ("comfy.supported_models_base.BASE.set_inference_dtype", 3, ()),
)
# What is overridden: every argument the core could pass there must be one that the nodes take.
OVERRIDDEN = (
    ("comfy.samplers.CFGGuider.predict_noise", {"self", "x", "timestep", "model_options", "seed"}),
    (
        "comfy.samplers.KSAMPLER.sample",  # the core calls every sampler in the same way
        {
            "self",
            "model_wrap",
            "sigmas",
            "extra_args",
            "callback",
            "noise",
            "latent_image",
            "denoise_mask",
            "disable_pbar",
        },
    ),
)


def check_core() -> list[str]:
    """One phrase per thing of ComfyUI that is gone or changed; empty when all is well. Takes a few milliseconds."""
    problems = []
    for name, positional, named in CALLED:
        target = _find(name)
        if target is None:
            problems.append(f"{name} is gone")
        elif not _takes(target, positional, named):
            problems.append(f"{name} takes other arguments")
    for name, known in OVERRIDDEN:
        target = _find(name)
        if target is None:
            problems.append(f"{name} is gone")
        elif not set(inspect.signature(target).parameters) <= known:
            problems.append(f"{name} takes other arguments")
    return problems or _check_sigmas()


def log_problems() -> None:
    """Says in one line of the log what check_core found, and nothing when it found nothing."""
    try:
        problems = check_core()
    except Exception as cause:  # a self-test must never be the reason why the pack does not load
        problems = [f"the check itself failed with {type(cause).__name__}: {cause}"]
    if problems:
        logging.getLogger(__name__).error(
            "Video Realism: this version of ComfyUI changed what the pack relies on (%s). Update the pack; until then "
            "its sampling nodes may fail.",
            "; ".join(problems),
        )


def _find(name: str):
    """The object behind a dotted name: modules as far as they import, attributes from there; None if it is gone."""
    parts = name.split(".")
    for count in range(len(parts) - 1, 0, -1):
        try:
            target = importlib.import_module(".".join(parts[:count]))
        except ImportError:
            continue
        for part in parts[count:]:
            target = getattr(target, part, None)
        return target
    return None


def _takes(function, positional: int, named: tuple[str, ...]) -> bool:
    try:
        inspect.signature(function).bind(*[None] * positional, **dict.fromkeys(named))
    except TypeError:
        return False
    return True


def _check_sigmas() -> list[str]:
    """x = x0 + sigma n for EPS models and (1 - sigma) x0 + sigma n for flow models, asked at sigma = 1/4."""
    import torch

    samplings = importlib.import_module("comfy.model_sampling")
    wanted = {
        "EPS": (samplings.ModelSamplingDiscrete, 1.0),
        "CONST": (samplings.ModelSamplingDiscreteFlow, 0.75),
    }
    problems = []
    for name, (schedule, clean) in wanted.items():
        sampling = type("Sampling", (schedule, getattr(samplings, name)), {})()
        one, sigma = torch.ones(1, 1, 1, 1), torch.tensor([0.25])
        weights = [
            float(sampling.noise_scaling(sigma, noise.clone(), latent.clone(), False))
            for noise, latent in ((one, 0 * one), (0 * one, one))
        ]
        if max(abs(weights[0] - 0.25), abs(weights[1] - clean)) > 1e-4:
            problems.append(f"comfy.model_sampling.{name} mixes latent and noise by another rule")
    return problems
