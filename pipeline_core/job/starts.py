"""What a sampling pass starts from: the clip's own noise (inverted or calibrated), the clip under noise, or noise."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..diffusion import (
    CFG,
    Interpolant,
    Interval,
    Only,
    Predict,
    SimDrop,
    VideoText,
    blend_noise,
    calibrate_noise,
    guided,
    invert,
)
from ..diffusion.guidance import Guidance
from ..diffusion.inversion.retrace import Retrace
from ..diffusion.run import Denoise
from ..models.networks.video_model import UNCOND
from .settings import EnhanceSettings

# Starts that are edited without inversion, and how far each pulls its result back (FlowAlign: zeta .01 at 33 steps).
INVERSION_FREE = {"flowedit": 0.0, "flowalign": 0.33}


class Start(NamedTuple):
    """The noise, the latent under it (None for none), the solver that goes with it, what to report of it."""

    noise: Tensor
    x0: Tensor | None
    solver: str | Retrace
    entry: dict


def start_guidance(settings: EnhanceSettings) -> Guidance:
    """Guidance at settings.cfg, away from the negative prompt; FlowAlign's is away from the source's own. With a
    settings.video_scale InsV2V's: the clip alone, with the negative prompt, is between its terms."""
    if settings.video_scale is not None:
        return VideoText(settings.video_scale, settings.cfg, UNCOND, video="negative", video_text="positive")
    return CFG(settings.cfg, negative="inversion" if settings.start == "flowalign" else "negative")


def with_simdrop(guidance: Guidance, settings: EnhanceSettings, interpolant: Interpolant) -> Guidance:
    """The guidance with SimDrop's push between the levels of settings.simdrop_range; as it is where simdrop is 0."""
    if settings.simdrop == 0:
        return guidance
    pushed = SimDrop(guidance, settings.simdrop, rescale=settings.simdrop_rescale, low=settings.simdrop_low)
    if settings.simdrop_range is None:
        return pushed
    return Interval(pushed, *map(interpolant.from_ve_sigma, settings.simdrop_range), outside=guidance)


def make_start(
    predict: Predict,
    denoise: Denoise,
    x0: Tensor,
    sigmas: Tensor,
    settings: EnhanceSettings,
    interpolant: Interpolant,
    seed: int,
    state: dict,
) -> Start:
    """The start that settings.start names, for the source's latent x0.

    predict: answers the branch "inversion"; denoise: the guided prediction; state: state_dtype and callback of the
    passes.
    """
    describe = guided(predict, Only("inversion"))
    fresh = torch.randn(x0.shape, generator=torch.Generator().manual_seed(seed)).to(x0)
    if settings.start == "inversion":
        levels = inversion_levels(sigmas, settings.inversion_steps)
        inversion = invert(describe, x0, levels, interpolant, settings.method, **state)
        noise = blend_noise(inversion.noise, fresh, settings.noise_blend)
        # The retracing solver walks the levels of its inversion and no others.
        solver = inversion.solver if len(levels) == len(sigmas) else settings.solver
        return Start(noise, x0, solver, {"inversion": inversion.report.to_dict()})
    if settings.start == "noise":
        return Start(fresh, None, settings.solver, {})
    if settings.start in ("sdedit", *INVERSION_FREE):
        return Start(fresh, x0, settings.solver, {})
    calibration = calibrate_noise(
        describe if settings.calibration_prompt == "inversion" else denoise,
        x0,
        fresh,
        float(sigmas[0]),
        interpolant,
        rounds=settings.calibration_rounds,
        nu=settings.calibration_nu,
        state_dtype=state["state_dtype"],
    )
    return Start(calibration.noise, x0, settings.solver, {"calibration": calibration.report.to_dict()})


def inversion_levels(sigmas: Tensor, steps: int | None) -> Tensor:
    """The levels an inversion of `steps` steps visits: evenly spread over those of the sampling, both ends included."""
    if steps is None or steps >= len(sigmas) - 1:
        return sigmas
    return sigmas[torch.linspace(0, len(sigmas) - 1, steps + 1).round().long()]
