"""Encode rendered scenes (uint8 clips and maps) to VAE latents once, so that the DiT trains on latents only."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch

from pipeline_core.models.networks.grid import token_grid_weights
from pipeline_core.models.networks.vae import encode_clips
from pipeline_core.video.files import atomic_file

from .pixel_weights import pixel_weights

CRITIC_SEEDS = 600_000  # from here on scenes belong to the critic, to tuning, to validation and to benchmarks
TUNING_SEEDS = 800_000


def encoder_mark(vae: torch.nn.Module) -> str:
    """Short hash of what a VAE encodes with, as a file keeps it: latents of two encoders must never be mixed."""
    digest = hashlib.sha256()
    for name, tensor in sorted(vae.state_dict().items()):
        if not name.startswith("decoder."):
            digest.update(name.encode() + tensor.half().numpy().tobytes())
    return digest.hexdigest()[:16]


def as_clip(values: torch.Tensor) -> torch.Tensor:
    """uint8 (T, H, W) map or (T, H, W, 3) clip -> float (T, H, W, 3) in [0, 1]."""
    values = values[..., None].expand(*values.shape, 3) if values.ndim == 3 else values
    return values.float() / 255


def encode_scene(vae: torch.nn.Module, source: Path, target: Path) -> None:
    """Write one scene's latents, fp16 (C, t, h, w) per tensor name; to its metadata comes the encoder's mark.

    Beside them "importance", fp16 (t, h, w): what the loss counts at each place.
    """
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(str(source), framework="pt") as shard:
        names = list(shard.keys())
        clips = torch.stack([as_clip(shard.get_tensor(name)) for name in names])
        weights = pixel_weights(shard.get_tensor("segmentation"))[0]
        metadata = shard.metadata() | {"vae": encoder_mark(vae)}
    with torch.autocast("cpu", torch.bfloat16):
        latents = encode_clips(vae, clips).half()
    tensors = {name: latents[i].contiguous() for i, name in enumerate(names)}
    tensors["importance"] = token_grid_weights(weights, latents.shape[2:], (1, 1, 1)).half()
    with atomic_file(target) as unfinished:
        save_file(tensors, str(unfinished), metadata)


def load_vae(folder: Path) -> torch.nn.Module:
    """The VAE of a diffusers folder, by the class its config names, in fp32."""
    import diffusers

    config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    vae = getattr(diffusers, config["_class_name"]).from_pretrained(
        str(folder), torch_dtype=torch.float32, local_files_only=True, use_safetensors=True
    )
    return vae.eval()


def plain_config(vae: torch.nn.Module) -> dict:
    """A diffusers model's config without diffusers' own entries, one of which is the folder on this machine."""
    return {name: value for name, value in vae.config.items() if not name.startswith("_")}
