"""How much each latent channel matters in the picture, so that its loss follows what is seen."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline_core.models.networks.vae import decode_latents


@torch.no_grad()
def decoder_energy(vae: torch.nn.Module, latent: Tensor, size: float = 0.3, seed: int = 0) -> Tensor:
    """Mean square change of the decoded picture per unit variance of noise on each channel; shape (C,).

    latent: a normalised one (1, C, t, h, w) of a real clip. size: standard deviation of the noise.
    """
    generator = torch.Generator().manual_seed(seed)
    base = decode_latents(vae, latent)
    energy = []
    for channel in range(latent.shape[1]):
        moved = latent.clone()
        moved[:, channel] += size * torch.randn(moved[:, channel].shape, generator=generator)
        energy.append((decode_latents(vae, moved) - base).square().mean() / size**2)
    return torch.stack(energy)


def channel_weights(energy: Tensor) -> Tensor:
    """(C, 1, 1, 1) weights of mean 1: half even, half in proportion to the picture's energy.

    Even alone spends the loss on detail that nobody sees (one channel of 48 carries a third of the embedded VAE's
    picture); energy alone forgets that detail.
    """
    return (0.5 + 0.5 * energy / energy.mean()).view(-1, 1, 1, 1)
