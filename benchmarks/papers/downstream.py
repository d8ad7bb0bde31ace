"""Downstream use: small networks trained on raw, enhanced, gated or photoreal frames, tested on photoreal ones.

    python benchmarks/papers/downstream.py --json benchmarks/results/papers/downstream.json

Open question 1 of 2511.14719, in the small world: the same small SegFormer and the same small RT-DETR, the same few
hundred steps, the same scenes and labels; only what the frames look like differs. What the gate is worth shows where
every second enhanced clip is a job that failed (`training_scenes.FAILURES`). Test scenes are those of the other tables
and a few more, training scenes are in no other benchmark. `gap` is the share of the way from raw to photoreal frames:
(arm - raw) / (photoreal - raw); none where photoreal frames train no better than raw ones. Scenes and trained networks
are in benchmarks/out/papers/downstream; a run that was cut off goes on from its last checkpoint, and --finished makes a
table of the trainings that are done.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from benchmarks import common  # noqa: E402
from benchmarks.papers import table  # noqa: E402
from benchmarks.papers.table import HELD_OUT, Claim, weights_of  # noqa: E402
from benchmarks.papers.training_scenes import CLIP, EVERY, FOLDER, TRAINING, failed, prepared, shard  # noqa: E402
from pipeline_core.finetune.checkpoint import read_state  # noqa: E402
from pipeline_core.video.files import write_json  # noqa: E402
from training.perception import detector, segmentation  # noqa: E402
from training.perception.data import Shard  # noqa: E402
from training.perception.fit import Habits, Task, fit  # noqa: E402

ARMS = RAW, ENHANCED, GATED, PLANTED, SORTED, PHOTOREAL = (
    "raw", "enhanced", "enhanced, gated", "enhanced, every second one failed", "the same, gated", "photoreal",
)  # fmt: skip
DRAWS = 4000


@dataclass(frozen=True)
class Student:
    """A network that learns from the frames. figure, gap: the columns of its score and of the gap it closes; score:
    (model, test scene) -> its score there, None where there is nothing to find; steps: of a training; runs: trainings
    of an arm."""

    task: Task
    figure: str
    gap: str
    score: Callable[[torch.nn.Module, Shard], float | None]
    steps: int
    runs: int


def mean_iou(model: torch.nn.Module, test: Shard) -> float:
    return segmentation.figures(model, [test])["miou_photoreal"]


def ap50(model: torch.nn.Module, test: Shard) -> float | None:
    """Mean of the judged classes that the scene shows, each over all its frames."""
    values = [value for value in detector.figures(model, [test]).values() if value is not None]
    return sum(values) / len(values) if values else None


STUDENTS = {
    "segmentation": Student(replace(segmentation.TASK, batch=6), "miou", "gap", mean_iou, steps=250, runs=5),
    "detector": Student(replace(detector.TASK, batch=4), "ap50", "ap50_gap", ap50, steps=300, runs=3),
}
CLAIMS = (
    Claim("Photoreal frames train better than raw ones, or there is no gap", "miou", PHOTOREAL, RAW),
    Claim("Enhanced frames train better than raw ones", "miou", ENHANCED, RAW),
    Claim("Photoreal frames still train better than enhanced ones", "miou", PHOTOREAL, ENHANCED),
    Claim("The gate makes enhanced frames better still", "miou", GATED, ENHANCED),
    Claim("Failed clips among them do harm", "miou", ENHANCED, PLANTED),
    Claim("The gate makes a set with failed clips better", "miou", SORTED, PLANTED),
    Claim("Photoreal frames train a detector better than raw ones, or there is no gap", "ap50", PHOTOREAL, RAW),
    Claim("Enhanced frames train a detector better than raw ones", "ap50", ENHANCED, RAW),
    Claim("Photoreal frames still train a detector better than enhanced ones", "ap50", PHOTOREAL, ENHANCED),
    Claim("The gate makes a set with failed clips better for a detector", "ap50", SORTED, PLANTED),
)


def training_shards(scenes: list[dict[str, Tensor]], arm: str) -> list[Shard]:
    """scenes: as they are to be trained on, failed ones for PLANTED and SORTED among them."""
    look = arm if arm in (RAW, PHOTOREAL) else ENHANCED
    chosen = [scene for scene in scenes if arm not in (GATED, SORTED) or bool(scene["accepted"])]
    return [shard(scene, look, [arm, arm]) for scene in chosen]  # two, because batches are drawn half from the first


def training_folder(network: str, arm: str, run: int) -> Path:
    name = arm.replace(",", "").replace(" ", "-")
    return FOLDER / weights_of() / f"{network}-{name}-{run}-{STUDENTS[network].steps}"


def scores(network: str, arm: str, run: int, shards: list[Shard], tests: dict[int, Shard]) -> list[float]:
    """Of each test scene, by seed, the score of a network trained on the shards; nan where there is nothing to find."""
    student, folder = STUDENTS[network], training_folder(network, arm, run)
    path = folder / "scores.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    if missing := [seed for seed in tests if str(seed) not in known]:
        task = replace(student.task, figures=lambda model, shards: {})
        model = fit(task, folder, shards, [], student.steps, seed=run, habits=Habits(seconds=30))
        known |= {str(seed): student.score(model, tests[seed]) for seed in missing}
        write_json(path, known)
        print(f"{network}, {arm}, run {run}", flush=True)
    values = (known[str(seed)] for seed in tests)
    return [float("nan") if value is None else value for value in values]


def summaries(values: dict[str, Tensor], figure: str, gap: str) -> dict[str, dict]:
    """Of every arm, as part of its row, the score and the gap closed, None where photoreal frames are not above raw
    ones by more than the interval. values: arm -> (runs, test scenes), the same scenes nan in all; intervals over both,
    drawn together for all arms."""
    runs, count = values[RAW].shape
    draw = torch.Generator().manual_seed(0)
    chosen = (
        torch.randint(runs, (DRAWS, runs, 1), generator=draw),
        torch.randint(count, (DRAWS, 1, count), generator=draw),
    )
    drawn = {arm: of_arm[chosen].nanmean((1, 2)) for arm, of_arm in values.items()}
    means = {arm: of_arm.nanmean() for arm, of_arm in values.items()}
    there_is_one = quantiles(drawn[PHOTOREAL] - drawn[RAW])[0] > 0
    parts = {}
    for arm, of_arm in values.items():
        of_gap, drawn_gap = ((every[arm] - every[RAW]) / (every[PHOTOREAL] - every[RAW]) for every in (means, drawn))
        scenes = [[0.0, 0] if value != value else [value, 1] for value in of_arm.mean(0).tolist()]
        parts[arm] = {
            figure: float(means[arm]),
            gap: float(of_gap) if there_is_one else None,
            "interval": {figure: quantiles(drawn[arm])} | ({gap: quantiles(drawn_gap)} if there_is_one else {}),
            "by_scene": {figure: scenes},
        }
    return parts


def quantiles(values: Tensor) -> list[float]:
    return torch.nanquantile(values, torch.tensor([0.025, 0.975], dtype=values.dtype)).tolist()


def joined(arm: str, parts: list[dict], training_scenes: int) -> dict:
    """One row of the parts of all networks."""
    row = {"row": arm, "training_scenes": training_scenes, "paper": None, "interval": {}, "by_scene": {}}
    for part in parts:
        row |= part | {name: row[name] | part[name] for name in ("interval", "by_scene")}
    return row


def finished_runs(network: str, arms: set[str], tests: dict[int, Shard]) -> int:
    """How many trainings of every one of these arms are done and scored."""

    def scored(arm: str, run: int) -> bool:
        path = training_folder(network, arm, run) / "scores.json"
        return path.exists() and {str(seed) for seed in tests} <= json.loads(path.read_text()).keys()

    runs = range(STUDENTS[network].runs)
    return next((run for run in runs if not all(scored(arm, run) for arm in arms)), len(runs))


def size(runs: dict[str, int]) -> str:
    """The trainings in words, for the page."""
    trainings = (f"{network} {count} times {STUDENTS[network].steps} steps" for network, count in runs.items())
    return f"trained on {len(TRAINING)} others (seeds {TRAINING[0]} to {TRAINING[-1]}): {', '.join(trainings)}"


def main() -> None:
    parser = common.parser(__doc__.split("\n")[0])
    parser.add_argument("--scenes", type=int, default=len(HELD_OUT), help="to test on (default %(default)s)")
    parser.add_argument("--finished", action="store_true", help="train nothing: the trainings that are there already")
    options = parser.parse_args()
    seeds = HELD_OUT[: options.scenes]
    tests = {
        seed: shard(scene, "photoreal", ["photoreal"])
        for seed, scene in zip(seeds, prepared(seeds, False), strict=True)
    }
    scenes = prepared(TRAINING, True)
    wrong = iter(failed(TRAINING[1::2]))
    planted = [scene | next(wrong) if place % 2 else scene for place, scene in enumerate(scenes)]
    shards = {arm: training_shards(planted if arm in (PLANTED, SORTED) else scenes, arm) for arm in ARMS}
    # Where the gate accepts all of them, its arm is the one before it, and there is nothing to compare.
    idle = len(shards[GATED]) == len(shards[ENHANCED])
    trained_as = {arm: ENHANCED if arm == GATED and idle else arm for arm in ARMS}
    asked = {network: student.runs for network, student in STUDENTS.items()}
    runs = asked
    if options.finished:
        done = {network: finished_runs(network, set(trained_as.values()), tests) for network in STUDENTS}
        runs = {network: count for network, count in done.items() if count}
    left = {network: count - runs.get(network, 0) for network, count in asked.items()}
    parts, seconds = [], {}
    for network, count in runs.items():
        values = {arm: [] for arm in ARMS}
        for run in range(count):
            for arm, same in trained_as.items():
                values[arm].append(scores(network, same, run, shards[same], tests))
                folder = training_folder(network, same, run)
                seconds[folder] = read_state(folder)["cpu_seconds"]
        tensors = {arm: torch.tensor(of_arm, dtype=torch.float64) for arm, of_arm in values.items()}
        parts.append(summaries(tensors, STUDENTS[network].figure, STUDENTS[network].gap))
    rows = [joined(arm, [part[arm] for part in parts], len(shards[arm])) for arm in ARMS]
    figures = [name for network in runs for name in (STUDENTS[network].figure, STUDENTS[network].gap)]
    claims = [claim.checked(rows) for claim in CLAIMS if claim.what in figures and not (idle and claim.ours == GATED)]
    columns = (*figures, "training_scenes")
    common.finish(
        options.json,
        rows,
        ("row", *columns),
        [],
        shown={"title": "Training on enhanced frames", "base": RAW, "columns": columns, "size": size(runs)},
        claims=claims,
        seeds=list(seeds),
        training_seeds=list(TRAINING),
        frames=len(range(0, CLIP, EVERY)),
        steps={network: STUDENTS[network].steps for network in runs},
        runs=runs,
        missing=[f"{count} of {asked[network]} trainings of {network}" for network, count in left.items() if count],
        weights=weights_of(),
        cpu_minutes=round(sum(seconds.values()) / 60, 1),  # of the trainings, whichever process they ran in
        command="python benchmarks/papers/downstream.py --json benchmarks/results/papers/downstream.json",
    )
    for claim in claims:
        print(table.claim_line(claim))


if __name__ == "__main__":
    main()
