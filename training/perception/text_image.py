"""CLIP's class, small: frames and captions of the world in one space, by contrast."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline_core.models.folders.loading import EMBEDDED
from pipeline_core.perception.captions import LOOKS
from pipeline_core.world import STYLES

from .data import Batch, Shard, whole
from .fit import Task
from .folder import write_model

SIDE, PATCH, TOKENS = 96, 12, 96
# Words by which a look is looked for, one for each style of the world.
WORDS = {
    "synthetic": "a computer graphics render of driving, saturated flat colours",
    **{f"photoreal.{name}": f"photoreal video from a car camera, {look.tag}" for name, look in LOOKS.items()},
}


@functools.cache
def tokenizer():
    """The embedded model's own, whose words are the captions'."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(EMBEDDED / "tokenizer"), local_files_only=True)


def build() -> torch.nn.Module:
    """1 million weights."""
    from transformers import CLIPConfig, CLIPModel

    words = tokenizer()
    text = {
        "vocab_size": len(words),
        "hidden_size": 96,
        "intermediate_size": 192,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "max_position_embeddings": TOKENS,
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
        "bos_token_id": None,
    }
    vision = {
        "hidden_size": 96,
        "intermediate_size": 288,
        "num_hidden_layers": 6,
        "num_attention_heads": 4,
        "image_size": SIDE,
        "patch_size": PATCH,
    }
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=64))


def squared(rgb: Tensor) -> Tensor:
    """Frames (B, 3, H, W) in [0, 1] squeezed to the network's square and normalised."""
    return (F.interpolate(rgb, size=(SIDE, SIDE), mode="bicubic", antialias=True).clamp(0, 1) - 0.5) / 0.5


def loss(model: torch.nn.Module, batch: Batch) -> Tensor:
    """InfoNCE both ways (Radford et al. 2021); frames with the same words count as each other's."""
    tokens = _tokens(batch.captions)
    answer = model(pixel_values=squared(batch.rgb), **tokens)
    same = torch.tensor([[a == b for b in batch.captions] for a in batch.captions]).float()
    target = same / same.sum(1, keepdim=True)
    return (F.cross_entropy(answer.logits_per_image, target) + F.cross_entropy(answer.logits_per_text, target)) / 2


def _tokens(texts: list[str]) -> dict[str, Tensor]:
    tokens = tokenizer()(texts, padding=True, truncation=True, max_length=TOKENS, return_tensors="pt")
    return {name: tokens[name] for name in ("input_ids", "attention_mask")}


@torch.no_grad()
def figures(model: torch.nn.Module, shards: list[Shard]) -> dict[str, float]:
    """looks: share of frames whose style's WORDS are nearest to them, of all styles'; captions: share of frames nearer
    to their own caption than to those of the other scenes in the same style."""
    texts = _features(model.text_projection(model.text_model(**_tokens(list(WORDS.values()))).pooler_output))
    right, nearest = [], []
    by_style: dict[str, list] = {style: [] for style in STYLES if style in WORDS}
    for scene in shards:
        for style, name in enumerate(scene.styles):
            batch = whole(scene, style)
            images = _features(model.visual_projection(model.vision_model(squared(batch.rgb)).pooler_output))
            right += (images @ texts.T).argmax(1).eq(list(WORDS).index(name)).tolist()
            by_style[name].append((images, batch.captions[0]))
    for pairs in by_style.values():
        captions = [caption for _, caption in pairs]
        if len(set(captions)) < 2:
            continue
        words = _features(model.text_projection(model.text_model(**_tokens(captions)).pooler_output))
        for index, (images, _) in enumerate(pairs):
            nearest += (images @ words.T).argmax(1).eq(index).tolist()
    return {"looks": sum(right) / len(right), "captions": sum(nearest) / max(1, len(nearest))}


def _features(values: Tensor) -> Tensor:
    return F.normalize(values.float(), dim=1)


def write(model: torch.nn.Module, folder: Path) -> None:
    """The released layout, with the tokenizer."""
    write_model(model, folder)
    tokenizer().save_pretrained(str(folder))
    picture = {"image_processor_type": "CLIPImageProcessor", "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    picture |= {"size": {"height": SIDE, "width": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}}
    (folder / "preprocessor_config.json").write_text(json.dumps(picture, indent=2) + "\n", encoding="utf-8")


TASK = Task(build, batch=64, rate=1e-2, steps=1000, loss=loss, figures=figures, write=write)
