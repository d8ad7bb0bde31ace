"""Frames of the world with their truth, for the perception networks: rendered once, kept as shards.

Seeds 700000 to 779999 train, 780000 to 789999 are for tuning; benchmarks never use either, and held-out figures never
use these.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from torch import Tensor

from pipeline_core.video.files import atomic_file

from ..render import OTHER_LOOKS, SIZE, to_bytes

TRAINING, TUNING = 700_000, 780_000
FRAMES = 3  # of a scene, a second or two apart
LOOKS = 2  # besides day
CAPTIONS = 4  # of a style
LEAST = 4  # pixels: what has fewer is no object for anybody


@dataclass(frozen=True)
class Shard:
    """A scene. rgb (S, F, H, W, 3) uint8 of S styles; depth (F, H, W) float16 metres, inf in the sky; classes and
    instances (F, H, W), the latter numbered from 1 in the scene, 0 for none; styles; captions: some of each style."""

    rgb: Tensor
    depth: Tensor
    classes: Tensor
    instances: Tensor
    styles: list[str]
    captions: list[list[str]]


def render_shard(seed: int, size: tuple[int, int] = SIZE) -> Shard:
    """Scene `seed`, half of them of each version of the world: synthetic, day and other looks of the same frames."""
    from pipeline_core.world import caption, make_scene, render_styles

    rng = Random(seed * 2 + 1)
    version = rng.choice(tuple(OTHER_LOOKS))
    scene = make_scene(seed, version=version)
    looks = ["day", *rng.sample(OTHER_LOOKS[version], LOOKS)]
    styles = ["synthetic", *(f"photoreal.{look}" for look in looks)]
    first = rng.randrange(0, 60)
    frames = [first + step * rng.randrange(12, 25) for step in range(FRAMES)]
    renders = render_styles(scene, frames, size, styles)
    truth = renders["synthetic"]
    _, numbers = torch.unique(truth.instances, return_inverse=True)
    return Shard(
        torch.stack([to_bytes(renders[style].rgb) for style in styles]),
        truth.depth.half(),
        truth.classes,
        numbers.to(torch.int16) + int(bool((truth.instances > 0).all())),
        styles,
        [[caption(scene, style, rng) for _ in range(CAPTIONS)] for style in styles],
    )


def shard(folder: Path, seed: int) -> Shard:
    """Scene `seed` from the folder, rendered into it where it is not there."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    path = folder / f"scene_{seed:06d}.safetensors"
    names = ("rgb", "depth", "classes", "instances")
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        rendered = render_shard(seed)
        words = {name: json.dumps(getattr(rendered, name)) for name in ("styles", "captions")}
        with atomic_file(path) as part:  # two networks may be trained at a time
            save_file({name: getattr(rendered, name).contiguous() for name in names}, str(part), words)
    with safe_open(str(path), framework="pt") as file:
        words = file.metadata()
        tensors = {name: file.get_tensor(name) for name in names}
    return Shard(**tensors, styles=json.loads(words["styles"]), captions=json.loads(words["captions"]))


@dataclass(frozen=True)
class Batch:
    """B frames. rgb (B, 3, H, W) in [0, 1]; depth (B, H, W) metres, inf in the sky; classes, instances (B, H, W);
    styles and captions: of each frame."""

    rgb: Tensor
    depth: Tensor
    classes: Tensor
    instances: Tensor
    styles: list[str]
    captions: list[str]


def draw(shards: list[Shard], count: int, generator: torch.Generator) -> Batch:
    """A batch of random frames of random scenes in random styles, disturbed as cameras and codecs do, half of them
    mirrored."""
    from ..disturbance import disturb

    def pick(many: int) -> int:
        return int(torch.randint(many, (1,), generator=generator))

    rows = []
    for _ in range(count):
        scene = shards[pick(len(shards))]
        # Half synthetic: both styles weigh the same.
        style = 0 if pick(2) else 1 + pick(len(scene.styles) - 1)
        frame, words = pick(scene.rgb.shape[1]), pick(CAPTIONS)
        rows.append(_row(scene, style, frame, words))
    batch = _stacked(rows)
    mirrored = torch.rand(count, generator=generator) < 0.5
    maps = {
        name: torch.where(mirrored[:, None, None], getattr(batch, name).flip(-1), getattr(batch, name))
        for name in ("depth", "classes", "instances")
    }
    rgb = torch.where(mirrored[:, None, None, None], batch.rgb.flip(-1), batch.rgb)
    # "Sun from the left" is no longer true of a mirrored frame; "left" and "right" change places.
    captions = [_mirrored(text) if turned else text for text, turned in zip(batch.captions, mirrored.tolist())]
    return Batch(disturb(rgb, generator), **maps, styles=batch.styles, captions=captions)


def whole(scene: Shard, style: int) -> Batch:
    """All frames of a scene in one style, as they were rendered."""
    return _stacked([_row(scene, style, frame, 0) for frame in range(scene.rgb.shape[1])])


def boxes(classes: Tensor, instances: Tensor, tags: tuple[int, ...]) -> list[tuple[int, Tensor]]:
    """The objects of a frame (H, W): (tag, box), the box (x0, y0, x1, y1) in pixels around an instance's pixels of
    that tag, of those with at least LEAST pixels."""
    objects = []
    for tag in tags:
        ids = torch.where(classes == tag, instances, 0)
        for number in ids.unique().tolist():
            ys, xs = (ids == number).nonzero(as_tuple=True) if number else ((), ())
            if len(ys) >= LEAST:
                objects.append((tag, torch.stack([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]).float()))
    return objects


def _row(scene: Shard, style: int, frame: int, words: int) -> Batch:
    return Batch(
        scene.rgb[style, frame].permute(2, 0, 1).float() / 255,
        scene.depth[frame].float(),
        scene.classes[frame],
        scene.instances[frame],
        scene.styles[style],
        scene.captions[style][words],
    )


def _stacked(rows: list[Batch]) -> Batch:
    maps = [torch.stack([getattr(row, name) for row in rows]) for name in ("rgb", "depth", "classes", "instances")]
    return Batch(*maps, [row.styles for row in rows], [row.captions for row in rows])


def _mirrored(text: str) -> str:
    return text.replace("left", "\0").replace("right", "left").replace("\0", "right")
