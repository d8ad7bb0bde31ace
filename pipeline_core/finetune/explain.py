"""SimDrop read as a filter (2503.20822's summary): which clips does a reference explain better than the model itself?

The reference is a LoRA trained on renders alone. Both denoise the same noisy latents; a clip that the reference gains
much on looks as renders look, one that it gains nothing on does not.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..models.folders.lora import reference_on
from .errors import Denoiser
from .samples import Samples

LEVELS = 8  # flow times, evenly spaced
Errors = tuple[list[float], list[float]]  # of the model and of the reference, one a level


@torch.no_grad()
def explain(denoiser: Denoiser, samples: Samples, indices: Sequence[int], seed: int = 0) -> Errors:
    """Denoising errors at LEVELS levels of the model and of its reference (`lora.add_reference`), means over windows.

    Noise and level are the same for both, and for all windows of one shape.
    """
    totals = torch.zeros(2, LEVELS, dtype=torch.float64)
    for index in indices:
        x0, text = samples[index]
        for level in range(LEVELS):
            noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(seed * LEVELS + level))
            shown = (x0, text, torch.tensor((level + 0.5) / LEVELS), noise)
            totals[0, level] += denoiser.error(*shown).double().cpu()
            with reference_on(denoiser.transformer):
                totals[1, level] += denoiser.error(*shown).double().cpu()
    model, reference = (totals / len(indices)).tolist()
    return model, reference


def advantage(errors: Errors) -> float:
    """How much less the reference errs, as a share of what the model does: the mean over levels of (m - r) / m."""
    model, reference = (torch.tensor(values, dtype=torch.float64) for values in errors)
    return float(((model - reference) / model).mean())


def weights_of(scores: Tensor) -> Tensor:
    """Weights of clips by their advantages (N,): exp(-z) of the standardised score, within [1/4, 4], of mean 1."""
    if len(scores) < 2 or float(spread := scores.std(correction=0)) < 1e-12:
        return torch.ones_like(scores)
    weights = torch.exp(-(scores - scores.mean()) / spread).clamp(0.25, 4.0)
    return weights / weights.mean()
