"""The card of a perception network: what it is, what it was trained on, how good it is. Figures come from the log."""

from __future__ import annotations

from pathlib import Path

from pipeline_core.finetune.checkpoint import read_state

from ..run.log import RunLog
from .data import FRAMES, TRAINING, TUNING

KINDS = {
    "depth": "depth of a frame up to scale, in Depth Anything's class",
    "segmentation": "semantic segmentation, in SegFormer's class",
    "detector": "boxes of objects, in RT-DETR's class",
    "text_image": "frames and captions in one space, in CLIP's class",
}


def write_card(network: str, folder: Path, run: Path) -> None:
    """README.md of a model folder, from the run that made it."""
    state, last = read_state(run), RunLog(run).entries("figures")[-1]
    config, first = state["config"], TRAINING
    figures = {name: value for name, value in last.items() if name not in ("kind", "step", "loss")}
    rows = "\n".join(f"| {name} | {value if value is None else round(value, 4)} |" for name, value in figures.items())
    text = f"""---
license: apache-2.0
---

# The world's own {network.replace("_", "-")} network

Small: {KINDS[network]}, trained from nothing on this pack's procedural world, both versions, all looks, synthetic and
photoreal, at 96x160. It knows nothing else: on other footage its answers mean nothing. It stands in where released
networks cannot be had, and goes through the same loaders.

- Trained on seeds {first} to {first + config["scenes"] - 1} ({config["scenes"]} scenes, {FRAMES} frames of each in four
  styles), {config["steps"]} steps, seed {config["seed"]}, {state["cpu_seconds"] / 60:.0f} CPU minutes of one core:
  `python -m training.perception {network}`.
- Figures of tuning scenes (seeds from {TUNING}, not trained on, looked at while it was made). No held-out figure has
  been measured.

| figure | value |
| --- | --- |
{rows}
"""
    (folder / "README.md").write_text(text, encoding="utf-8")
