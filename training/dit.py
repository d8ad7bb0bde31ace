"""What the embedded DiT, its control branches and text encoder learn: to be an EDM denoiser on flow times."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from pipeline_core.models.networks.cosmos import cosmos_forward
from pipeline_core.models.networks.prediction import network_input, training_target
from pipeline_core.models.networks.text import embed_tokens

from .architecture import EmbeddedNetworks
from .dit_data import Batch, Scene, draw_batch

BINS = 5
# As wide as a token of the latent, the embedded DiT has no room to carry noise through: EDM's skip does that.
PREDICTION = "edm"
# Adam's rate as a share of the orthogonalised one.
ADAM_SHARE = 0.125


def prediction_errors(networks: EmbeddedNetworks, batch: Batch, weights: torch.Tensor) -> torch.Tensor:
    """Per-sample mean square of what the network answers minus what it should (prediction.py); shape (B,).

    weights: (C, 1, 1, 1), how much each latent channel counts; the batch says how much each place does.
    """
    s = batch.sigma.view(-1, 1, 1, 1, 1)
    x = network_input((1 - s) * batch.x0 + s * batch.noise, s, PREDICTION)
    controls = [
        (branch, batch.hints[name], batch.weights[name] if batch.weights[name].any() else 0.0)
        for name, branch in networks.branches.items()
    ]
    # The fused attention's backward pass is slow on the CPU: compiled, a step takes 1.15 s with it and .95 without.
    with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
        text = embed_tokens(networks.text_encoder, batch.ids, batch.mask)
        answer = cosmos_forward(networks.transformer, controls, x, batch.sigma, text)
    target = training_target(batch.x0, batch.noise, s, PREDICTION)
    return ((answer.float() - target).square() * weights * batch.importance).flatten(1).mean(1)


def by_sigma(sigmas: torch.Tensor, errors: torch.Tensor) -> list[float | None]:
    """Mean error in equal bins of sigma over [0, 1]; None where a bin is empty."""
    bins = (sigmas * BINS).long().clamp(0, BINS - 1)
    return [round(errors[bins == i].mean().item(), 4) if (bins == i).any() else None for i in range(BINS)]


@torch.no_grad()
def stratified_error(
    networks: EmbeddedNetworks, scenes: Sequence[Scene], weights: torch.Tensor, batches: int = 4, size: int = 8
) -> tuple[float, list[float | None]]:
    """(mean prediction error, the same in bins of sigma) with the same draws every time; control and text as in
    training."""
    sigmas, errors = [], []
    for index in range(batches):
        batch = draw_batch(scenes, list(networks.branches), size, 1, index)
        # Stratified sigmas: the figure would otherwise depend on a lucky draw.
        stratified = (torch.arange(size) * batches + index + 0.5) / (size * batches)
        batch = Batch(**{**vars(batch), "sigma": stratified})
        sigmas.append(stratified)
        errors.append(prediction_errors(networks, batch, weights))
    sigma, error = torch.cat(sigmas), torch.cat(errors)
    return error.mean().item(), by_sigma(sigma, error)


# Matrices that mix features inside a block; the modulation, the ends and the text encoder keep Adam's steps.
ORTHOGONAL = ("attn1.", "attn2.", "ff.net", "before_proj", "after_proj")


def parameter_groups(networks: EmbeddedNetworks) -> list[dict]:
    """The blocks' inner matrices take orthogonalised steps at the whole rate, all else Adam's at an eighth of it."""
    inner, outer = [], []
    for name, parameter in networks.named_parameters():
        mixes = any(part in name for part in ORTHOGONAL) and not name.startswith("text_encoder")
        (inner if mixes and parameter.ndim == 2 else outer).append(parameter)
    return [
        {"params": inner, "orthogonal": True, "lr_share": 1.0},
        {"params": outer, "orthogonal": False, "lr_share": ADAM_SHARE},
    ]


def compile_blocks(networks: EmbeddedNetworks) -> None:
    """Let torch.compile fuse what lies between the products of every block; it needs a C++ compiler."""
    blocks = list(networks.transformer.transformer_blocks)
    for branch in networks.branches.values():
        blocks += list(branch.control_blocks)
    for block in blocks:
        block.compile()
