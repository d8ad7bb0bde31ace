"""Recipes of the DiT's training against each other: tuning error after equal CPU time from the same weights and scenes.

    python benchmarks/recipes.py --out DIR --recipe base --seconds 150      one recipe, added to DIR/recipes.jsonl
    python benchmarks/recipes.py --out DIR --table                          the table of all that were measured

CPU seconds of this process, so that other work on the machine counts little; rendering and compiling are not counted.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

# name -> settings of the run
RECIPES = {
    "base: rate .004, 8 clips": {},
    "rate .001": {"rate": 0.001},
    "rate .01": {"rate": 0.01},
    "4 clips, rate .0028": {"batch": 4, "rate": 0.0028},
    "16 clips, rate .0057": {"batch": 16, "rate": 0.0057},
}
SCENES = 48


def measure(out: Path, name: str, seconds: float) -> dict:
    """Train one recipe and measure the tuning error of its averages."""
    import torch

    from training.dit import compile_blocks, stratified_error
    from training.latents import TUNING_SEEDS
    from training.run.cache import ScenePool
    from training.run.learner import EXPONENTS
    from training.run.loop import one_step
    from training.run.opening import open_run

    torch.set_num_threads(1)
    folder = out / name.translate(str.maketrans(" :,.", "____"))
    fixed = {"schedule": "dit:1", "first_scenes": SCENES, "scene_every": 10**6}
    run = open_run(folder, {**fixed, **RECIPES[name]})
    run.cache.folder = out / "cache"  # one for all
    for sub in ("frames", "latents"):
        (run.cache.folder / sub).mkdir(parents=True, exist_ok=True)
    tuning = ScenePool(run.cache, range(TUNING_SEEDS, TUNING_SEEDS + 24))
    for seed in (*run.pool(), *tuning.seeds):
        run.cache.latents(seed)
    learner = run.learners["dit"]
    before, _ = stratified_error(learner.network, tuning, run.channel_weights)
    compile_blocks(learner.network)
    one_step(run, "dit")
    began, steps = time.process_time(), 0
    while time.process_time() - began < seconds:
        one_step(run, "dit")
        steps += 1
    spent = time.process_time() - began
    row = {"recipe": name, "steps": steps, "seconds": round(spent, 1), "before": before}
    with torch.compiler.set_stance("force_eager"):
        row |= {
            str(e): learner.averaged(e, lambda: stratified_error(learner.network, tuning, run.channel_weights)[0])
            for e in EXPONENTS
        }
        row["last weights"] = stratified_error(learner.network, tuning, run.channel_weights)[0]
    with (out / "recipes.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    return row


def table(out: Path) -> str:
    """Markdown of what was measured."""
    from training.run.learner import EXPONENTS

    rows = [json.loads(line) for line in (out / "recipes.jsonl").read_text(encoding="utf-8").splitlines()]
    lines = ["| recipe | steps | CPU s a clip | before | best average after | last weights |", "| --- |" + " --- |" * 5]
    for row in rows:
        best = min(row[str(exponent)] for exponent in EXPONENTS)
        clips = row["steps"] * RECIPES[row["recipe"]].get("batch", 8)
        lines.append(
            f"| {row['recipe']} | {row['steps']} | {row['seconds'] / clips:.3f} | {row['before']:.4f} "
            f"| {best:.4f} | {row['last weights']:.4f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "out" / "training")
    parser.add_argument("--recipe", choices=RECIPES)
    parser.add_argument("--seconds", type=float, default=150)
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    print(table(args.out) if args.table else json.dumps(measure(args.out, args.recipe, args.seconds)))


if __name__ == "__main__":
    main()
