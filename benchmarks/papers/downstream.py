"""Downstream use: a segmentation network trained on raw, enhanced, gated or photoreal frames, tested on photoreal ones.

    python benchmarks/papers/downstream.py --json benchmarks/results/papers/downstream.json

Open question 1 of 2511.14719, in the small world: the same small SegFormer, the same few hundred steps, the same scenes
and labels; only what the frames look like differs. Test scenes are those of the other tables, training scenes are in no
other benchmark. `gap` is the share of the way from raw to photoreal frames: (arm - raw) / (photoreal - raw). Scenes and
trained networks are in benchmarks/out/papers/downstream; a run that was cut off goes on from its last checkpoint.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

import torch  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from torch import Tensor  # noqa: E402

from benchmarks import common  # noqa: E402
from benchmarks.gate import measured  # noqa: E402
from benchmarks.guided import open_bench  # noqa: E402
from benchmarks.papers import table  # noqa: E402
from benchmarks.papers.table import HELD_OUT, WORK, Claim, weights_of  # noqa: E402
from pipeline_core.batch.gate import judge  # noqa: E402
from pipeline_core.batch.rules import GateRules  # noqa: E402
from pipeline_core.finetune.checkpoint import read_state  # noqa: E402
from pipeline_core.job.settings import EnhanceSettings  # noqa: E402
from pipeline_core.video.files import write_json  # noqa: E402
from training.perception import segmentation  # noqa: E402
from training.perception.data import CAPTIONS, Shard  # noqa: E402
from training.perception.fit import Habits, fit  # noqa: E402

FOLDER = WORK / "downstream"
TRAINING = range(931_000, 931_012)
ARMS = RAW, ENHANCED, GATED, PHOTOREAL = "raw", "enhanced", "enhanced, gated", "photoreal"
EVERY = 4  # frames of a clip between two that are used
STEPS, BATCH, RUNS = 250, 6, 3
DRAWS = 4000
CLAIMS = (
    Claim("Photoreal frames train better than raw ones, or there is no gap", "miou", PHOTOREAL, RAW),
    Claim("Enhanced frames train better than raw ones", "miou", ENHANCED, RAW),
    Claim("The gate makes them better still", "miou", GATED, ENHANCED),
    Claim("Photoreal frames still train better than enhanced ones", "miou", PHOTOREAL, ENHANCED),
)


def prepared(seeds: Sequence[int], enhance: bool) -> list[dict[str, Tensor]]:
    """Of every scene its frames (F, H, W, 3) uint8 as raw, photoreal and, on demand, enhanced, its truth, and whether
    the gate accepts the enhanced clip; rendered into the folder where it is not there."""
    paths = {seed: FOLDER / weights_of() / f"{seed}.safetensors" for seed in seeds}
    missing = [seed for seed, path in paths.items() if not path.exists()]
    for seed in missing:
        bench = open_bench([seed])
        clip = bench.clips[0]
        source, twin = clip.source, clip.twins["day"]
        scene = {"raw": source.rgb, "photoreal": twin.rgb}
        if enhance:
            scene["enhanced"] = bench.model.decode(bench.job(EnhanceSettings()))
            (_, figures), *_ = measured({"enhanced": (source, scene["enhanced"])}, bench.critic)
            accepted = judge(figures, GateRules().limits()).accepted
        tensors = {name: (frames[::EVERY] * 255).round().byte().contiguous() for name, frames in scene.items()}
        tensors |= {"classes": source.classes[::EVERY].contiguous(), "depth": source.depth[::EVERY].half().contiguous()}
        tensors["accepted"] = torch.tensor([enhance and accepted])
        paths[seed].parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, str(paths[seed]))
        print(f"scene {seed}", flush=True)
    return [load_file(str(path)) for path in paths.values()]


def shard(scene: dict[str, Tensor], look: str, styles: list[str]) -> Shard:
    """A scene of the training's own form: the same frames under every one of these names of styles."""
    instances = torch.zeros(scene["classes"].shape, dtype=torch.int16)
    rgb = scene[look].expand(len(styles), *scene[look].shape)
    return Shard(rgb, scene["depth"], scene["classes"], instances, styles, [[""] * CAPTIONS] * len(styles))


def training_shards(scenes: list[dict[str, Tensor]], arm: str) -> list[Shard]:
    look = arm.split(",")[0]
    chosen = [scene for scene in scenes if "gated" not in arm or bool(scene["accepted"])]
    return [shard(scene, look, [arm, arm]) for scene in chosen]  # two, because batches are drawn half from the first


def training_folder(arm: str, run: int, steps: int) -> Path:
    return FOLDER / weights_of() / f"{arm.replace(', ', '-')}-{run}-{steps}"


def scores(arm: str, run: int, shards: list[Shard], tests: list[Shard], steps: int) -> list[float]:
    """Mean IoU on the photoreal frames of each test scene of a network trained on the shards."""
    folder = training_folder(arm, run, steps)
    path = folder / "scores.json"
    if not path.exists():
        task = replace(segmentation.TASK, batch=BATCH, figures=lambda model, shards: {})
        model = fit(task, folder, shards, [], steps, seed=run, habits=Habits(seconds=30))
        write_json(path, [segmentation.figures(model, [test])["miou_photoreal"] for test in tests])
        print(f"{arm}, run {run}", flush=True)
    return json.loads(path.read_text())


def summaries(values: dict[str, Tensor], scenes: dict[str, int]) -> list[dict]:
    """One row an arm. values: arm -> (runs, test scenes); intervals over both, drawn together for all arms."""
    runs, count = values[RAW].shape
    draw = torch.Generator().manual_seed(0)
    chosen = (
        torch.randint(runs, (DRAWS, runs, 1), generator=draw),
        torch.randint(count, (DRAWS, 1, count), generator=draw),
    )
    drawn = {arm: of_arm[chosen].mean((1, 2)) for arm, of_arm in values.items()}
    rows = []
    for arm, of_arm in values.items():
        gap, gaps = (
            (ours - raw) / (best - raw)
            for ours, raw, best in (
                (of_arm.mean(), values[RAW].mean(), values[PHOTOREAL].mean()),
                (drawn[arm], drawn[RAW], drawn[PHOTOREAL]),
            )
        )
        figures = {"miou": float(of_arm.mean()), "gap": float(gap), "training_scenes": scenes[arm]}
        ends = {"miou": quantiles(drawn[arm]), "gap": quantiles(gaps)}
        by_scene = {"miou": [[value, 1] for value in of_arm.mean(0).tolist()]}
        rows.append({"row": arm, **figures, "paper": None, "interval": ends, "by_scene": by_scene})
    return rows


def quantiles(values: Tensor) -> list[float]:
    return torch.quantile(values, torch.tensor([0.025, 0.975], dtype=values.dtype)).tolist()


def main() -> None:
    parser = common.parser(__doc__.split("\n")[0])
    parser.add_argument("--scenes", type=int, default=table.SCENES, help="to test on")
    parser.add_argument("--steps", type=int, default=STEPS, help="of every training")
    parser.add_argument("--runs", type=int, default=RUNS, help="trainings of every arm")
    parser.add_argument("--training-scenes", type=int, default=len(TRAINING))
    options = parser.parse_args()
    tests = [shard(scene, "photoreal", ["photoreal"]) for scene in prepared(HELD_OUT[: options.scenes], False)]
    scenes = prepared(TRAINING[: options.training_scenes], True)
    values, counts, seconds = {}, {}, {}
    for arm in ARMS:
        shards = training_shards(scenes, arm)
        counts[arm] = len(shards)
        # Where the gate accepts all of them, its arm is the one before it.
        same = ENHANCED if arm == GATED and counts[arm] == counts[ENHANCED] else arm
        of_runs = [scores(same, run, shards, tests, options.steps) for run in range(options.runs)]
        values[arm] = torch.tensor(of_runs, dtype=torch.float64)
        folders = [training_folder(same, run, options.steps) for run in range(options.runs)]
        seconds |= {folder: read_state(folder)["cpu_seconds"] for folder in folders}
    rows = summaries(values, counts)
    # A gate that accepts every scene leaves nothing to compare.
    idle = counts[GATED] == counts[ENHANCED]
    claims = [claim.checked(rows) for claim in CLAIMS if not (idle and claim.ours == GATED)]
    common.finish(
        options.json,
        rows,
        ("row", "miou", "gap", "training_scenes"),
        [],
        shown={"title": "Training on enhanced frames", "base": RAW, "columns": ("miou", "gap", "training_scenes")},
        claims=claims,
        seeds=list(HELD_OUT[: options.scenes]),
        training_seeds=list(TRAINING[: options.training_scenes]),
        frames=len(range(0, 17, EVERY)),
        steps=options.steps,
        runs=options.runs,
        weights=weights_of(),
        cpu_minutes=round(sum(seconds.values()) / 60, 1),  # of the trainings, whichever process they ran in
        command="python benchmarks/papers/downstream.py --json benchmarks/results/papers/downstream.json",
    )
    for claim in claims:
        print(table.claim_line(claim))


if __name__ == "__main__":
    main()
