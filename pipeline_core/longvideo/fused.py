"""Fused windows (MultiDiffusion, arXiv 2302.08113, over time): one long latent, every step predicted by all windows.

    D(x) = sum_i w_i D_i(x_i) / sum_i w_i

with x_i the frames of window i and w_i a weight per frame. It is the least-squares answer to what all windows want, so
neighbours cannot part; it costs the whole latent in memory and the overlaps computed twice at every step.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from ..diffusion.guidance import Predict
from ..errors import UserError
from ..video.overlaps import window_weights

MOST_VALUES = 2**25  # of the long latent: 0.27 GB in float64, of which a sampling pass holds about eight


def join_latents(parts: Sequence[Tensor], spans: Sequence[range], weights: Sequence[Tensor]) -> Tensor:
    """The windows' latents (B, C, t, h, w) as one, sum_i w_i part_i; weights: as `window_weights` gives them."""
    first = parts[0]
    joined = first.new_zeros(*first.shape[:2], spans[-1].stop, *first.shape[3:])
    for part, span, weight in zip(parts, spans, weights, strict=True):
        joined[:, :, span.start : span.stop] += weight.to(part).reshape(-1, 1, 1) * part
    return joined


@lru_cache(maxsize=8)
def _weights_like(spans: tuple[range, ...], lead_in: int, device: torch.device, dtype: torch.dtype) -> list[Tensor]:
    """`window_weights`, brought over once and not at every step: hosts that ask by step build the predictor anew."""
    return [weight.to(device, dtype) for weight in window_weights(spans, lead_in)]


def fused_predict(predicts: Sequence[Predict], spans: Sequence[range], lead_in: int = 0) -> Predict:
    """predict(x, sigma, branches) of a long latent (B, C, T, h, w): every branch averaged over the windows.

    predicts: one per window, with that window's own hints bound inside; spans: the latent frames each one sees, in
    order, the first from 0; see `window_weights`. Raises UserError when spans and predicts or latent do not match.
    """
    if len(predicts) != len(spans):
        raise UserError(f"{len(predicts)} denoisers came for {len(spans)} windows: give one each.")
    spans = tuple(spans)
    _weights_like(spans, lead_in, torch.device("cpu"), torch.float64)  # what is wrong with them is said here

    def predict(x: Tensor, sigma: float, branches: Sequence[str]) -> list[Tensor]:
        if x.shape[2] != spans[-1].stop:
            raise UserError(
                f"A latent of {x.shape[2]} frames came for windows over {spans[-1].stop}: change the plan or the clip."
            )
        answers = [window(x[:, :, s.start : s.stop], sigma, branches) for window, s in zip(predicts, spans)]
        weights = _weights_like(spans, lead_in, x.device, answers[0][0].dtype)
        return [join_latents(parts, spans, weights) for parts in zip(*answers)]

    return predict


def check_fused(window: Tensor, frames: int) -> None:
    """UserError where a long latent of `frames` frames, each like those of a window's latent, is too much to hold."""
    values = window[:, :, :1].numel() * frames
    if values > MOST_VALUES:
        raise UserError(
            f"handover is fused, which holds the whole clip's latent, and this clip's has {values / 1e6:.0f} million "
            f"values of at most {MOST_VALUES / 1e6:.0f}: change handover, or cut the clip to "
            f"{MOST_VALUES / values:.0%} of its length."
        )
