"""The card of a perception network: what it is, what it was trained on, how good it is.

Figures of tuning scenes come from the log, held-out ones from the benchmark's JSON where that measured these weights.
"""

from __future__ import annotations

import json
from pathlib import Path

from pipeline_core.finetune.checkpoint import read_state
from pipeline_core.metrics.report import file_hashes
from pipeline_core.video.files import write_json

from ..run.log import RunLog
from .data import FRAMES, TRAINING, TUNING

KINDS = {
    "depth": "depth of a frame up to scale, in Depth Anything's class",
    "segmentation": "semantic segmentation, in SegFormer's class",
    "detector": "boxes of objects, in RT-DETR's class",
    "text_image": "frames and captions in one space, in CLIP's class",
}
HELD_OUT = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "perception.json"


def write_card(network: str, folder: Path, run: Path, held_out: Path = HELD_OUT) -> None:
    """README.md and training.json of a model folder, from the run that made it and the benchmark's JSON."""
    state, last = read_state(run), RunLog(run).entries("figures")[-1]
    config, minutes = state["config"], round(state["cpu_seconds"] / 60)
    write_json(folder / "training.json", {"first_seed": TRAINING, **config, "cpu_minutes": minutes})
    figures = {name: value for name, value in last.items() if name not in ("kind", "step", "loss")}
    rows = "\n".join(f"| {name} | {value if value is None else round(value, 4)} |" for name, value in figures.items())
    text = f"""---
license: apache-2.0
---

# The world's own {network.replace("_", "-")} network

Small: {KINDS[network]}, trained from nothing on this pack's procedural world, both versions, all looks, synthetic and
photoreal, at 96x160. It knows nothing else: on other footage its answers mean nothing. It stands in where released
networks cannot be had, and goes through the same loaders.

- Trained on seeds {TRAINING} to {TRAINING + config["scenes"] - 1} ({FRAMES} frames of each scene in four styles),
  {config["steps"]} steps, seed {config["seed"]}, {minutes} CPU minutes of one core:
  `python -m training.perception {network}`.
- Figures of tuning scenes (seeds from {TUNING}, not trained on, looked at while it was made):

| figure | value |
| --- | --- |
{rows}

{_held_out(network, folder, held_out)}
"""
    (folder / "README.md").write_text(text, encoding="utf-8")


def _held_out(network: str, folder: Path, path: Path) -> str:
    """The benchmark's rows of this network, if they are of these weights."""
    measured = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"about": {}, "rows": []}
    weights = file_hashes({network: folder / "model.safetensors"})[network]["sha256"]
    if measured["about"].get("networks", {}).get(network, {}).get("sha256") != weights:
        return "No held-out figure of these weights has been measured: `python benchmarks/perception.py`."
    seeds = measured["about"]["seeds"]
    rows = [each for each in measured["rows"] if each["network"] == network]
    lines = [f"| {r['figure']} | {r['value']:.3g} | {r['low']:.3g} to {r['high']:.3g} |" for r in rows]
    head = f"Held-out scenes {seeds[0]} to {seeds[-1]}, never used before (`python benchmarks/perception.py`):"
    return "\n".join([head, "", "| figure | value | 95 % interval |", "| --- | --- | --- |", *lines])
