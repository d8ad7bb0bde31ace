"""Branches that the embedded model does not come with, for conditions.py: of the blurred clip, and for all blocks.

Trained onto the model with all else frozen, on scenes that its own training draws from, and kept with them in
benchmarks/out/papers/grown. So few steps say what a map or a block is worth at first, not in the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from benchmarks.papers.table import ROOT, WORK, weights_of
from pipeline_core.conditions.blur import blur_map
from pipeline_core.conditions.conventions import EMBEDDED, map_convention
from pipeline_core.models.folders.preset import Preset
from pipeline_core.models.folders.preset_file import read_preset
from pipeline_core.models.networks.vae import encode_clips
from pipeline_core.video.files import atomic_file
from training.architecture import ARCHITECTURE, EmbeddedNetworks, build_networks
from training.channel_weights import channel_weights, decoder_energy
from training.dit import parameter_groups, prediction_errors
from training.dit_data import DAY, Batch, Scene
from training.export import load_networks
from training.latents import as_clip, load_vae
from training.optimizer import MixedOptimizer
from training.run.cache import SceneCache

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
    """STEPS steps of what is not frozen, the rate rising at first and falling to nothing."""
    vae, preset = load_vae(MODEL / "vae"), read_preset(MODEL)
    scenes, blurred = data(vae, preset, BLUR in networks.branches)
    weights = channel_weights(decoder_energy(vae, scenes[0].latents["rgb.synthetic"][None].float()))
    groups = parameter_groups(networks)
    for group in groups:
        group["params"] = [p for p in group["params"] if p.requires_grad]
    optimizer = MixedOptimizer(groups)
    for step in range(STEPS):
        factor = min((step + 1) / 30, 1.0) * min((STEPS - step) / 100, 1.0)
        for group in optimizer.param_groups:
            group["lr"] = RATE * factor * group["lr_share"]
        loss = prediction_errors(networks, draw(scenes, blurred, list(networks.branches), step), weights).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for group in groups for p in group["params"]], 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if not step % 25:
            print(f"step {step}: {float(loss.detach()):.3f}", flush=True)


def data(vae: torch.nn.Module, preset: Preset, blur: bool) -> tuple[list[Scene], list[dict[str, Tensor]]]:
    """The scenes, and of each the latents of its blurred clips by style."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(str(MODEL / "tokenizer"), local_files_only=True)
    cache = SceneCache(FOLDER / "cache", "1", preset.maps, vae, tokenizer, preset.max_text_tokens)
    seeds = range(FIRST, FIRST + SCENES)
    scenes = [cache.scene(seed) for seed in seeds]
    return scenes, [encoded_blur(vae, cache.frames(seed)) if blur else {} for seed in seeds]


@torch.no_grad()
def encoded_blur(vae: torch.nn.Module, frames: Path) -> dict[str, Tensor]:
    clips = load_file(str(frames))
    table = map_convention(EMBEDDED).blur
    maps = torch.stack([blur_map(as_clip(clips[f"rgb.{style}"]), table=table) for style in STYLES])
    with torch.autocast("cpu", torch.bfloat16):
        return dict(zip(STYLES, encode_clips(vae, maps).half(), strict=True))


def draw(scenes: list[Scene], blurred: list[dict[str, Tensor]], names: list[str], step: int) -> Batch:
    """A batch of a step: two thirds photoreal, all branches alike or, in a third of the steps, the blurred clip's
    alone."""
    generator = torch.Generator().manual_seed(step)
    alone = BLUR in names and not step % 3
    share = {name: (float(name == BLUR) if alone else 1 / len(names)) for name in names}
    x0, ids, importance, hints = [], [], [], {name: [] for name in names}
    for _ in range(BATCH):
        at, style, caption = (int(torch.randint(n, (), generator=generator)) for n in (len(scenes), 3, 2**20))
        scene, key = scenes[at], STYLES[min(style, 1)]
        x0.append(scene.latents[f"rgb.{key}"])
        ids.append(scene.tokens[key][caption % len(scene.tokens[key])].long())
        importance.append(scene.importance)
        for name in names:
            hints[name].append(blurred[at][key] if name == BLUR else scene.latents[name])
    clean, tokens = torch.stack(x0).float(), torch.stack(ids)
    return Batch(
        x0=clean,
        hints={name: torch.stack(values).float() for name, values in hints.items()},
        weights={name: torch.full((BATCH, 1, 1), share[name]) for name in names},
        ids=tokens,
        mask=(tokens != 0).long(),
        sigma=torch.rand(BATCH, generator=generator),
        noise=torch.randn(clean.shape, generator=generator),
        importance=torch.stack(importance).float()[:, None],
    )
