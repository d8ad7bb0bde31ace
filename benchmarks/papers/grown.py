"""Branches that the embedded model does not come with, for conditions.py: of the blurred clip, and for all blocks.

Trained onto the model with all else frozen, on scenes that its own training draws from, and kept with them in
benchmarks/out/papers/grown. So few steps say what a map or a block is worth at first, not in the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from benchmarks.papers.table import ROOT, WORK, weights_of
from benchmarks.recipes import alone
from pipeline_core.conditions.estimated import Estimators
from pipeline_core.conditions.maps import window_maps
from pipeline_core.models.folders.preset_file import read_preset
from pipeline_core.models.networks.vae import encode_clips
from pipeline_core.video.files import atomic_file
from training.architecture import ARCHITECTURE, EmbeddedNetworks, build_networks
from training.channel_weights import channel_weights, decoder_energy
from training.dit import parameter_groups, prediction_errors
from training.dit_data import DAY, Scene, draw_batch
from training.export import load_networks
from training.latents import as_clip, load_vae
from training.run.cache import SceneCache
from training.run.learner import Learner
from training.run.schedule import rate_factor

FOLDER, MODEL = WORK / "grown", ROOT / "models" / "embedded"
SCENES, FIRST = 48, 1000
STEPS, BATCH, RATE = 250, 6, 0.002
STYLES = "synthetic", DAY
BLUR = "vis"


@lru_cache(maxsize=2)
def grown(kind: str) -> dict[str, torch.nn.Module]:
    """Branches by name: BLUR alone ("blur"), or the model's own with a block for each of the transformer's ("deep")."""
    networks = with_blur() if kind == "blur" else deepened()
    path = FOLDER / weights_of() / f"{kind}.safetensors"
    trained = {name: p for name, p in networks.named_parameters() if p.requires_grad}
    if not path.exists():
        train(networks)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as unfinished:
            save_file({name: p.detach().contiguous() for name, p in trained.items()}, str(unfinished))
    with torch.no_grad():
        for name, tensor in load_file(str(path)).items():
            trained[name].copy_(tensor)
    chosen = {BLUR: networks.branches[BLUR]} if kind == "blur" else dict(networks.branches)
    return {name: branch.eval().requires_grad_(False) for name, branch in chosen.items()}


def with_blur() -> EmbeddedNetworks:
    """The model's networks, frozen, and a fresh branch."""
    networks = load_networks(MODEL).requires_grad_(False)
    networks.branches[BLUR] = fresh(networks, (BLUR,), ARCHITECTURE)[BLUR]
    return networks


def deepened() -> EmbeddedNetworks:
    """The model's networks, frozen, with fresh blocks behind those of every branch."""
    networks = load_networks(MODEL).requires_grad_(False)
    layers = len(networks.transformer.transformer_blocks)
    control = {**ARCHITECTURE["control"], "n_controlnet_blocks": layers}
    longer = fresh(networks, tuple(networks.branches), {**ARCHITECTURE, "control": control})
    for name, branch in longer.items():
        own = networks.branches[name]
        branch.load_state_dict(own.state_dict(), strict=False)
        branch.requires_grad_(False).control_blocks[len(own.control_blocks) :].requires_grad_(True)
        networks.branches[name] = branch
    return networks


def fresh(networks: EmbeddedNetworks, names: Sequence[str], architecture: dict) -> torch.nn.ModuleDict:
    channels, words = networks.transformer.config.out_channels, networks.text_encoder.config.vocab_size
    return build_networks(channels, words, 0, architecture, names).branches


def train(networks: EmbeddedNetworks) -> None:
    """STEPS steps of what is not frozen, the rate rising at first and falling to nothing; in every third one the branch
    of the blurred clip is alone, if there is one."""
    vae = load_vae(MODEL / "vae")
    scenes = data(vae, BLUR in networks.branches)
    weights = channel_weights(decoder_energy(vae, scenes[0].latents["rgb.synthetic"][None].float()))
    groups = [{**g, "params": [p for p in g["params"] if p.requires_grad]} for g in parameter_groups(networks)]
    learner = Learner(networks, groups, RATE)
    for step in range(STEPS):
        batch = draw_batch(scenes, list(networks.branches), BATCH, seed=0, step=step)
        if BLUR in networks.branches and not step % 3:
            batch = alone(batch, BLUR)
        loss = prediction_errors(networks, batch, weights).mean()
        learner.update(loss, rate_factor(step, STEPS, step, STEPS, cooldown=100, warmup=30))
        if not step % 25:
            print(f"step {step}: {loss.item():.3f}", flush=True)


def data(vae: torch.nn.Module, blur: bool) -> list[Scene]:
    """The scenes in STYLES, with the latents of their blurred clips, if asked."""
    preset = read_preset(MODEL)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(str(MODEL / "tokenizer"), local_files_only=True)
    cache = SceneCache(FOLDER / "cache", "1", preset.maps, vae, tokenizer, preset.max_text_tokens)
    scenes = []
    for seed in range(FIRST, FIRST + SCENES):
        scene = cache.scene(seed)
        tokens = {style: scene.tokens[style] for style in STYLES}
        more = encoded_blur(vae, cache.frames(seed), preset.maps) if blur else {}
        scenes.append(replace(scene, tokens=tokens, latents=scene.latents | more))
    return scenes


@torch.no_grad()
def encoded_blur(vae: torch.nn.Module, frames: Path, maps: str) -> dict[str, Tensor]:
    """The latents of a scene's blurred clips, by the names that `draw_batch` looks for."""
    clips = load_file(str(frames))
    blurred = torch.stack([blur_of(as_clip(clips[f"rgb.{style}"]), maps) for style in STYLES])
    with torch.autocast("cpu", torch.bfloat16):
        return {f"{BLUR}.{style}": latent for style, latent in zip(STYLES, encode_clips(vae, blurred).half())}


def blur_of(frames: Tensor, maps: str) -> Tensor:
    """The job's map of the blurred clip, of a family's making."""
    return window_maps([BLUR], frames, 0, None, Estimators(), None, maps)[BLUR]
