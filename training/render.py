"""Render training scenes of the world to shards: one synthetic and two photoreal renders, and the control maps."""

from __future__ import annotations

import argparse
import json
import multiprocessing
from pathlib import Path
from random import Random

import torch
from tqdm import tqdm

from pipeline_core.conditions.conventions import EMBEDDED, map_convention
from pipeline_core.video.files import atomic_file

FRAMES, SIZE = 17, (96, 160)
CAPTIONS_PER_STYLE = 8
OTHER_LOOKS = {1: ("dusk", "night", "rain", "fog"), 2: ("dusk", "night", "rain", "fog", "snow")}


def render_scene(seed: int, target: Path, world: int = 1, maps: str = EMBEDDED) -> None:
    """Write scene `seed` of a version of the world to `target`, atomically.

    safetensors, uint8; the captions, the world and the maps' convention are in the metadata.
    """
    from safetensors.torch import save_file

    from pipeline_core.conditions.depth import depth_limits, disparity_map
    from pipeline_core.conditions.edges import edge_map
    from pipeline_core.conditions.segmentation import segmentation_map
    from pipeline_core.world import caption, make_scene, render_styles
    from pipeline_core.world.tags import TRAFFIC_LIGHT

    rng = Random(seed * 2 + 1)
    scene = make_scene(seed, version=world)
    first = rng.randrange(0, 60)
    styles = ("synthetic", "photoreal.day", "photoreal." + rng.choice(OTHER_LOOKS[world]))
    renders = render_styles(scene, range(first, first + FRAMES), SIZE, styles)
    source = renders["synthetic"]
    convention = map_convention(maps)
    edges = edge_map(source.rgb, ignore=source.classes == TRAFFIC_LIGHT, operator=convention.edges)
    limits = depth_limits([source.depth], convention.depth)
    tensors = {f"rgb.{style}": to_bytes(renders[style].rgb) for style in styles}
    tensors |= {
        "edge": to_bytes(edges),
        "depth": to_bytes(disparity_map(source.depth, limits)),
        "segmentation": to_bytes(segmentation_map(source.classes)),
    }
    captions = {style: [caption(scene, style, rng) for _ in range(CAPTIONS_PER_STYLE)] for style in styles}
    with atomic_file(target) as unfinished:
        save_file(tensors, str(unfinished), {"captions": json.dumps(captions), "world": str(world), "maps": maps})


def to_bytes(values: torch.Tensor) -> torch.Tensor:
    """[0, 1] to uint8, rounded."""
    return (values * 255).round().clamp(0, 255).to(torch.uint8)


def _work(job: tuple[int, Path, int]) -> None:
    torch.set_num_threads(1)
    render_scene(*job)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="first scene seed")
    parser.add_argument("--count", type=int, default=1500, help="number of scenes")
    parser.add_argument("--out", type=Path, default=Path("training/data/scenes"))
    parser.add_argument("--version", type=int, choices=tuple(OTHER_LOOKS), default=1, help="of the world")
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    targets = {seed: args.out / f"scene_{seed:06d}.safetensors" for seed in range(args.first, args.first + args.count)}
    jobs = [(seed, target, args.version) for seed, target in targets.items() if not target.exists()]
    context = multiprocessing.get_context("spawn")
    with context.Pool(args.processes) as pool:
        for _ in tqdm(pool.imap_unordered(_work, jobs), total=len(jobs)):
            pass


if __name__ == "__main__":
    main()
