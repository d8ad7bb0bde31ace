"""What speeds a job up on the embedded model, and what each way costs: time, network work, likeness, lamps, realism.

    python benchmarks/speed.py --json benchmarks/results/speed.json     the table, on scenes 900000 and up
    python benchmarks/speed.py --tune                                   what is tuned, on scenes 800000 and up

One window of 17 frames a scene, scene after scene, the preset's steps, one run after another on one core. `time` is the
share of the processor time that inversion and sampling took without the change (processor time, because other jobs of
the machine do not count in it); `work` the share of the network's blocks. Decoding, maps and metrics are not timed, and
an inversion that several rows share is run once and counted in each. `calls` are network evaluations, both passes;
`skipped` those of them that the first-block cache cut short.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from benchmarks import common  # noqa: E402
from benchmarks.guided import Bench, figures_of, open_bench, summary  # noqa: E402
from pipeline_core.diffusion import VE, Inversion, guided, invert, sample  # noqa: E402
from pipeline_core.diffusion.guidance import CFG, Guidance, Interval, Only  # noqa: E402
from pipeline_core.video.files import write_json  # noqa: E402

HELD_OUT, TUNING = range(900_000, 900_010), range(800_000, 800_010)
TUNED = Path(__file__).with_name("speed_tuned.json")
COLUMNS = ("table", "row", "time", "work", "calls", "skipped", "psnr", "edge_f1", "lamps", "vehicles", "critic")
THRESHOLDS = (0.05, 0.1, 0.2, 0.3)
INVERSION_STEPS = (5, 10)
BELOW = (1.5, 5.0)
STRONG = 3.0  # the guidance scale of the interval's table
# What a tuned setting may lose against the plain run on the tuning scenes.
LOSS = {"psnr": 0.2, "critic": 0.02, "lamps": 0.02}


class Work:
    """Processor time and network work: blocks, calls, and calls that got past the first block."""

    def __init__(self, model):
        self.now = {"blocks": 0, "calls": 0, "whole": 0}
        base = model.transformer.transformer_blocks
        every = [block for branch in model.branches.values() for block in branch.control_blocks] + list(base)
        for blocks, name in ((every, "blocks"), (base[:1], "calls"), (base[1:2], "whole")):
            for block in blocks:
                block.register_forward_hook(partial(self._count, name))

    def _count(self, name, _module, inputs, *_) -> None:
        self.now[name] += len(inputs[0])  # a batch of conditions is as many calls

    def of(self, make: Callable[[], object]) -> tuple[object, dict]:
        """What make() gives, and what it took."""
        before = self._read()
        result = make()
        return result, {name: value - before[name] for name, value in self._read().items()}

    def _read(self) -> dict:
        return {**self.now, "seconds": time.process_time()}


@dataclass
class Scene:
    """One scene, its inversions so far by their steps, and the count of work."""

    bench: Bench
    work: Work
    inversions: dict = field(default_factory=dict)

    def inverted(self, steps: int | None) -> tuple[Inversion, dict]:
        if steps not in self.inversions:
            bench = self.bench
            denoise = guided(bench.predict(), Only("inversion"))
            self.inversions[steps] = self.work.of(lambda: invert(denoise, bench.latent, bench.sigmas(steps=steps), VE))
        return self.inversions[steps]

    def job(
        self, guidance: Guidance, cache: float = 0.0, inversion_steps: int | None = None, together: bool = False
    ) -> tuple[Tensor, dict]:
        """The scene's latent from its inversion, as the pipeline makes it with these settings, and what it took."""
        inversion, first = self.inverted(inversion_steps)
        bench = replace(self.bench, one_by_one=not together)
        # The retracing solver belongs to the inversion's own grid.
        solver = inversion.solver if inversion_steps is None else bench.settings().solver
        denoise = guided(bench.predict(cache=cache), guidance)
        run = lambda: sample(denoise, inversion.noise, bench.sigmas(), VE, x0=bench.latent, solver=solver)  # noqa: E731
        latent, second = self.work.of(run)
        return latent, {name: value + second[name] for name, value in first.items()}


def measured(table: str, name: str, scenes: list[Scene], guidance: Guidance, value: float | None = None, **how) -> dict:
    """One row: the figures of every scene's latent, and what they took."""
    figures, took = [], Counter()
    for scene in scenes:
        latent, used = scene.job(guidance, **how)
        took.update(used)
        figures.append(figures_of(scene.bench, scene.bench.clips[0], latent[0], "day"))
    mean = {what: amount / len(scenes) for what, amount in took.items()}
    row = {"table": table, "row": name, "value": value, **summary(figures), **mean}
    row["skipped"] = row["calls"] - row.pop("whole")
    print(f"{name}: {row['seconds']:.2f} s, {row['psnr']:.2f} dB, critic {row['critic']:.3f}", flush=True)
    return row


def shares(rows: list[dict], base: dict) -> list[dict]:
    """The rows with their time and work as shares of another's."""
    return [{**row, "time": row["seconds"] / base["seconds"], "work": row["blocks"] / base["blocks"]} for row in rows]


def cached(scenes: list[Scene], thresholds) -> list[dict]:
    table = "first-block cache"
    return [measured(table, f"threshold {v:g}", scenes, CFG(1.0), v, cache=v) for v in thresholds]


def shortened(scenes: list[Scene], counts) -> list[dict]:
    table, whole = "inversion steps", scenes[0].bench.model.preset.steps
    return [measured(table, f"{v} of {whole}", scenes, CFG(1.0), v, inversion_steps=v) for v in counts]


def intervals(scenes: list[Scene], limits) -> list[dict]:
    name, inner = f"CFG {STRONG:g} below sigma", CFG(STRONG)
    return [measured("CFG interval", f"{name} {v:g}", scenes, Interval(inner, 0.0, v), v) for v in limits]


def batches(scenes: list[Scene]) -> list[dict]:
    """Guidance with its two conditions in one batch, or one after the other."""
    names = {"one by one": False, "in one batch": True}
    return [measured("conditions", f"CFG {STRONG:g}, {n}", scenes, CFG(STRONG), together=t) for n, t in names.items()]


def plain(scenes: list[Scene], scale: float) -> dict:
    return measured("plain", f"exact inversion, CFG {scale:g}", scenes, CFG(scale))


def tune(scenes: list[Scene]) -> tuple[list[dict], dict]:
    """The cheapest setting of each kind that loses no more than LOSS, and the interval with the best critic."""
    base, strong = plain(scenes, 1.0), plain(scenes, STRONG)
    caches = shares(cached(scenes, THRESHOLDS), base)
    counts = shares(shortened(scenes, INVERSION_STEPS), base)
    limits = shares(intervals(scenes, BELOW), strong)

    def holds(row: dict) -> bool:
        return all(row[what] >= base[what] - loss for what, loss in LOSS.items())

    held = [row for row in limits if row["lamps"] >= base["lamps"] - LOSS["lamps"]] or limits
    tuned = {
        "threshold": max((row["value"] for row in caches if holds(row)), default=0.0),
        "inversion_steps": min(
            (row["value"] for row in counts if holds(row)), default=scenes[0].bench.model.preset.steps
        ),
        "below": max(held, key=lambda row: row["critic"])["value"],
    }
    return [*shares([base, strong], base), *caches, *counts, *limits], tuned


def report(scenes: list[Scene], tuned: dict) -> list[dict]:
    base, strong = plain(scenes, 1.0), plain(scenes, STRONG)
    below, steps, threshold = tuned["below"], tuned["inversion_steps"], tuned["threshold"]
    caches = cached(scenes, sorted({0.1, 0.2, threshold} - {0.0}))
    steps = steps if steps < scenes[0].bench.model.preset.steps else None  # all of them: the exact way back
    counts = shortened(scenes, INVERSION_STEPS)
    both = {"cache": threshold, "inversion_steps": steps}
    every = measured(
        "all three", f"CFG {STRONG:g} below sigma {below:g}", scenes, Interval(CFG(STRONG), 0.0, below), **both
    )
    return [
        *shares([base, strong, *caches, *counts], base),
        *shares([*intervals(scenes, sorted({1.5, below})), *batches(scenes), every], strong),
    ]


def promised(rows: list[dict], table: str, value: float) -> Iterator[common.Promise]:
    """What the tuned setting of a table has to save, and may lose."""
    row = next((row for row in rows if row["table"] == table and row["value"] == value), rows[0])
    yield common.Promise(f"{table}, tuned: share of the time", row["time"], 0.9, at_least=False)
    yield common.Promise(f"{table}, tuned: dB lost to the twin", rows[0]["psnr"] - row["psnr"], LOSS["psnr"], False)


def main() -> None:
    parser = common.parser(__doc__.split("\n")[0])
    parser.add_argument("--tune", action="store_true", help="tune on the tuning scenes and stop")
    parser.add_argument("--scenes", type=int, default=4, help="scenes, at most 10")
    options = parser.parse_args()
    torch.set_num_threads(1)
    seeds = (TUNING if options.tune else HELD_OUT)[: options.scenes]
    bench = open_bench(seeds)
    work = Work(bench.model)
    scenes = [Scene(bench.take([i]), work) for i in range(len(seeds))]
    scenes[0].bench.predict()(scenes[0].bench.latent, 1.0, ["positive"])  # the first call pays for what is made once
    if options.tune:
        rows, best = tune(scenes)
        common.print_table(rows, COLUMNS)
        return write_json(TUNED, {"seeds": list(seeds), **best, "rows": rows})
    tuned = {name: value for name, value in json.loads(TUNED.read_text()).items() if name != "rows"}
    rows = report(scenes, tuned)
    promises = [
        *promised(rows, "first-block cache", tuned["threshold"]),
        *promised(rows, "inversion steps", tuned["inversion_steps"]),
    ]
    about = {"seeds": list(seeds), "frames": bench.model.preset.window, "bf16": bench.model.bf16, "tuned": tuned}
    common.finish(
        options.json, rows, COLUMNS, promises, **about, threads=1, command="python benchmarks/speed.py --json OUT.json"
    )


if __name__ == "__main__":
    main()
