"""Recipes of the DiT's training against each other: tuning error after equal CPU time from the same weights and scenes.

    python benchmarks/recipes.py --start RUN --recipe NAME --seconds 300      one recipe, added to recipes.jsonl
    python benchmarks/recipes.py --table                                      the table of all that were measured

Every recipe goes on from the same run, with its optimiser and averages, on the scenes that it has. CPU seconds of this
process, so that other work on the machine counts little; rendering and compiling are not counted.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

# name -> settings of the run, and "batches": what is done to every batch before its step
RECIPES = {
    "as it is: 8 clips, rate .002": {},
    "rate .001": {"rate": 0.001},
    "rate .004": {"rate": 0.004},
    "4 clips, rate .0014": {"batch": 4, "rate": 0.0014},
    "16 clips, rate .0028": {"batch": 16, "rate": 0.0028},
    "one control branch in every second step": {"batches": lambda batch, step: one_branch(batch, step)},
    "flow times evenly drawn": {"batches": lambda batch, step: even_times(batch, step)},
    "every place counts alike": {"batches": lambda batch, step: alike(batch)},
}


def one_branch(batch, step: int):
    """In every second step one branch at full weight, which leaves out the calls of the others."""
    if step % 2:
        return batch
    return alone(batch, list(batch.weights)[step // 2 % len(batch.weights)])


def alone(batch, branch: str):
    """The batch with one branch at full weight and the others at none."""
    return replace(batch, weights={name: w * 0 + float(name == branch) for name, w in batch.weights.items()})


def even_times(batch, step: int):
    import torch

    return replace(batch, sigma=torch.rand(len(batch.sigma), generator=torch.Generator().manual_seed(step)))


def alike(batch):
    return replace(batch, importance=batch.importance * 0 + 1)


def measure(out: Path, start: Path, name: str, seconds: float) -> dict:
    """Train one recipe and measure the tuning error of its averages."""
    import torch

    from pipeline_core.finetune.checkpoint import read_state
    from training.dit import compile_blocks, stratified_error
    from training.latents import TUNING_SEEDS
    from training.run import loop
    from training.run.cache import ScenePool
    from training.run.learner import EXPONENTS
    from training.run.opening import open_run
    from training.run.schedule import scene_pool

    torch.set_num_threads(1)
    folder = out / name.translate(str.maketrans(" :,.", "____"))
    settings = dict(RECIPES[name])
    changed = settings.pop("batches", lambda batch, step: batch)
    state = read_state(start)
    config = state["config"]
    pool = scene_pool(state["step"], *(config[key] for key in ("first_scene", "first_scenes", "scene_every", "scenes")))
    taken = {"first_scene": pool.start, "first_scenes": len(pool), "scenes": len(pool), "scene_every": 10**6}
    own = {key: config[key] for key in ("worlds", "maps", "batch", "rate")}
    run = open_run(folder, {"start": str(start), "schedule": "dit:1", **own, **taken, **settings})
    draw, step = loop.draw_batch, lambda: loop.one_step(run, "dit")
    tuning = ScenePool(run.cache, range(TUNING_SEEDS, TUNING_SEEDS + 24))
    for seed in (*run.pool(), *tuning.seeds):
        run.cache.latents(seed)
    learner = run.learners["dit"]

    def errors() -> dict[str, float]:
        def error() -> float:
            return stratified_error(learner.network, tuning, run.channel_weights)[0]

        return {str(e): learner.averaged(e, error) for e in EXPONENTS} | {"last weights": error()}

    before = errors()
    compile_blocks(learner.network)
    with mock.patch.object(loop, "draw_batch", lambda *given: changed(draw(*given), run.state["step"])):
        step()
        began, steps = time.process_time(), 0
        while time.process_time() - began < seconds:
            step()
            steps += 1
        spent = time.process_time() - began
    row = {"recipe": name, "steps": steps, "seconds": round(spent, 1), "before": before}
    with torch.compiler.set_stance("force_eager"):
        row["after"] = errors()
    with (out / "recipes.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    return row


def table(out: Path) -> str:
    """Markdown of what was measured."""
    from training.run.learner import EXPONENTS

    rows = [json.loads(line) for line in (out / "recipes.jsonl").read_text(encoding="utf-8").splitlines()]
    lines = ["| recipe | steps | CPU s a clip | best average before | after | last weights |", "| --- |" + " --- |" * 5]
    for row in rows:
        before, best = (min(row[when][str(e)] for e in EXPONENTS) for when in ("before", "after"))
        clips = row["steps"] * RECIPES[row["recipe"]].get("batch", 8)
        lines.append(
            f"| {row['recipe']} | {row['steps']} | {row['seconds'] / clips:.3f} | {before:.4f} "
            f"| {best:.4f} | {row['after']['last weights']:.4f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "out" / "training")
    parser.add_argument("--start", type=Path, default=ROOT / "training" / "runs" / "long", help="the run's folder")
    parser.add_argument("--recipe", choices=RECIPES)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    print(table(args.out) if args.table else json.dumps(measure(args.out, args.start, args.recipe, args.seconds)))


if __name__ == "__main__":
    main()
