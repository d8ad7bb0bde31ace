"""Render training scenes of the world to shards: one synthetic and two photoreal renders, and the control maps."""

from __future__ import annotations

import argparse
import inspect
import json
import multiprocessing
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import torch
from tqdm import tqdm

from pipeline_core.conditions.edge_operators import DEFAULT_EDGES, edges_by
from pipeline_core.errors import UserError

if TYPE_CHECKING:
    from pipeline_core.world import Scene

FRAMES, SIZE = 17, (96, 160)
CAPTIONS_PER_STYLE = 8
OTHER_LOOKS = ("dusk", "night", "rain", "fog")


def render_scene(seed: int, target: Path, world: int = 1, edges: str = DEFAULT_EDGES) -> None:
    """Write scene `seed` of a version of the world to `target`, atomically.

    safetensors, uint8; the captions, the world and the edge operator's name are in the metadata.
    """
    from safetensors.torch import save_file

    from pipeline_core.conditions.depth import disparity_limits, disparity_map
    from pipeline_core.conditions.segmentation import segmentation_map
    from pipeline_core.world import caption, render_styles
    from pipeline_core.world.tags import TRAFFIC_LIGHT

    rng = Random(seed * 2 + 1)
    scene = scene_of(seed, world)
    first = rng.randrange(0, 60)
    styles = ("synthetic", "photoreal.day", "photoreal." + rng.choice(OTHER_LOOKS))
    renders = render_styles(scene, range(first, first + FRAMES), SIZE, styles)
    source = renders["synthetic"]
    edge_maps = edges_by(edges, source.rgb, source.classes == TRAFFIC_LIGHT)
    limits = disparity_limits([source.depth])
    tensors = {f"rgb.{style}": to_bytes(renders[style].rgb) for style in styles}
    tensors |= {
        "edge": to_bytes(edge_maps),
        "depth": to_bytes(disparity_map(source.depth, limits)),
        "segmentation": to_bytes(segmentation_map(source.classes)),
    }
    captions = {style: [caption(scene, style, rng) for _ in range(CAPTIONS_PER_STYLE)] for style in styles}
    part = target.with_suffix(".part")
    save_file(tensors, str(part), {"captions": json.dumps(captions), "world": str(world), "edges": edges})
    part.replace(target)


def scene_of(seed: int, world: int) -> Scene:
    """The scene of a seed in a version of the world; UserError when this checkout's world has no such version."""
    from pipeline_core.world import make_scene

    if world == 1:
        return make_scene(seed)
    if "version" not in inspect.signature(make_scene).parameters:
        raise UserError(f"Version {world} of the world came and this checkout has version 1 only: change worlds.")
    return make_scene(seed, version=world)


def to_bytes(values: torch.Tensor) -> torch.Tensor:
    """[0, 1] to uint8, rounded."""
    return (values * 255).round().clamp(0, 255).to(torch.uint8)


def _work(job: tuple[int, Path]) -> None:
    torch.set_num_threads(1)
    render_scene(*job)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="first scene seed")
    parser.add_argument("--count", type=int, default=1500, help="number of scenes")
    parser.add_argument("--out", type=Path, default=Path("training/data/scenes"))
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    jobs = [(seed, args.out / f"scene_{seed:06d}.safetensors") for seed in range(args.first, args.first + args.count)]
    jobs = [job for job in jobs if not job[1].exists()]
    context = multiprocessing.get_context("spawn")
    with context.Pool(args.processes) as pool:
        for _ in tqdm(pool.imap_unordered(_work, jobs), total=len(jobs)):
            pass


if __name__ == "__main__":
    main()
