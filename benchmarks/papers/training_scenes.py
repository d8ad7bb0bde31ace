"""What benchmarks/papers/downstream.py trains and tests on: frames of scenes in every form, with their truth.

Rendered, enhanced and judged by the gate into benchmarks/out/papers/downstream where they are not there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import cycle

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.embedded import SIZE
from benchmarks.gate import measured
from benchmarks.guided import Bench, open_bench
from benchmarks.papers.table import WORK, weights_of
from pipeline_core.batch.gate import judge
from pipeline_core.batch.rules import GateRules
from pipeline_core.job.settings import EnhanceSettings
from pipeline_core.world import make_scene, render_styles
from training.perception.data import CAPTIONS, Shard

FOLDER = WORK / "downstream"
CLIP, EVERY = 17, 4  # frames of a clip, and of them from one that is used to the next
TRAINING = range(931_000, 931_012)


def prepared(seeds: Sequence[int], enhance: bool) -> list[dict[str, Tensor]]:
    """Of every scene its frames (F, H, W, 3) uint8 as "raw", "photoreal" and, on demand, "enhanced" with "accepted",
    whether the gate accepts them; and its truth: depth, classes and instances (F, H, W)."""
    return [stored(f"{seed}", partial(scene, seed, enhance)) for seed in seeds]


def failed(seeds: Sequence[int]) -> list[dict[str, Tensor]]:
    """What a job that went wrong makes of every scene, "enhanced" with "accepted", by FAILURES in turn."""

    def made(seed: int, fail: Callable[[Bench], Tensor]) -> dict[str, Tensor]:
        bench = open_bench([seed])
        return judged(bench, fail(bench))

    return [stored(f"{seed}-failed", partial(made, seed, fail)) for seed, fail in zip(seeds, cycle(FAILURES))]


def stored(name: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """What the file of that name holds, made where it is not there."""
    path = FOLDER / weights_of() / f"{name}.safetensors"
    if not path.exists():
        made = {key: tensor.contiguous() for key, tensor in make().items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(made, str(path))
        print(f"scene {name}", flush=True)
    return load_file(str(path))


def wrong_maps(bench: Bench) -> Tensor:
    """Maps of another scene, from fresh noise: another street under this one's labels."""
    other = open_bench([OTHER])
    return bench.model.decode(replace(bench, hints=other.hints).job(EnhanceSettings(start="noise")))


def no_maps(bench: Bench) -> Tensor:
    """Nothing but words, from fresh noise: a street that the model made up."""
    return bench.model.decode(bench.job(EnhanceSettings(start="noise", controls={})))


def flat(bench: Bench) -> Tensor:
    """Enhanced as it should be, and from the second used frame on a plain colour."""
    frames = bench.model.decode(bench.job(EnhanceSettings()))
    return torch.cat([frames[:EVERY], frames[EVERY:].mean((1, 2), keepdim=True).expand_as(frames[EVERY:])])


FAILURES = wrong_maps, no_maps, flat
OTHER = 931_999  # the scene whose maps were taken for others


def scene(seed: int, enhance: bool) -> dict[str, Tensor]:
    return rendered(seed) | (enhanced(seed) if enhance else {})


def rendered(seed: int) -> dict[str, Tensor]:
    styles = {"raw": "synthetic", "photoreal": "photoreal.day"}
    renders = render_styles(make_scene(seed), CLIP, SIZE, tuple(styles.values()))
    truth = renders["synthetic"]
    scene = {name: to_bytes(renders[style].rgb) for name, style in styles.items()}
    scene |= {"depth": truth.depth.half(), "classes": truth.classes, "instances": truth.instances}
    return {name: values[::EVERY] for name, values in scene.items()}


def enhanced(seed: int) -> dict[str, Tensor]:
    bench = open_bench([seed])
    return judged(bench, bench.model.decode(bench.job(EnhanceSettings())))


def judged(bench: Bench, frames: Tensor) -> dict[str, Tensor]:
    """The frames that are used, and whether the gate accepts the clip they are of."""
    (_, figures), *_ = measured({"enhanced": (bench.clips[0].source, frames)}, bench.critic)
    accepted = judge(figures, GateRules().limits()).accepted
    return {"enhanced": to_bytes(frames[::EVERY]), "accepted": torch.tensor([accepted])}


def to_bytes(frames: Tensor) -> Tensor:
    return (frames * 255).round().byte()


def shard(scene: dict[str, Tensor], look: str, styles: list[str]) -> Shard:
    """A scene of the training's own form: the same frames under every one of these names of styles."""
    rgb = scene[look].expand(len(styles), *scene[look].shape)
    words = [[""] * CAPTIONS] * len(styles)
    return Shard(rgb, scene["depth"], scene["classes"], scene["instances"], styles, words)
