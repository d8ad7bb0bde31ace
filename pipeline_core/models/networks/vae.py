"""Frames to normalised latents and back: z = (E(2 frames - 1) - mean) / std, the latent every room works on."""

from __future__ import annotations

import torch

from ...errors import UserError

_WRONG = (
    "This VAE's latents_mean, latents_std or scaling_factor are not a finite number for each of its channels; restore "
    "its config."
)


def is_wan(vae: torch.nn.Module) -> bool:
    """Whether a VAE is Wan's, which codes one latent frame after the other and remembers those before."""
    return type(vae).__name__ == "AutoencoderKLWan"


def latent_statistics(vae: torch.nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and std of the VAE's latents, each (1, C, 1, 1, 1) float32, from its config (Wan) or buffers (LTX).

    UserError where they are missing, or are not one number a channel. That they are sensible numbers is not looked at:
    the host would have to wait for them (`check_statistics`).
    """
    buffers = dict(vae.named_buffers())
    mean, std = (buffers.get(name, vae.config.get(name)) for name in ("latents_mean", "latents_std"))
    if mean is None or std is None:
        raise UserError(
            "This VAE states no latents_mean and latents_std; use a video VAE whose config or weights carry them."
        )
    channels = vae.config.get("z_dim") or vae.config.get("latent_channels")
    try:
        scale = float(vae.config.get("scaling_factor") or 1.0)
        mean, std = (torch.as_tensor(value, dtype=torch.float32).flatten() for value in (mean, std))
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(_WRONG) from error
    if len(mean) != len(std) or len(mean) != (channels or len(mean)):
        raise UserError(_WRONG)
    std = std / scale
    return mean.view(1, -1, 1, 1, 1), std.view(1, -1, 1, 1, 1)


def check_statistics(vae: torch.nn.Module) -> None:
    """UserError unless the mean and std of the VAE's latents are finite and the std above zero; once, on loading."""
    mean, std = latent_statistics(vae)
    if not (torch.isfinite(mean).all() and torch.isfinite(std).all() and (std > 0).all()):
        raise UserError(_WRONG)


@torch.no_grad()
def encode_clips(vae: torch.nn.Module, clips: torch.Tensor) -> torch.Tensor:
    """Normalised latent (B, C, t, h, w) of clips (B, T, H, W, 3) in [0, 1]: the posterior's mode, no sampling.

    Device and dtype of the VAE's weights; T = 1 + k * temporal ratio. The result is float32.
    """
    mean, std = latent_statistics(vae)
    weight = next(vae.parameters())
    # A copy of its own, worked on in place: a large clip is on the device once, not once for every operation.
    frames = clips.permute(0, 4, 1, 2, 3).to(device=weight.device, dtype=weight.dtype, copy=True)
    latent = vae.encode(frames.mul_(2).sub_(1)).latent_dist.mode().float()
    return (latent - mean.to(latent.device)) / std.to(latent.device)


@torch.no_grad()
def decode_latents(vae: torch.nn.Module, latent: torch.Tensor) -> torch.Tensor:
    """Clips (B, T, H, W, 3) in [0, 1], float32, clamped, of normalised latents (B, C, t, h, w)."""
    mean, std = latent_statistics(vae)
    weight = next(vae.parameters())
    latent = latent.to(weight.device, torch.float32) * std.to(weight.device) + mean.to(weight.device)
    frames = vae.decode(latent.to(weight.dtype)).sample.float()
    return frames.div_(2).add_(0.5).clamp_(0, 1).permute(0, 2, 3, 4, 1)
