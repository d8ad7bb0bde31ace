"""The diffusion passes of one latent: which levels they step through, the noise found, then sampled from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..devices import finest_dtype
from ..diffusion import (
    FLOW,
    VE,
    Callback,
    ConflictDamping,
    Interpolant,
    Interval,
    Only,
    Predict,
    edited,
    flow_from_ve,
    guided,
    held,
    karras_sigmas,
    sample,
    truncate,
)
from ..diffusion.sigmas import as_grid
from ..longvideo import Finished, HandOver
from ..longvideo.handover import handed_start, last_corrected, with_handover
from .settings import EnhanceSettings
from .starts import INVERSION_FREE, make_start, start_guidance, with_simdrop

if TYPE_CHECKING:
    from ..models.folders.preset import Preset

# VE sigma down to which signs are held. Below it a network changes no sign's colour any more
# (benchmarks/sign_stages.py), and what it paints there is the style.
HELD_FROM = 1.0


def job_interpolant(preset: Preset) -> Interpolant:
    """What the preset's sampler steps."""
    return {"ve": VE, "flow": FLOW}[preset.interpolant]


def job_sigmas(settings: EnhanceSettings, preset: Preset, interpolant: Interpolant) -> Tensor:
    """The Karras grid of the preset from the settings' strength down, in the interpolant's own scale."""
    # Truncated in VE units first, so that both kinds of sampler step through the same levels.
    grid = karras_sigmas(settings.steps, preset.sigma_min, preset.sigma_max, preset.rho, torch.float32)
    sigmas = truncate(grid, settings.strength)
    return flow_from_ve(sigmas) if interpolant == FLOW else sigmas


def enhance_latent(
    predict: Predict,
    x0: Tensor,
    sigmas: Tensor,
    settings: EnhanceSettings,
    interpolant: Interpolant,
    seed: int,
    step_done: Callback,
) -> tuple[Tensor, dict]:
    """From the source's latent x0 to the enhanced one, by the chosen start. Returns it and the report entries.

    predict: answers the branches inversion, positive and negative, and with simdrop "reference". sigmas: descending, of
    both passes. Of the settings, start, cfg, cfg_range, guidance_reach, simdrop and what goes with it, method,
    inversion_steps, noise_blend, solver and the calibration's are read. seed: of the fresh noise.
    """
    finished = enhance_handed(predict, x0, sigmas, settings, interpolant, seed, step_done)
    return finished.latent, finished.entry


def enhance_handed(
    predict: Predict,
    x0: Tensor,
    sigmas: Tensor,
    settings: EnhanceSettings,
    interpolant: Interpolant,
    seed: int,
    step_done: Callback,
    handover: HandOver | None = None,
    places: Tensor | None = None,
) -> Finished:
    """`enhance_latent` for a window that goes on from the one before; handover: what it gets from it.

    places: latent cells that settings.hold_signs holds to the source, see diffusion/hold.py; None: none.
    """
    guidance = start_guidance(settings)
    if settings.guidance_reach is not None:
        guidance = ConflictDamping(guidance, reach=settings.guidance_reach)
    if settings.cfg_range is not None:
        guidance = Interval(guidance, *map(interpolant.from_ve_sigma, settings.cfg_range))
    guidance = with_simdrop(guidance, settings, interpolant)
    denoise = guided(predict, guidance)
    state = {"state_dtype": finest_dtype(x0.device), "callback": step_done}
    start = make_start(predict, denoise, x0, sigmas, settings, interpolant, seed, state)
    noise, solver = start.noise, start.solver
    if handover is not None:
        noise, solver = handed_start(noise, solver, handover)
    if settings.start in INVERSION_FREE:
        describe = guided(predict, Only("inversion"))
        denoise = edited(denoise, describe, x0, noise, interpolant, INVERSION_FREE[settings.start])
    if places is not None:
        denoise = held(denoise, x0, places.to(x0), settings.hold_signs, interpolant.from_ve_sigma(HELD_FROM))
    if handover is not None:
        denoise = with_handover(denoise, handover, last_corrected(sigmas, settings.handover_share))
    latent = sample(denoise, noise, sigmas, interpolant, x0=start.x0, solver=solver, **state)
    if settings.start in INVERSION_FREE:
        # The walk ends with the last sigma's noise on the edit; here, unlike anywhere else, it is known.
        latent = latent - interpolant.ve_sigma(as_grid(sigmas, interpolant)[-1]) * noise.to(latent)
    return Finished(latent, noise, start.entry)
