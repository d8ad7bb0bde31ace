"""Write the embedded model's card from the training logs and the files themselves; numbers are never typed in."""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path

import torch

from .dit_data import HOLDOUT_EVERY

CARD = """# Embedded model

A miniature Cosmos-Transfer in diffusers' own classes and folder layout, trained on the procedural driving world in
`pipeline_core/world`. It exists so that everything in this pack can be tried and tested on any machine against a
known truth. It is **small** and knows **only that world**: on other footage it shows the mechanism, not the quality.

| part | class | parameters | MB |
| --- | --- | --- | --- |
{parts}
| all | | {parameters} | {megabytes:.1f} |

- **Data**: {scenes} scenes of seeds {first} to {last}, 17 frames of 96x160 at 24 frames/s, each synthetic, photoreal by
  day and photoreal in one other look; every {every}th seed held out of the DiT's training. The critic saw seeds from
  600000, settings were tuned on seeds from 800000, and benchmarks use seeds from 900000 only.
- **VAE**: {vae_steps} steps in {vae_minutes:.0f} minutes{decoder}; validation PSNR {vae_psnr}.
- **DiT, control branches, text encoder**: {dit_steps} steps in {dit_minutes:.0f} minutes, an EDM denoiser on
  flow times; training loss {dit_loss:.3f}, held-out prediction error {held_out:.3f} (flow time in fifths: {bins}).
- **Hardware**: {machine}, {cores} CPU cores, no GPU, torch {torch}.
- **Control maps** carry neither colours nor lamp positions: edges are blind inside signal heads, depth is disparity
  normalised over the clip, segmentation has class colours only. They are made as `maps`
  in preset.json says (a row of pipeline_core/conditions/conventions.py): here Canny with the Euclidean length on grey
  and a depth scale of quantiles, unlike Cosmos-Transfer's own. `Preset.maps` is the one place to change before training
  anew.
- **Made by** `make train` (resumable). A schedule in minutes ends at another step on another machine.{note}

Licence: Apache-2.0, like the code; the training data is rendered by the code.
"""


def last_entry(path: Path, key: str) -> dict:
    """The last line of a JSONL log that has `key`."""
    entries = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    return [entry for entry in entries if key in entry][-1]


def part_row(folder: Path) -> tuple[str, int, int]:
    """A table row for one part of the model folder, its parameters and bytes."""
    from safetensors import safe_open

    config = json.loads((folder / "config.json").read_text())
    name = config.get("_class_name") or config.get("architectures", ["?"])[0]
    count = size = 0
    for path in folder.glob("*.safetensors"):
        size += path.stat().st_size
        with safe_open(str(path), framework="pt") as shard:
            count += sum(shard.get_tensor(key).numel() for key in shard.keys())  # noqa: SIM118
    return f"| {folder.name} | {name} | {count / 1e6:.2f} M | {size / 1e6:.1f} |", count, size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("models/embedded"))
    parser.add_argument("--runs", type=Path, default=Path("training/runs"))
    parser.add_argument("--latents", type=Path, default=Path("training/data/latents"))
    parser.add_argument("--note", default="", help="what the logs do not know, such as a change between two legs")
    args = parser.parse_args()
    rows = [part_row(path.parent) for path in sorted(args.model.glob("*/config.json"))]
    seeds = sorted(int(path.stem.split("_")[1]) for path in args.latents.glob("scene_*.safetensors"))
    seeds = [seed for seed in seeds if seed < 600_000]
    vae, alone = last_entry(args.runs / "vae" / "log.jsonl", "psnr"), ""
    psnr = vae["psnr"]
    if (args.runs / "decoder" / "log.jsonl").exists():
        decoder = last_entry(args.runs / "decoder" / "log.jsonl", "psnr")
        psnr, minutes = decoder["psnr"], decoder["seconds"] / 60
        alone = f", then its decoder, grown to more layers, {decoder['step']} steps in {minutes:.0f} minutes"
    dit_log = args.runs / "dit" / "log.jsonl"
    held, loss = last_entry(dit_log, "held_out"), last_entry(dit_log, "loss")
    text = CARD.format(
        parts="\n".join(row for row, _, _ in rows),
        parameters=f"{sum(count for _, count, _ in rows) / 1e6:.2f} M",
        megabytes=sum(size for _, _, size in rows) / 1e6,
        scenes=len(seeds),
        first=seeds[0],
        last=seeds[-1],
        every=HOLDOUT_EVERY,
        vae_steps=vae["step"],
        vae_minutes=vae["seconds"] / 60,
        vae_psnr=", ".join(f"{name} {value:.1f} dB" for name, value in psnr.items()),
        decoder=alone,
        dit_steps=loss["step"],
        dit_minutes=loss["minutes"],
        dit_loss=loss["loss"],
        held_out=held["held_out"],
        bins=held["held_out_bins"],
        machine=platform.machine(),
        cores=os.cpu_count(),
        torch=torch.__version__,
        note=f" {args.note}" if args.note else "",
    )
    (args.model / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
