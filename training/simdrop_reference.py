"""The LoRA that SimDrop pushes away from (models/simdrop_reference): the embedded model trained on renders alone.

    python -m training.simdrop_reference WORK    renders, trains, writes the folder; goes on when run again

Synthetic drives of seeds 40000 to 40095 and people, orbits and layers of seeds 41000 to 41007, which nothing else uses.
Captions say what is there and not that it is rendered, so that what the LoRA learns is that look itself. Of
train-lora's files the one of diffusers is shipped, in halves.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline_core.doors import load_tensors, read_json
from pipeline_core.models.folders.loading import SIMDROP_REFERENCE
from pipeline_core.models.folders.lora import NAME, write_weights
from pipeline_core.video.files import write_json
from pipeline_core.world import drive_scene
from pipeline_core.world.captions import description

from .drive_clips import render_drives, run

DRIVES, STUDIO = range(40_000, 40_096), range(41_000, 41_008)
KINDS = "people,orbit,layers"
SHAPE = ["--frames", "17", "--size", "96x160"]
STEPS, RANK, RATE = 600, 8, 3e-4


def render(clips: Path) -> None:
    """The clips with their captions, where they are not there yet."""
    words = lambda seed: {"brief": description(drive_scene(seed, 17))}  # noqa: E731
    render_drives(clips / "drives", DRIVES, "synthetic", SHAPE, words)
    seeds = ["--seed", str(STUDIO.start), "--clips", str(len(STUDIO))]
    run(["render-cg", str(clips / "studio"), "--kind", KINDS, "--style", "synthetic", *seeds, *SHAPE])


def train(clips: Path, lora: Path) -> None:
    """The LoRA on them."""
    about = ["--steps", str(STEPS), "--rank", str(RANK), "--rate", str(RATE), "--captions", "brief"]
    run(["train-lora", str(clips), "-o", str(lora), *about])


def ship(lora: Path, folder: Path) -> None:
    """The LoRA's weights in halves and how they came about, into the folder; its card is written by hand."""
    folder.mkdir(parents=True, exist_ok=True)
    halves = {name: tensor.half() for name, tensor in load_tensors(lora / NAME).items()}
    write_weights(folder / NAME, halves, RANK)
    about = read_json(lora / "training.json", "train it again")
    seeds = {"drives": [DRIVES.start, DRIVES[-1]], KINDS: [STUDIO.start, STUDIO[-1]]}
    write_json(folder / "training.json", {**about, "captions": "brief", "seeds": seeds})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("work", type=Path, help="folder that keeps clips, latents and checkpoint")
    work = parser.parse_args().work
    render(work / "clips")
    train(work / "clips", work / "lora")
    ship(work / "lora", SIMDROP_REFERENCE)


if __name__ == "__main__":
    main()
