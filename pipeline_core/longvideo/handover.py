"""Long Video Sampling Correction (InsV2V, arXiv 2311.00213, section 3.4): a window starts where the last one ended.

The paper corrects epsilon on the R frames two windows share and adds the mean of that correction to the others:

    eps_ref = (z_t - sqrt(abar) z_ref) / sqrt(1 - abar);  delta = eps_ref - eps;  eps += delta | mean_R delta

Every state holds x = a D + sigma eps, so delta = a (D - z_ref) / sigma, and on the clean prediction the schedule
drops out:  D <- z_ref on the shared frames,  D <- D + mean_R (z_ref - D) on the others. Written on D it serves every
solver, guidance and interpolant. The motion-compensated form replaces the mean by the residual carried along the
source's optical flow (see motion.py), so that a correction stays on the thing it corrects.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor

from ..diffusion.guidance import Predict
from ..diffusion.inversion.retrace import Retrace
from ..diffusion.run import Denoise
from ..errors import UserError
from .motion import carry_along, check_flow
from .plan import Window, latent_frames, shared_latent_frames

CORRECTED_SHARE = 0.5  # of the steps, from the first: the paper's noise_correct_step


@dataclass(frozen=True, eq=False)
class HandOver:
    """What a window gets from the one before it, for the latent frames that both cover, and how far it reaches.

    z_ref: the earlier window's clean result there, (B, C, R, h, w). noise: what it started from there, same shape.
    at: index of the first shared latent frame in the later window; frames before it are its lead-in, which a causal
    video model treats as the start of a scene and whose result is dropped.
    flow (T, R, h, w, 2), latent cells, from every frame of the window to each shared one, NaN where a point has no
    counterpart (see motion.latent_flow): a correction follows it; None: the mean over the shared frames, everywhere.
    anchor: how much of the correction is faded out by the window's end, in [0, 1], see `fading`.
    Raises UserError when the flow does not fit z_ref.
    """

    z_ref: Tensor
    noise: Tensor
    at: int
    flow: Tensor | None = None
    anchor: float = 0.0

    def __post_init__(self) -> None:
        if self.flow is not None:
            check_flow(self.flow, self.z_ref)

    @property
    def shared(self) -> slice:
        """The shared latent frames, as a slice of the later window's."""
        return slice(self.at, self.at + self.z_ref.shape[2])


def hand_over(
    latent: Tensor,
    noise: Tensor,
    earlier: Window,
    later: Window,
    temporal_ratio: int,
    anchor: float = 0.0,
    flow: Callable[[slice], Tensor] | None = None,
) -> HandOver | None:
    """What `later` gets from the window before it; None where they share no latent frame behind the lead-in.

    latent, noise: the earlier window's, whole, (B, C, t, h, w). flow: gives HandOver.flow for the shared latent frames
    of the later window.
    """
    ours, theirs = shared_latent_frames(earlier, later, temporal_ratio)
    if ours.start >= ours.stop:
        return None
    moved = None if flow is None else flow(theirs).to(latent.device)
    return HandOver(latent[:, :, ours], noise[:, :, ours], theirs.start, moved, anchor)


def share_noise(noise: Tensor, handover: HandOver) -> Tensor:
    """The later window's noise (B, C, T, h, w) with the earlier one's on the frames they share; a new tensor."""
    _check(noise, handover, "noise")
    noise = noise.clone()
    noise[:, :, handover.shared] = handover.noise.to(noise)
    return noise


def corrected(x0: Tensor, handover: HandOver, weight: Tensor | None = None) -> Tensor:
    """D <- z_ref on the shared frames, D + the residual z_ref - D on the others; x0 (B, C, T, h, w), a new tensor.

    Without a flow the residual's mean over the shared frames is added, the same picture everywhere. Along a flow the
    residual is fetched and averaged over the shared frames that see the point; 0 where fewer than half a frame do.
    weight (T,): `fading`'s, where x0 is; None makes it.
    """
    _check(x0, handover, "the prediction")
    weight = fading(x0.shape[2], handover).to(x0) if weight is None else weight
    z_ref = handover.z_ref.to(x0)
    residual = z_ref - x0[:, :, handover.shared]
    spread = residual.mean(2, keepdim=True) if handover.flow is None else carry_along(residual, handover.flow)
    result = x0 + weight.reshape(-1, 1, 1) * spread
    result[:, :, handover.shared] = z_ref
    return result


def fading(frames: int, handover: HandOver) -> Tensor:
    """Weight (frames,) of the correction: 1 up to the shared frames, then evenly down to 1 - anchor at the last frame.

    At anchor 1 the frames that the next window goes on from are the model's own answer to the source again: a colour
    that is a little off is not handed on and on, which is what makes long runs drift.
    """
    after = frames - handover.shared.stop
    fall = torch.arange(1, after + 1, dtype=torch.float64) / max(1, after)
    return torch.cat([torch.ones(handover.shared.stop, dtype=torch.float64), 1 - handover.anchor * fall])


def with_handover(denoise: Denoise, handover: HandOver, until: float) -> Denoise:
    """denoise(x, sigma) -> x0, `corrected` where sigma > until and as it is below. Wrap the guided denoiser.

    until: the level at which the correction ends, in the interpolant's own scale; see `last_corrected`.
    """

    @cache
    def weight(frames: int, device: torch.device, dtype: torch.dtype) -> Tensor:
        return fading(frames, handover).to(device, dtype)  # brought over once, not at every step

    def handed(x: Tensor, sigma: float) -> Tensor:
        x0 = denoise(x, sigma)
        return corrected(x0, handover, weight(x0.shape[2], x0.device, x0.dtype)) if sigma > until else x0

    return handed


def handed_start(noise: Tensor, solver: str | Retrace, handover: HandOver) -> tuple[Tensor, str | Retrace]:
    """What a handed window is sampled with: the noise of `share_noise`, and its solver.

    An exact inversion's second state is corrected as the predictions are. Retrace.carried is the clean latent of the
    first step back; left as the inversion made it, it disagrees with every corrected prediction after it, and the
    two-state scheme, which damps little, swings between the two.
    """
    if isinstance(solver, Retrace) and solver.carried is not None:
        solver = replace(solver, carried=corrected(solver.carried, handover))
    return share_noise(noise, handover), solver


def handed_predict(
    predicts: Sequence[Predict],
    windows: list[Window],
    temporal_ratio: int,
    anchor: float = 0.0,
    flow: Callable[[int], Tensor] | None = None,
) -> Predict:
    """predict(x, sigma, branches) of a long latent (B, C, T, h, w): windows in order, each held to the one before.

    At every call a later window is `corrected` by what the one before it just predicted. predicts: one per window,
    with its hints bound inside. flow: (window's index) -> HandOver.flow of that window.
    """
    spans, lead_in = [latent_frames(window, temporal_ratio) for window in windows], int(temporal_ratio > 1)

    def predict(x: Tensor, sigma: float, branches: Sequence) -> list[Tensor]:
        answers = [torch.empty_like(x) for _ in branches]
        for index, (window, span) in enumerate(zip(predicts, spans)):
            parts = window(x[:, :, span.start : span.stop], sigma, branches)
            if index:
                moved = None if flow is None else (lambda _, at=index: flow(at))
                befores = [answer[:, :, spans[index - 1].start : spans[index - 1].stop] for answer in answers]
                handovers = [
                    hand_over(before, before, windows[index - 1], windows[index], temporal_ratio, anchor, moved)
                    for before in befores
                ]
                parts = [part if one is None else corrected(part, one) for part, one in zip(parts, handovers)]
            new = lead_in if index else 0
            for answer, part in zip(answers, parts):
                answer[:, :, span.start + new : span.stop] = part[:, :, new:]
        return answers

    return predict


def last_corrected(sigmas: Tensor | Sequence[float], share: float = CORRECTED_SHARE) -> float:
    """The level at and below which nothing is corrected: the first `share` of the steps of `sigmas` start above it."""
    if not 0 <= share <= 1:
        raise UserError(f"share is {share} but must be from 0 to 1: change share.")
    return float(sigmas[round(share * (len(sigmas) - 1))])


def _check(x: Tensor, handover: HandOver, what: str) -> None:
    z_ref, end = handover.z_ref, handover.at + handover.z_ref.shape[2]
    fits = x.shape[:2] == z_ref.shape[:2] and x.shape[3:] == z_ref.shape[3:] and 0 <= handover.at and end <= x.shape[2]
    if not fits:
        raise UserError(
            f"A hand-over of {tuple(z_ref.shape)} at frame {handover.at} came for {what} of shape {tuple(x.shape)}: "
            "give both windows the same size and plan."
        )
