"""Long Video Sampling Correction (InsV2V, arXiv 2311.00213, section 3.4): a window starts where the last one ended.

The paper corrects epsilon on the R frames two windows share and adds the mean of that correction to the others:

    eps_ref = (z_t - sqrt(abar) z_ref) / sqrt(1 - abar);  delta = eps_ref - eps;  eps += delta | mean_R delta

Every state holds x = a D + sigma eps, so delta = a (D - z_ref) / sigma, and on the clean prediction the schedule
drops out:  D <- z_ref on the shared frames,  D <- D + mean_R (z_ref - D) on the others. Written on D it serves every
solver, guidance and interpolant. The motion-compensated form replaces the mean by the residual carried along the
source's optical flow (see motion.py), so that a correction stays on the thing it corrects.
"""

from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor

from ..diffusion.inversion.retrace import Retrace
from ..diffusion.run import Denoise
from ..errors import UserError
from .motion import carry_along, check_flow

CORRECTED_SHARE = 0.5  # of the steps, from the first: the paper's noise_correct_step


@dataclass(frozen=True, eq=False)
class HandOver:
    """What a window gets from the one before it, for the latent frames that both cover.

    z_ref: the earlier window's clean result there, (B, C, R, h, w). noise: what it started from there, same shape.
    at: index of the first shared latent frame in the later window; frames before it are its lead-in, which a causal
    video model treats as the start of a scene and whose result is dropped.
    """

    z_ref: Tensor
    noise: Tensor
    at: int

    @property
    def shared(self) -> slice:
        """The shared latent frames, as a slice of the later window's."""
        return slice(self.at, self.at + self.z_ref.shape[2])


def share_noise(noise: Tensor, given: HandOver) -> Tensor:
    """The later window's noise (B, C, T, h, w) with the earlier one's on the frames they share; a new tensor."""
    _check(noise, given, "noise")
    noise = noise.clone()
    noise[:, :, given.shared] = given.noise.to(noise)
    return noise


def corrected(x0: Tensor, given: HandOver, flow: Tensor | None = None, anchor: float = 0.0) -> Tensor:
    """D <- z_ref on the shared frames, D + the residual z_ref - D on the others; x0 (B, C, T, h, w), a new tensor.

    flow None adds the mean of the residual over the shared frames, the same picture everywhere. flow (T, R, h, w, 2),
    latent cells, from every frame of the window to each shared one, NaN where a point has no counterpart: the residual
    is fetched along it and averaged over the shared frames that see the point; 0 where fewer than half a frame do.
    anchor: how much of it is faded out by the window's end, see `fading`.
    """
    _check(x0, given, "the prediction")
    return _corrected(x0, given, flow, fading(x0.shape[2], given, anchor).to(x0))


def _corrected(x0: Tensor, given: HandOver, flow: Tensor | None, weight: Tensor) -> Tensor:
    """`corrected` with the weight (T,) of `fading` where x0 is."""
    z_ref = given.z_ref.to(x0)
    residual = z_ref - x0[:, :, given.shared]
    spread = residual.mean(2, keepdim=True) if flow is None else carry_along(residual, flow)
    result = x0 + weight.reshape(-1, 1, 1) * spread
    result[:, :, given.shared] = z_ref
    return result


def fading(frames: int, given: HandOver, anchor: float) -> Tensor:
    """Weight (frames,) of the correction: 1 up to the shared frames, then evenly down to 1 - anchor at the last frame.

    At anchor 1 the frames that the next window goes on from are the model's own answer to the source again: a colour
    that is a little off is not handed on and on, which is what makes long runs drift.
    """
    after = frames - given.shared.stop
    fall = torch.arange(1, after + 1, dtype=torch.float64) / max(1, after)
    return torch.cat([torch.ones(given.shared.stop, dtype=torch.float64), 1 - anchor * fall])


def with_handover(
    denoise: Denoise, given: HandOver, until: float, flow: Tensor | None = None, anchor: float = 0.0
) -> Denoise:
    """denoise(x, sigma) -> x0, `corrected` where sigma > until and as it is below. Wrap the guided denoiser.

    until: the level at which the correction ends, in the interpolant's own scale; see `last_corrected`. Raises
    UserError when z_ref or the flow do not fit the window.
    """
    if flow is not None:
        check_flow(flow, given.z_ref)

    @cache
    def weight(frames: int, device: torch.device, dtype: torch.dtype) -> Tensor:
        return fading(frames, given, anchor).to(device, dtype)  # brought over once, not at every step

    def handed(x: Tensor, sigma: float) -> Tensor:
        x0 = denoise(x, sigma)
        if sigma <= until:
            return x0
        _check(x0, given, "the prediction")
        return _corrected(x0, given, flow, weight(x0.shape[2], x0.device, x0.dtype))

    return handed


def handed_solver(
    solver: str | Retrace, given: HandOver, flow: Tensor | None = None, anchor: float = 0.0
) -> str | Retrace:
    """The solver to sample with: an exact inversion's second state is corrected as the predictions are.

    Retrace.carried is the clean latent of the first step back. Left as the inversion made it, it disagrees with every
    corrected prediction after it, and the two-state scheme, which damps little, swings between the two.
    """
    if not isinstance(solver, Retrace) or solver.carried is None:
        return solver
    return replace(solver, carried=corrected(solver.carried, given, flow, anchor))


def last_corrected(sigmas: Tensor, share: float = CORRECTED_SHARE) -> float:
    """The level below which nothing is corrected: the first `share` of the steps of `sigmas` lie above it."""
    if not 0 <= share <= 1:
        raise UserError(f"share is {share} but must be from 0 to 1: change share.")
    steps = len(sigmas) - 1 - int(sigmas[-1] == 0)
    return float(sigmas[round(share * steps)])


def _check(x: Tensor, given: HandOver, what: str) -> None:
    z_ref, end = given.z_ref, given.at + given.z_ref.shape[2]
    fits = x.shape[:2] == z_ref.shape[:2] and x.shape[3:] == z_ref.shape[3:] and 0 <= given.at and end <= x.shape[2]
    if not fits:
        raise UserError(
            f"A hand-over of {tuple(z_ref.shape)} at frame {given.at} came for {what} of shape {tuple(x.shape)}: give "
            "both windows the same size and plan."
        )
