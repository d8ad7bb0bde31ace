"""Spans along one axis that overlap, windows of a clip or tiles of a frame: how much each counts where."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import UserError


def window_weights(spans: Sequence[range], lead_in: int = 0) -> list[Tensor]:
    """Weight per frame of every span, 1-D float64: they add up to 1 over each frame of the clip.

    Before sharing out, a span weighs 1, 2, 3 ... from its ends inwards. The first `lead_in` frames of a span after
    the first weigh nothing: a causal model sees the start of a scene there. Raises UserError where no span has a
    frame.
    """
    total = torch.zeros(spans[-1].stop, dtype=torch.float64)
    ramps = []
    for i, span in enumerate(spans):
        skipped = lead_in if i else 0
        inward = torch.arange(1, len(span) - skipped + 1, dtype=torch.float64)
        ramp = torch.cat(
            [torch.zeros(min(skipped, len(span)), dtype=torch.float64), torch.minimum(inward, inward.flip(0))]
        )
        total[span.start : span.stop] += ramp
        ramps.append(ramp)
    if not bool((total > 0).all()):
        missed = int((total == 0).nonzero()[0])
        raise UserError(f"No window has the latent frame {missed} behind its lead-in: raise the overlap.")
    return [ramp / total[span.start : span.stop] for ramp, span in zip(ramps, spans)]
