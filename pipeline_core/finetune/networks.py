"""The networks that can be fine-tuned: how a folder's reads clips and prompts, and what its transformer answers.

Cosmos (the embedded model, Cosmos-Transfer2.5) by this pack's forward, Wan by diffusers' own.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ..doors import read_json
from ..errors import UserError
from ..models.families import FAMILIES
from ..models.folders.layout import RESTORE, TRAINABLE, part_folder, read_index, sample_hash
from ..models.folders.preset import Preset
from ..models.folders.preset_file import read_preset
from ..models.networks.cosmos import cosmos_forward

WAN = "WanTransformer3DModel"
_WAN_TOKENS = 512  # of a prompt, as Wan was trained
PARTS = ("transformer", "text_encoder", "vae")


def is_wan(folder: Path) -> bool:
    """Whether a model folder's transformer is a Wan."""
    return read_index(folder).get("transformer", ["", ""])[1] == WAN


def training_preset(folder: Path) -> Preset:
    """How a folder's network reads clips and prompts; a Wan folder, which has no preset.json, by its family's row.

    UserError for a folder whose transformer is neither kind, for Wan's of two experts and those that read more than a
    noisy clip (image to video, Fun-Control).
    """
    kind = read_index(folder).get("transformer", ["", "nothing"])[1]
    if kind not in TRAINABLE["transformer"]:
        raise UserError(
            f"{folder} has a transformer of {kind}; give a folder of {' or '.join(TRAINABLE['transformer'])}."
        )
    if kind != WAN:
        return read_preset(folder)
    if "transformer_2" in read_index(folder):
        raise UserError(f"{folder} has two experts, of which a LoRA here cannot be trained: give a Wan of one network.")
    vae, network = (read_json(part_folder(folder, part) / "config.json", RESTORE) for part in ("vae", "transformer"))
    channels = vae.get("z_dim")
    if network.get("in_channels") != channels:
        raise UserError(
            f"{folder}/transformer reads {network.get('in_channels')} channels and its VAE gives {channels}: give a "
            "text-to-video Wan, which reads the noisy clip alone."
        )
    family = FAMILIES["wan_5b" if channels == 48 else "wan"]
    ratios = {
        "temporal_ratio": vae.get("scale_factor_temporal", 4),
        "spatial_ratio": vae.get("scale_factor_spatial", 8),
    }
    if not all(type(ratio) is int and 1 <= ratio <= 64 for ratio in ratios.values()):
        raise UserError(f"{folder}/vae/config.json states no scale_factor of a VAE: {RESTORE}.")
    return Preset(
        name=family.name, window=family.window, overlap=family.overlap, size=family.size, prediction="flow",
        interpolant="flow", max_text_tokens=_WAN_TOKENS, control_weights={}, **ratios,
    )  # fmt: skip


def answer(transformer: torch.nn.Module, x: Tensor, t: Tensor, text: Tensor) -> Tensor:
    """What the network answers to x (B, C, t, h, w) at flow times t (B,) in [0, 1], without controls."""
    if type(transformer).__name__ == WAN:
        return transformer(x, 1000 * t, text, return_dict=False)[0]
    return cosmos_forward(transformer, [], x, t, text)


def clip_preset(preset: Preset, frames: int | None, size: tuple[int, int] | None) -> Preset:
    """The preset with another length and size of its windows; None leaves them. UserError for what it cannot encode."""
    changed = replace(preset, window=frames or preset.window, size=size or preset.size)
    multiple = 2 * preset.spatial_ratio
    if changed.window < 1 or (changed.window - 1) % preset.temporal_ratio:
        raise UserError(f"--frames is {frames}; give 1 + a multiple of {preset.temporal_ratio}.")
    if changed.size[0] % multiple or changed.size[1] % multiple:
        raise UserError(f"--size is {changed.size[0]}x{changed.size[1]}; give multiples of {multiple}.")
    return changed


def folder_mark(folder: Path) -> str:
    """Short hash that tells the networks of two model folders apart."""
    files = (path for part in PARTS for path in sorted(part_folder(folder, part).glob("*.safetensors")))
    return hashlib.sha256("".join(map(sample_hash, files)).encode()).hexdigest()[:16]
