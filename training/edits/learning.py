"""What the edit model learns: the edited clip's latent under noise, from the source's latent and the instruction."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from pipeline_core.edits.grammar import instruction_between
from pipeline_core.models.folders.loading import EMBEDDED
from pipeline_core.models.folders.preset_file import read_preset, write_preset
from pipeline_core.models.networks.prediction import network_input, training_target

from ..architecture import EmbeddedNetworks
from ..channel_weights import channel_weights, decoder_energy
from ..dit import PREDICTION, compile_blocks, parameter_groups
from ..export import write_networks
from ..optimizer import MixedOptimizer
from ..perception.fit import Task
from .data import STYLES, EditBatch, PairShard, batch_of, draw, pool, tokenised
from .network import build, edit_forward

_DRAWS = 2  # batches of the figures
# How an edit model is used: from the noise that it finds in the clip, guided by the clip and by the instruction,
# without control maps. Published is fresh noise, in which so small a network does not find the clip's details again.
PRESET = {
    "name": "embedded edit",
    "start": "inversion",
    "cfg": 1.5,
    "video_scale": 1.0,
    "prompt": "make it look real",
    "inversion_prompt": "make it a video game",
    "control_weights": {},
}


def errors(networks: EmbeddedNetworks, batch: EditBatch, weights: Tensor) -> Tensor:
    """Mean square of what the network answers minus what it should, of each sample (B,).

    weights: (C, 1, 1, 1), how much each latent channel counts; the batch says how much each place does.
    """
    s = batch.sigma.view(-1, 1, 1, 1, 1)
    x = network_input((1 - s) * batch.target + s * batch.noise, s, PREDICTION)
    # The fused attention's backward pass is slow on the CPU.
    with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
        answer = edit_forward(networks, x, batch.source, batch.sigma, batch.ids, batch.mask)
    target = training_target(batch.target, batch.noise, s, PREDICTION)
    return ((answer.float() - target).square() * weights * batch.importance).flatten(1).mean(1)


@torch.no_grad()
def figures(networks: EmbeddedNetworks, shards: list[PairShard], weights: Tensor) -> dict[str, float]:
    """Errors with the same draws every time: of edits as they are asked for; without the source; with the instruction
    of another edit, which a network that reads instructions pays for."""
    totals = {"error": 0.0, "no_source": 0.0, "other_instruction": 0.0}
    for index in range(_DRAWS):
        batch, other = _asked(shards, index)
        blind = replace(batch, source=torch.zeros_like(batch.source))
        wrong = replace(batch, ids=other[0], mask=other[1])
        for name, drawn in zip(totals, (batch, blind, wrong)):
            totals[name] += errors(networks, drawn, weights).mean().item() / _DRAWS
    return totals


def _asked(shards: list[PairShard], index: int, count: int = 6) -> tuple[EditBatch, tuple[Tensor, Tensor]]:
    """A batch of whole edits, and the tokens of other instructions."""
    rng = Random(index)
    edits = [rng.sample(range(len(STYLES)), 3) for _ in range(count)]
    chosen = [shards[rng.randrange(len(shards))] for _ in edits]
    scenes, importance = [shard.latents.float() for shard in chosen], [shard.importance.float() for shard in chosen]
    said, other = (
        [instruction_between(STYLES[edit[0]], STYLES[edit[after]], rng) for edit in edits] for after in (1, 2)
    )
    sources, targets = ([scene[edit[place]] for scene, edit in zip(scenes, edits)] for place in (0, 1))
    batch = batch_of(sources, targets, said, importance, torch.Generator().manual_seed(index))
    # Stratified levels: the figure would otherwise depend on a lucky draw.
    sigma = (torch.arange(count) * _DRAWS + index + 0.5) / (count * _DRAWS)
    return replace(batch, sigma=sigma), tokenised(other)


def write(networks: EmbeddedNetworks, folder: Path, base: Path = EMBEDDED) -> None:
    """diffusers' layout in half precision: transformer and text encoder; VAE and tokenizer stay those of the model
    folder `base`, which has to stand beside this one."""
    folder.mkdir(parents=True, exist_ok=True)
    write_networks(networks, folder, torch.float16, shares=base)
    write_preset(replace(read_preset(base), **PRESET), folder)


def edit_task(shard: PairShard, vae: torch.nn.Module) -> Task:
    """The embedded DiT's own optimiser; channels count by what they are to the picture, measured on a clip of `shard`
    and the VAE of its latents."""
    weights = channel_weights(decoder_energy(vae, shard.latents[:1, :, :2].float()))
    return Task(
        build,
        batch=8,
        rate=4e-3,
        steps=6000,
        loss=lambda networks, batch: errors(networks, batch, weights).mean(),
        figures=lambda networks, shards: figures(networks, shards, weights),
        write=write,
        draw=draw,
        optimizer=lambda networks: MixedOptimizer(parameter_groups(networks)),
        compile=compile_blocks,
        pool=pool,
    )
