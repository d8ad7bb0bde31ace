"""Write the embedded model's card from the files themselves and from the legs of its training (training.json)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

LEGS = "training.json"
CARD = """# Embedded model

A miniature Cosmos-Transfer in diffusers' own classes and folder layout, trained on the procedural driving world in
`pipeline_core/world`. It exists so that everything in this pack can be tried and tested on any machine against a
known truth. It is **small** and knows **only that world**: on other footage it shows the mechanism, not the quality.

| part | class | parameters | MB |
| --- | --- | --- | --- |
{parts}
| all | | {parameters} | {megabytes:.1f} |

- **Data**: scenes of seeds below 600000, 17 frames of 96x160 at 24 frames/s, each synthetic, photoreal by day and
  photoreal in one other look. The critic saw seeds from 600000, settings were tuned on seeds from 800000, and
  benchmarks use seeds from 900000 only.
- **Control maps** carry neither colours nor lamp positions: edges are blind inside signal heads, depth is disparity
  normalised over the clip, segmentation has class colours only. They are made as `maps`, here {maps}, says (a row of
  pipeline_core/conditions/conventions.py).
- **Made by** `make train`, on CPU cores. A run is the same again on the same machine only.
- **Legs of its training**, each from the weights before it:
{legs}

Licence: Apache-2.0, like the code; the training data is rendered by the code.
"""


def record_leg(model: Path, about: Mapping[str, object]) -> None:
    """Append what made the present weights to the model folder's training.json."""
    legs = read_legs(model)
    (model / LEGS).write_text(json.dumps([*legs, dict(about)], indent=1) + "\n", encoding="utf-8")


def read_legs(model: Path) -> list[dict]:
    """The legs so far, oldest first."""
    path = model / LEGS
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def leg_line(leg: Mapping) -> str:
    """A leg as an item of the card's list; one from before the trainer kept a record is its note alone."""
    if "step" not in leg:
        return f"  - {leg['note']}"
    best = min(leg["error"].values())
    steps = ", ".join(f"{count} of the {name}" for name, count in leg["task_steps"].items())
    text = (
        f"  - {leg['cpu_hours']:.1f} CPU hours ({steps}), worlds {leg['worlds']}, maps {leg['maps']}: tuning error "
        f"{best:.4f}, VAE {leg['vae_photoreal']:.1f} dB photoreal and {leg['vae_synthetic']:.1f} dB synthetic, whole "
        f"jobs {leg['psnr']:.1f} dB on four tuning scenes."
    )
    return f"{text} {leg['note']}".rstrip()


def part_row(folder: Path) -> tuple[str, int, int]:
    """A table row for one part of the model folder, its parameters and bytes."""
    from safetensors import safe_open

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    name = config.get("_class_name") or config.get("architectures", ["?"])[0]
    count = size = 0
    for path in folder.glob("*.safetensors"):
        size += path.stat().st_size
        with safe_open(str(path), framework="pt") as shard:
            count += sum(shard.get_tensor(key).numel() for key in shard.keys())  # noqa: SIM118
    return f"| {folder.name} | {name} | {count / 1e6:.2f} M | {size / 1e6:.1f} |", count, size


def write_card(model: Path) -> None:
    """Write README.md of the model folder."""
    from pipeline_core.models.folders.preset_file import read_preset

    rows = [part_row(path.parent) for path in sorted(model.glob("*/config.json"))]
    text = CARD.format(
        parts="\n".join(row for row, _, _ in rows),
        parameters=f"{sum(count for _, count, _ in rows) / 1e6:.2f} M",
        megabytes=sum(size for _, _, size in rows) / 1e6,
        maps=read_preset(model).maps,
        legs="\n".join(leg_line(leg) for leg in read_legs(model)),
    )
    (model / "README.md").write_text(text, encoding="utf-8")
