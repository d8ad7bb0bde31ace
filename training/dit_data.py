"""Latents and captions of scenes, and batches drawn from them as a pure function of (seed, step)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline_core.models.networks.text import tokenise

DAY = "photoreal.day"


@dataclass(frozen=True)
class Scene:
    """One scene: seed, latents fp16 (C, t, h, w) by tensor name, token ids (captions, length) by style key, and what
    the loss counts at each latent place, fp16 (t, h, w)."""

    seed: int
    latents: dict[str, torch.Tensor]
    tokens: dict[str, torch.Tensor]
    importance: torch.Tensor


@dataclass(frozen=True)
class Batch:
    """x0 (B, C, t, h, w), hints {modality: same shape}, weights {modality: (B, 1, 1)}, ids and mask (B, length),
    importance (B, 1, t, h, w)."""

    x0: torch.Tensor
    hints: dict[str, torch.Tensor]
    weights: dict[str, torch.Tensor]
    ids: torch.Tensor
    mask: torch.Tensor
    sigma: torch.Tensor
    noise: torch.Tensor
    importance: torch.Tensor


def load_scene(path: Path, seed: int, tokenizer, length: int) -> Scene:
    """A scene's latents and tokenised captions, as `latents.encode_scene` wrote them."""
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as shard:
        captions = json.loads(shard.metadata()["captions"])
        latents = {name: shard.get_tensor(name) for name in shard.keys()}  # noqa: SIM118 (no __iter__)
    tokens = {
        key: tokenise(tokenizer, sentences, length)[0].to(torch.int16)
        for key, sentences in captions.items()
        if f"rgb.{key}" in latents and sentences
    }
    importance = latents.pop("importance")
    return Scene(seed, latents, tokens, importance)


def draw_batch(
    scenes: Sequence[Scene],
    modalities: Sequence[str],
    size: int,
    seed: int,
    step: int,
    synthetic: float = 0.35,
    by_day: float = 0.65,
    no_text: float = 0.1,
) -> Batch:
    """A training batch, the same for the same (scenes, seed, step): this is what makes resuming exact.

    synthetic: share of synthetic renders. by_day: share of the photoreal ones that show the default look; each of
    the four others is in a quarter of the scenes only. no_text: share of empty prompts (for classifier-free guidance).
    """
    generator = torch.Generator().manual_seed((seed << 32) + step)

    def uniform() -> float:
        return torch.rand((), generator=generator).item()

    def choose(items: Sequence):
        return items[int(torch.randint(len(items), (), generator=generator))]

    x0, hints, ids, weights, importance = [], {m: [] for m in modalities}, [], [], []
    for _ in range(size):
        scene = choose(scenes)
        others = sorted(scene.tokens.keys() - {"synthetic", DAY})
        if uniform() < synthetic:
            key = "synthetic"
        else:
            key = choose(others) if others and uniform() >= by_day else DAY
        x0.append(scene.latents[f"rgb.{key}"])
        importance.append(scene.importance)
        for modality in modalities:  # one that is made of the picture itself is another one for every style
            own = scene.latents.get(f"{modality}.{key}")
            hints[modality].append(scene.latents[modality] if own is None else own)
        caption = choose(scene.tokens[key]).long()
        ids.append(_empty_prompt(caption) if uniform() < no_text else caption)
        weights.append(_control_weights(len(modalities), uniform))
    x0 = torch.stack(x0).float()
    weight_table = torch.tensor(weights)
    ids = torch.stack(ids)
    # Half uniform, half logit-normal: uniform keeps the ends trained that inversion walks through.
    sigma = torch.where(
        torch.rand(size, generator=generator) < 0.5,
        torch.rand(size, generator=generator),
        torch.randn(size, generator=generator).sigmoid(),
    )
    return Batch(
        x0=x0,
        hints={m: torch.stack(values).float() for m, values in hints.items()},
        weights={m: weight_table[:, i].view(size, 1, 1) for i, m in enumerate(modalities)},
        ids=ids,
        mask=(ids != 0).long(),
        sigma=sigma,
        noise=torch.randn(x0.shape, generator=generator),
        importance=torch.stack(importance).float()[:, None],
    )


def _empty_prompt(caption: torch.Tensor) -> torch.Tensor:
    """Token ids of "": the end token (id 1), then padding (id 0)."""
    empty = torch.zeros_like(caption)
    empty[0] = 1
    return empty


def _control_weights(count: int, uniform) -> list[float]:
    """Random branch weights after w / max(1, sum w): 8 % none, mostly all, sometimes a subset."""
    if uniform() < 0.08:
        return [0.0] * count
    keep = [True] * count if uniform() < 0.65 else [uniform() < 0.5 for _ in range(count)]
    if not any(keep):
        keep[int(uniform() * count)] = True
    # Half the time all branches weigh 1, which is what a job uses by default.
    equal = uniform() < 0.5
    raw = [(1.0 if equal else 0.2 + 0.8 * uniform()) if used else 0.0 for used in keep]
    total = max(1.0, sum(raw))
    return [value / total for value in raw]
