"""What the edit model learns: the edited clip's latent under noise, from the source's latent and the instruction."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from random import Random

import torch
from torch import Tensor

from pipeline_core.edits.grammar import instruction_between
from pipeline_core.models.folders.loading import EMBEDDED
from pipeline_core.models.networks.prediction import network_input, training_target

from ..architecture import EmbeddedNetworks
from ..dit import PREDICTION
from ..export import write_networks
from ..perception.fit import Task
from .data import STYLES, EditBatch, PairShard, batch_of, draw, tokenised
from .network import build, edit_forward

_DRAWS = 2  # batches of the figures


def errors(networks: EmbeddedNetworks, batch: EditBatch) -> Tensor:
    """Mean square of what the network answers minus what it should, of each sample (B,)."""
    s = batch.sigma.view(-1, 1, 1, 1, 1)
    x = network_input((1 - s) * batch.target + s * batch.noise, s, PREDICTION)
    answer = edit_forward(networks, x, batch.source, batch.sigma, batch.ids, batch.mask)
    return (answer.float() - training_target(batch.target, batch.noise, s, PREDICTION)).square().flatten(1).mean(1)


def loss(networks: EmbeddedNetworks, batch: EditBatch) -> Tensor:
    return errors(networks, batch).mean()


@torch.no_grad()
def figures(networks: EmbeddedNetworks, shards: list[PairShard]) -> dict[str, float]:
    """Errors with the same draws every time: of edits as they are asked for; without the source; with the instruction
    of another edit, which a network that reads instructions pays for."""
    totals = {"error": 0.0, "no_source": 0.0, "other_instruction": 0.0}
    for index in range(_DRAWS):
        batch, other = _asked(shards, index)
        blind = replace(batch, source=torch.zeros_like(batch.source))
        wrong = replace(batch, ids=other[0], mask=other[1])
        for name, drawn in zip(totals, (batch, blind, wrong)):
            totals[name] += loss(networks, drawn).item() / _DRAWS
    return totals


def _asked(shards: list[PairShard], index: int, count: int = 6) -> tuple[EditBatch, tuple[Tensor, Tensor]]:
    """A batch of whole edits, and the tokens of other instructions."""
    rng = Random(index)
    edits = [rng.sample(range(len(STYLES)), 3) for _ in range(count)]
    scenes = [shards[rng.randrange(len(shards))].latents.float() for _ in edits]
    said, other = (
        [instruction_between(STYLES[edit[0]], STYLES[edit[after]], rng) for edit in edits] for after in (1, 2)
    )
    sources, targets = ([scene[edit[place]] for scene, edit in zip(scenes, edits)] for place in (0, 1))
    batch = batch_of(sources, targets, said, torch.Generator().manual_seed(index))
    # Stratified levels: the figure would otherwise depend on a lucky draw.
    sigma = (torch.arange(count) * _DRAWS + index + 0.5) / (count * _DRAWS)
    return replace(batch, sigma=sigma), tokenised(other)


def write(networks: EmbeddedNetworks, folder: Path) -> None:
    """diffusers' layout in half precision: transformer, text encoder, and the embedded model's VAE and tokenizer."""
    for part in ("vae", "tokenizer"):
        shutil.copytree(EMBEDDED / part, folder / part, dirs_exist_ok=True)
    write_networks(networks, folder, torch.float16)


TASK = Task(build, batch=8, rate=4e-3, steps=8000, loss=loss, figures=figures, write=write, draw=draw)
