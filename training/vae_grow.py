"""Give a trained VAE's decoder more residual layers without changing what it answers, so that training can go on."""

from __future__ import annotations

import torch

from .latents import plain_config


@torch.no_grad()
def grow_decoder(vae: torch.nn.Module, layers: int) -> torch.nn.Module:
    """A VAE like `vae` with `layers` residual layers at every level of its decoder, in fp32.

    The layers there are keep their weights; a new one adds nothing at first, because its last convolution is zero.
    ValueError when the decoder has more layers than that somewhere.
    """
    before = tuple(vae.config.decoder_layers_per_block)
    if max(before) > layers:
        raise ValueError(f"The decoder has {before} layers; they cannot become {layers}.")
    grown = type(vae).from_config(plain_config(vae) | {"decoder_layers_per_block": (layers,) * len(before)})
    missing = grown.load_state_dict(vae.state_dict(), strict=False).missing_keys
    for name, parameter in grown.named_parameters():
        if name in missing and ".conv2." in name:
            parameter.zero_()
    return grown
