"""What the embedded video VAE learns, or its decoder alone: to reconstruct crops of rendered scenes.

Loss per clip: log(MSE + 2 MSE of 4x4 means + 1e-3), so that every clip gains decibels at the same rate, easy
depth maps and hard aliased renders alike, and small lamps keep their mean colour. Errors on signs and lights, a
thousandth of the pixels, count more (pixel_weights.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import torch
import torch.nn.functional as F

from .pixel_weights import pixel_weights

MAPS = ("edge", "depth", "segmentation")
MAP_SHARE = 0.2
CROP = 64
# A generated latent is further from the truth than an encoded one: the decoder learns noise of 0 to this deviation.
LATENT_NOISE = 0.4
# Adam's rate as a share of the orthogonalised one.
ADAM_SHARE = 0.02


def as_video(values: torch.Tensor) -> torch.Tensor:
    """uint8 (T, H, W) or (T, H, W, 3) -> float (3, T, H, W) in [-1, 1]."""
    values = values[..., None].expand(*values.shape, 3) if values.ndim == 3 else values
    return values.movedim(-1, 0).float() / 127.5 - 1


def read_renders(path: Path) -> dict[str, torch.Tensor]:
    """Every render of one scene as uint8 (T, H, W, 3)."""
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as shard:
        return {name: shard.get_tensor(name) for name in sorted(shard.keys()) if name.startswith("rgb.")}


def draw_crop(path: Path, generator: torch.Generator, map_share: float = MAP_SHARE) -> torch.Tensor:
    """A random clip of the scene, a random 64x64 window of it, mirrored half the time; a map instead of a render in
    `map_share` of the draws.

    (4, T, 64, 64): the video in [-1, 1] and the weight of each pixel.
    """
    from safetensors import safe_open

    def pick(count: int) -> int:
        return int(torch.randint(count, (1,), generator=generator))

    with safe_open(str(path), framework="pt") as shard:
        names = sorted(shard.keys())
        maps = torch.rand((), generator=generator) < map_share
        looks = [n for n in names if n.startswith("rgb.photoreal")]
        renders = ["rgb.synthetic", looks[pick(len(looks))]] if looks else ["rgb.synthetic"]
        pool = MAPS if maps else renders
        clip = shard.get_slice(pool[pick(len(pool))])
        _, height, width = clip.get_shape()[:3]
        y, x = pick(height - CROP + 1), pick(width - CROP + 1)
        window = (slice(None), slice(y, y + CROP), slice(x, x + CROP))
        weights = pixel_weights(shard.get_slice("segmentation")[window])
        video = torch.cat([as_video(clip[window]), weights])
    return video.flip(-1) if pick(2) else video


def reconstruction_loss(vae: torch.nn.Module, clips: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Mean over clips of the log error in the module's docstring, and a faint pull of the latents to zero.

    clips: (B, 4, T, H, W) as `draw_crop` gives them. noise: added to the latents before they are decoded.
    """
    videos, weights = clips[:, :3], clips[:, 3:]
    frozen = not any(p.requires_grad for p in vae.encoder.parameters())
    with torch.autocast("cpu", torch.bfloat16):
        with torch.set_grad_enabled(not frozen):
            latents = vae.encode(videos).latent_dist.mode()
        output = vae.decode(latents + noise).sample
    error = output.float() - videos
    pooled, coarse = F.avg_pool3d(error, (1, 4, 4)), F.avg_pool3d(weights, (1, 4, 4))
    per_clip = (weights * error.square()).mean((1, 2, 3, 4)) + 2 * (coarse * pooled.square()).mean((1, 2, 3, 4))
    return (per_clip + 1e-3).log().mean() + 1e-3 * latents.float().square().mean()


def latent_noise(vae: torch.nn.Module, clips: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Noise for the latents of `clips`, with a deviation of each clip's own, uniform from 0 to LATENT_NOISE."""
    batch, _, frames, height, width = clips.shape
    shape = (batch, vae.config.latent_channels, 1 + (frames - 1) // 4, height // 8, width // 8)
    level = LATENT_NOISE * torch.rand((batch, 1, 1, 1, 1), generator=generator)
    return level * torch.randn(shape, generator=generator)


@torch.no_grad()
def validate(vae: torch.nn.Module, files: Iterable[Path]) -> dict[str, float]:
    """Mean PSNR in dB (peak 1, per clip) of whole frames, per kind of render."""
    scores: dict[str, list[float]] = {}
    for path in files:
        for name, values in read_renders(path).items():
            video = as_video(values)[None]
            with torch.autocast("cpu", torch.bfloat16):
                output = vae.decode(vae.encode(video).latent_dist.mode()).sample
            error = (output.float().clamp(-1, 1) - video).square().mean().item() / 4
            scores.setdefault("photoreal" if "photoreal" in name else "synthetic", []).append(-10 * math.log10(error))
    return {kind: sum(values) / len(values) for kind, values in scores.items()}


@torch.no_grad()
def measure_latents(vae: torch.nn.Module, files: Iterable[Path]) -> None:
    """Set latents_mean and latents_std from the latents of whole renders, the maps left out.

    Half-whitened: latents_std = sqrt(std * mean std), so normalised latents have a mean variance of one, and the
    strong channels, whose errors show most in the picture, keep more weight than under full whitening.
    """
    rows = []
    for path in files:
        for values in read_renders(path).values():
            with torch.autocast("cpu", torch.bfloat16):
                latents = vae.encode(as_video(values)[None]).latent_dist.mode()
            rows.append(latents.float()[0].flatten(1))
    every = torch.cat(rows, 1)
    std = every.std(1)
    vae.latents_mean.copy_(every.mean(1))
    vae.latents_std.copy_((std * std.mean()).sqrt())


def parameter_groups(vae: torch.nn.Module) -> list[dict]:
    """Inner convolutions take orthogonalised steps; outer layers and biases take Adam's. A frozen encoder's are
    among them and get no gradient."""
    ends = ("coder.conv_in", "coder.conv_out")
    trained = dict(vae.named_parameters())
    inner = [n for n, p in trained.items() if p.ndim == 5 and not any(end in n for end in ends)]
    outer = [n for n in trained if n not in inner]
    return [
        {"params": [trained[n] for n in inner], "orthogonal": True, "lr_share": 1.0},
        {"params": [trained[n] for n in outer], "orthogonal": False, "lr_share": ADAM_SHARE},
    ]
