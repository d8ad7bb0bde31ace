"""A model folder of untrained networks to begin from: the VAE from principal components, all else drawn."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from pipeline_core.models.folders.loading import EMBEDDED

from ..architecture import build_networks
from ..export import write_networks
from ..vae import as_video, measure_latents, read_renders
from ..vae_grow import grow_decoder
from ..vae_start import build, start_from_principal_components
from .cache import SceneCache
from .config import RunConfig

SCENES = 24  # that the principal components are of
DECODER_LAYERS = 2


def write_fresh_model(folder: Path, cache: Path, config: RunConfig) -> None:
    """Write the model into `folder`, which does not exist; scenes it starts from are rendered into `cache`.

    Tokenizer, preset and preview colours are the committed model's.
    """
    from transformers import PreTrainedTokenizerFast

    folder.mkdir(parents=True)
    shutil.copytree(EMBEDDED / "tokenizer", folder / "tokenizer")
    for name in ("preset.json", "latent_rgb.json"):
        shutil.copyfile(EMBEDDED / name, folder / name)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(str(folder / "tokenizer"), local_files_only=True)
    torch.manual_seed(config.seed)
    vae = build()
    scenes = SceneCache(cache, config.worlds, config.maps, vae, tokenizer, 0)
    files = [scenes.frames(config.first_scene + i) for i in range(SCENES)]
    clips = [as_video(values) for path in files for values in read_renders(path).values()]
    start_from_principal_components(vae, torch.stack(clips))
    vae = grow_decoder(vae, DECODER_LAYERS)
    measure_latents(vae, files)
    vae.half().save_pretrained(str(folder / "vae"))
    networks = build_networks(vae.config.latent_channels, len(tokenizer), config.seed)
    write_networks(networks, folder, torch.float16)
