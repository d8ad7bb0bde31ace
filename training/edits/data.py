"""Exact pairs of the world as latents: a scene in every look, kept as shards, and batches of edits between two looks.

Seeds 550000 to 589999 train, 590000 to 599999 are for the log's figures; benchmarks never use either.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from functools import cache, cached_property
from pathlib import Path
from random import Random

import torch
from torch import Tensor

from pipeline_core.edits.grammar import instruction_between
from pipeline_core.models.folders.loading import EMBEDDED, load_part, load_tokenizer
from pipeline_core.models.networks.grid import token_grid_weights
from pipeline_core.models.networks.text import tokenise
from pipeline_core.models.networks.vae import encode_clips
from pipeline_core.video.files import atomic_file

from ..latents import encoder_mark
from ..pixel_weights import pixel_weights
from ..render import FRAMES, OTHER_LOOKS, SIZE, to_bytes

TRAINING, TUNING = 550_000, 590_000
WORLD = 1  # the version whose looks the embedded model knows
STYLES = ("synthetic", "photoreal.day", *(f"photoreal.{look}" for look in OTHER_LOOKS[WORLD]))
TOKENS = 64
# Shares of a batch without source, without instruction, and without both, as InstructPix2Pix drops them (2211.09800).
NO_SOURCE, NO_TEXT, NEITHER = 0.05, 0.05, 0.05
# Scenes at the first step, and steps after which there is one more: to make them takes time, too.
FIRST_SCENES, SCENE_EVERY = 48, 80


@dataclass(frozen=True)
class PairShard:
    """A scene: fp16 latents (STYLES, C, t, h, w), and importance (t, h, w), what the loss counts at each place."""

    latents: Tensor
    importance: Tensor


@dataclass(frozen=True)
class EditBatch:
    """source, target, noise (B, C, t, h, w), the source zero where there is none; ids, mask (B, TOKENS); sigma (B,);
    importance (B, 1, t, h, w)."""

    source: Tensor
    target: Tensor
    ids: Tensor
    mask: Tensor
    sigma: Tensor
    noise: Tensor
    importance: Tensor


class PairScene:
    """Scene `seed` of a folder as a PairShard, made there when it is first looked at."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._seed = folder, seed

    @cached_property
    def _shard(self) -> PairShard:
        return pair_shard(self._folder, self._seed)

    @property
    def latents(self) -> Tensor:
        return self._shard.latents

    @property
    def importance(self) -> Tensor:
        return self._shard.importance


@cache
def vae() -> torch.nn.Module:
    return load_part(EMBEDDED, "vae")


@cache
def _tokenizer():
    return load_tokenizer(EMBEDDED)


def tokenised(instructions: list[str]) -> tuple[Tensor, Tensor]:
    """ids, mask (B, TOKENS), by the embedded model's tokenizer, which knows any text."""
    return tokenise(_tokenizer(), instructions, TOKENS)


def pair_shard(folder: Path, seed: int, frames: int = FRAMES, size: tuple[int, int] = SIZE) -> PairShard:
    """Scene `seed` from the folder; rendered and encoded into it where it is not there, or of another encoder."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    path, mark = folder / f"pairs_{seed:06d}.safetensors", encoder_mark(vae())
    if not path.exists() or _mark(path) != mark:
        folder.mkdir(parents=True, exist_ok=True)
        metadata = {"vae": mark, "styles": json.dumps(STYLES)}
        with atomic_file(path) as part:
            save_file(vars(_encoded(seed, frames, size)), str(part), metadata)
    with safe_open(str(path), framework="pt") as file:
        return PairShard(**{field.name: file.get_tensor(field.name) for field in fields(PairShard)})


def _mark(path: Path) -> str | None:
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as file:
        return file.metadata().get("vae")


def _encoded(seed: int, frames: int, size: tuple[int, int]) -> PairShard:
    from pipeline_core.conditions.segmentation import segmentation_map
    from pipeline_core.world import make_scene, render_styles

    first = Random(seed * 2 + 1).randrange(0, 60)
    renders = render_styles(make_scene(seed, version=WORLD), range(first, first + frames), size, STYLES)
    with torch.autocast("cpu", torch.bfloat16):
        latents = torch.cat([encode_clips(vae(), renders[style].rgb[None]) for style in STYLES]).half()
    weights = pixel_weights(to_bytes(segmentation_map(renders[STYLES[0]].classes)))[0]
    return PairShard(latents, token_grid_weights(weights, latents.shape[2:], (1, 1, 1)).half())


def pool(shards: list, step: int) -> list:
    """The scenes a step may draw."""
    return shards[: FIRST_SCENES + step // SCENE_EVERY]


def draw(shards: list[PairShard], count: int, generator: torch.Generator) -> EditBatch:
    """A batch of edits from one look of a scene to another, with instructions, sources and texts dropped at random."""

    def pick(many: int) -> int:
        return int(torch.randint(many, (1,), generator=generator))

    sources, targets, instructions, importance = [], [], [], []
    for _ in range(count):
        shard, before = shards[pick(len(shards))], pick(len(STYLES))
        after = (before + 1 + pick(len(STYLES) - 1)) % len(STYLES)
        dropped = float(torch.rand((), generator=generator))
        no_source = dropped < NO_SOURCE + NEITHER
        no_text = NO_SOURCE <= dropped < NO_SOURCE + NEITHER + NO_TEXT
        sources.append(shard.latents[before].float() * (0.0 if no_source else 1.0))
        targets.append(shard.latents[after].float())
        importance.append(shard.importance.float())
        words = Random(pick(2**31))
        instructions.append("" if no_text else instruction_between(STYLES[before], STYLES[after], words))
    return batch_of(sources, targets, instructions, importance, generator)


def batch_of(
    sources: list[Tensor],
    targets: list[Tensor],
    instructions: list[str],
    importance: list[Tensor],
    generator: torch.Generator,
) -> EditBatch:
    """Levels half uniform and half logit-normal, as the embedded model was trained; noise of their own."""
    target, count = torch.stack(targets), len(targets)
    ids, mask = tokenised(instructions)
    even, normal = torch.rand(count, generator=generator), torch.randn(count, generator=generator).sigmoid()
    sigma = torch.where(torch.rand(count, generator=generator) < 0.5, even, normal)
    noise = torch.randn(target.shape, generator=generator)
    return EditBatch(torch.stack(sources), target, ids, mask, sigma, noise, torch.stack(importance)[:, None])
