"""What the papers' tables share: scenes nothing was tuned on, rows that outlive a cut-off, intervals, claims.

A row is a way of making the latents of the scenes' clips, all as one batch, which costs a third of one by one. What it
shows of every scene is written to benchmarks/out/papers/ when it is known, so that a run that was cut off goes on where
it was, and more scenes add to those that are there. Other weights, frames or steps begin it anew.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import common
from benchmarks.guided import Bench, Clip, figures_of_frames, open_bench
from benchmarks.papers.intervals import interval
from pipeline_core.edits.scores import score_pair
from pipeline_core.metrics.fidelity import SSIM, LowFrequencyError
from pipeline_core.metrics.frequency import SpatialFrequency
from pipeline_core.metrics.realism import FeatureStatistics, frechet_distance
from pipeline_core.perception.own import own_folder
from pipeline_core.perception.text_image import TextImage, load_text_image
from pipeline_core.video.files import write_json

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "benchmarks" / "out" / "papers"
HELD_OUT = range(930_000, 930_012)  # of all tables, and of nothing else
SCENES = 5
KINDS = ("lamps", "vehicles", "signs")
WORDS = ("text", "direction")  # columns that need models/perception/text_image
PLAIN = ("psnr", "above", "edge_f1", *KINDS, "critic", "frechet", "calls")  # columns of most tables


@dataclass(frozen=True)
class Output:
    """What a row makes of S clips: their latents (S, C, t, h, w), the looks of the twins they are held against (day,
    where there are none), the prompts they were to show (the bench's, where there are none), figures of the row's own,
    of every clip, and what finds more of them: (clip, frames (T, H, W, 3), look) -> name -> number."""

    latents: Tensor
    looks: Sequence[str] = ()
    prompts: Sequence[str] = ()
    more: dict[str, Sequence[float]] = field(default_factory=dict)
    measure: Callable[[Clip, Tensor, str], dict[str, float | None]] = lambda clip, frames, look: {}


Make = Callable[[Bench], "Output | list[Output]"]  # several where a row is of several prompts


@dataclass(frozen=True)
class Claim:
    """A sentence as a difference over the same scenes: `what` of the row `ours` is above that of the row `theirs`, by
    more than `by`."""

    sentence: str
    what: str
    ours: str
    theirs: str
    by: float = 0.0

    def checked(self, rows: Sequence[dict]) -> dict:
        """The difference, its interval, and what both say: "undecided" where `by` lies between its ends, and at most
        "so far" of fewer than SCENES scenes."""
        ours, theirs = (next(row for row in rows if row["row"] == name) for name in (self.ours, self.theirs))
        pairs = list(zip(ours["by_scene"][self.what], theirs["by_scene"][self.what], strict=True))
        # Views are of the source, so that both rows have as many of a scene: differences of sums are sums of such.
        counts = [a[1] if a[1] == b[1] else 0 for a, b in pairs]
        sums = [a[0] - b[0] if count else 0 for (a, b), count in zip(pairs, counts)]
        ends = interval(sums, counts)
        verdict = "undecided"
        if ends is not None and (ends[0] > self.by or ends[1] <= self.by):
            verdict = "confirmed" if ends[0] > self.by else "refuted"
            # Of fewer, all are on one side by chance too often: of three every eighth time.
            verdict += "" if sum(map(bool, counts)) >= SCENES else " so far"
        value = sum(sums) / sum(counts) if sum(counts) else None
        return {"claim": self.sentence, "what": self.what, "value": value, "interval": ends, "by": self.by} | {
            "verdict": verdict
        }


@dataclass(frozen=True)
class Table:
    """A table of a paper on the embedded world. name: of its script and results file. rows: what makes each, by name.
    base: the row that `above` counts from, in dB to the twin. paper: row -> what the paper says. looks: whose twins the
    rows need. frames, steps: of a clip and of one pass, unless the command line says otherwise. An interval is over
    scenes, so that few frames of many are worth more than many of few; the preset has 17 frames and 20 steps."""

    name: str
    title: str
    rows: dict[str, Make]
    base: str
    columns: tuple[str, ...] = PLAIN
    paper: dict[str, str] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    looks: tuple[str, ...] = ("day",)
    frames: int = 5
    steps: int = 10
    models: tuple[str, ...] = ("embedded",)


def parser(description: str) -> argparse.ArgumentParser:
    options = common.parser(description.split("\n")[0])
    options.add_argument("--scenes", type=int, default=SCENES, help=f"at most {len(HELD_OUT)}")
    options.add_argument("--frames", type=int, help="of every clip")
    options.add_argument("--steps", type=int, help="of one pass")
    options.add_argument("--finished", action="store_true", help="measure nothing: the rows that are there already")
    return options


def chosen_size(options: argparse.Namespace) -> str:
    """The options that the command line gave, as they go behind the command."""
    said = {"scenes": options.scenes if options.scenes != SCENES else None, "frames": options.frames}
    return "".join(f" --{name} {value}" for name, value in {**said, "steps": options.steps}.items() if value)


def report(table: Table, options: argparse.Namespace, measure: Callable | None = None) -> None:
    """Measure what is not measured yet; print the table, what the paper says beside it, and the claims; write JSON.

    measure: instead of `measure_rows`, for rows of another kind."""
    table = replace(measurable(table), frames=options.frames or table.frames, steps=options.steps or table.steps)
    weights, seeds, whole = weights_of(table.models), HELD_OUT[: options.scenes], table.rows
    if options.finished:
        table = finished(table, seeds, weights)
    scenes = (measure or measure_rows)(table, seeds, weights)
    rows = summaries(table, scenes)
    claims = [claim.checked(rows) for claim in table.claims]
    common.finish(
        options.json,
        rows,
        ("row", *table.columns, "paper"),
        [],
        shown={"title": table.title, "base": table.base, "columns": table.columns},
        claims=claims,
        missing=[name for name in whole if name not in table.rows],
        seeds=[scene["seed"] for scene in scenes],
        frames=table.frames,
        steps=table.steps,
        weights=weights,
        text_image=seer_of(table),
        cpu_minutes=round(sum(scene["rows"][name]["seconds"] for scene in scenes for name in table.rows) / 60, 1),
        command=f"python benchmarks/papers/{table.name}.py --json benchmarks/results/papers/{table.name}.json"
        + chosen_size(options),
    )
    for claim in claims:
        print(claim_line(claim))


def finished(table: Table, seeds: Sequence[int], weights: str) -> Table:
    """The table without the rows that some of the scenes lack, and without the claims about those."""
    scenes = [read_scene(table, seed, weights) for seed in seeds]
    rows = {name: make for name, make in table.rows.items() if all(name in scene["rows"] for scene in scenes)}
    claims = tuple(claim for claim in table.claims if {claim.ours, claim.theirs} <= rows.keys())
    return replace(table, rows=rows, claims=claims)


def claim_line(claim: dict) -> str:
    low, high = claim["interval"] or (float("nan"), float("nan"))
    value = "not measured" if claim["value"] is None else f"{claim['value']:+.3g} ({low:+.3g} to {high:+.3g})"
    return f"{claim['claim']}: {claim['what']} {value}: {claim['verdict']}"


@lru_cache(maxsize=1)
def text_image() -> TextImage | None:
    """The world's own text-image encoder, None where it is not there."""
    folder = own_folder("text_image")
    return None if folder is None else load_text_image(folder, "cpu")


def measurable(table: Table) -> Table:
    """The table without the claims that nothing here can measure."""
    claims = tuple(claim for claim in table.claims if claim.what not in WORDS or text_image() is not None)
    return replace(table, claims=claims)


def seer_of(table: Table) -> str | None:
    """The first digits of the text-image encoder's hash, of a table that shows what it sees."""
    folder = own_folder("text_image") if set(WORDS) & set(table.columns) else None
    return None if folder is None else hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()[:12]


def weights_of(models: Sequence[str] = ("embedded",)) -> str:
    """The first digits of a hash of weights and presets of models, folders of models/."""
    digest = hashlib.sha256()
    for file in (file for model in models for file in sorted((ROOT / "models" / model).rglob("*"))):
        if file.suffix == ".safetensors" or file.name == "preset.json":
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def measure_rows(table: Table, seeds: Sequence[int], weights: str) -> list[dict]:
    """All rows of every seed, {"seed", "rows": {name: figures}, ...} each; what was measured before is read."""
    scenes = {seed: read_scene(table, seed, weights) for seed in seeds}
    missing = [seed for seed, scene in scenes.items() if not table.rows.keys() <= scene["rows"].keys()]
    bench = open_bench(missing, table.looks, table.frames) if missing else None
    parts: dict[tuple[int, ...], Bench] = {}  # by the scenes in them: a bench keeps its inversions
    for name, make in table.rows.items():
        without = tuple(number for number, seed in enumerate(missing) if name not in scenes[seed]["rows"])
        if not without:
            continue
        if without not in parts:
            parts[without] = _part(bench, without, table.steps)
        for number, figures in zip(without, _row(parts[without], make), strict=True):
            scene = scenes[missing[number]]
            scene["rows"][name] = figures
            write_scene(table, scene)
        print(f"{name}: {_mean(figures['figures']['psnr']):.2f} dB in the last scene", flush=True)
    return list(scenes.values())


def _part(bench: Bench, numbers: Sequence[int], steps: int) -> Bench:
    """Some of a bench's scenes, at so many steps, all conditions of a call as one batch."""
    part = bench.take(numbers)
    part.one_by_one = False
    part.model = replace(bench.model, preset=replace(bench.model.preset, steps=steps))
    return part


def _path(table: Table, seed: int) -> Path:
    return WORK / table.name / f"{seed}.json"


def read_scene(table: Table, seed: int, weights: str) -> dict:
    """What is known of a scene under these weights and this size, {"seed", "rows": {name: figures}, ...}."""
    path = _path(table, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    begun = {"seed": seed, "weights": weights, "frames": table.frames, "steps": table.steps}
    begun |= {"text_image": seer} if (seer := seer_of(table)) else {}
    scene = json.loads(path.read_text()) if path.exists() else {}
    return scene if begun.items() <= scene.items() else {**begun, "rows": {}}


def write_scene(table: Table, scene: dict) -> None:
    write_json(_path(table, scene["seed"]), scene)


def _row(bench: Bench, make: Make) -> list[dict]:
    """Of every scene a row's figures [sum, count], the critic's features for distances over scenes, and its cost."""
    bench.calls, began = 0, time.process_time()
    outputs = make(bench)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    calls = bench.calls / len(outputs)
    scenes = [_scene(bench, number, outputs) for number in range(len(bench.clips))]
    seconds = (time.process_time() - began) / len(scenes)
    for scene in scenes:
        scene["figures"]["calls"] = [calls, 1]
        scene["seconds"] = seconds
    return scenes


def _scene(bench: Bench, number: int, outputs: Sequence[Output]) -> dict:
    """What all outputs show of one clip."""
    clip, figures, features, twins = bench.clips[number], {}, [], []
    for output in outputs:
        frames = bench.model.decode(output.latents[number : number + 1])
        look = output.looks[number] if output.looks else "day"
        shown = figures_of_frames(bench.critic, clip, frames, look)
        features.append(shown["features"])
        twins.append(shown["twin"])
        more = {what: values[number] for what, values in output.more.items()} | output.measure(clip, frames, look)
        worded = _in_words(bench, number, frames, output.prompts)
        for what, (total, count) in {**_pairs(shown), **_from_source(clip, frames), **worded, **_ones(more)}.items():
            before = figures.get(what, [0.0, 0])
            figures[what] = [before[0] + total, before[1] + count]
    return {"figures": figures, "features": rounded(torch.cat(features)), "twins": rounded(torch.cat(twins))}


def _pairs(shown: dict) -> dict[str, tuple[float, int]]:
    views = {kind: (float(sum(shown["kept"][kind])), len(shown["kept"][kind])) for kind in KINDS}
    views["colours"] = tuple(a + b for a, b in zip(views["lamps"], views["vehicles"], strict=True))
    critic = float(torch.sigmoid(shown["logits"]).mean())
    single = {name: shown[name] for name in ("psnr", "edge_f1", "saturation")}
    return views | _ones(single | {"critic": critic})


def _from_source(clip: Clip, frames: Tensor) -> dict[str, tuple[float, int]]:
    """Distances to the input: what Noise Calibration's Table 1 measures, on frames in [0, 1]."""
    values = {"mse": float((frames - clip.source.rgb).square().mean())}
    for metric in (SSIM(), LowFrequencyError(0.5), SpatialFrequency()):
        metric.update(frames, clip.source.rgb)
        values |= {name: figure.value for name, figure in metric.compute().items()}
    return _ones({name: values[name] for name in ("mse", "mse_l", "ssim", "d_sf")})


def _in_words(bench: Bench, number: int, frames: Tensor, prompts: Sequence[str]) -> dict[str, tuple[float, int]]:
    """How near the frames are to their prompt, and the way from the source to them to the way from its words to the
    prompt; nothing without an encoder."""
    network, words = text_image(), bench.prompts()
    if network is None:
        return _ones(dict.fromkeys(WORDS))
    scores = score_pair(
        network,
        bench.clips[number].source.rgb,
        frames,
        words["inversion"][number],
        (prompts or words["positive"])[number],
    )
    return _ones({"text": scores.text_edited, "direction": scores.direction})


def _ones(values: dict[str, float | None]) -> dict[str, tuple[float, int]]:
    return {name: (0.0, 0) if value is None else (value, 1) for name, value in values.items()}


def rounded(features: Tensor) -> list[list[float]]:
    return [[round(value, 4) for value in row] for row in features.tolist()]


def _mean(pair: Sequence[float]) -> float | None:
    return pair[0] / pair[1] if pair[1] else None


def summaries(table: Table, scenes: Sequence[dict]) -> list[dict]:
    """One row each: means over scenes, shares over all views, 95 % intervals over scenes, and what each scene had."""
    rows = []
    for name in table.rows:
        of_scenes = [scene["rows"][name] for scene in scenes]
        by_scene = {what: [row["figures"][what] for row in of_scenes] for what in of_scenes[0]["figures"]}
        base = [scene["rows"][table.base]["figures"]["psnr"] for scene in scenes]
        by_scene["above"] = [[_mean(a) - _mean(b), 1] for a, b in zip(by_scene["psnr"], base, strict=True)]
        means = {what: _mean([sum(column) for column in zip(*pairs)]) for what, pairs in by_scene.items()}
        ends = {what: interval(*zip(*pairs)) for what, pairs in by_scene.items()}
        rows.append(
            {"row": name, **means, "frechet": _frechet(of_scenes), "paper": table.paper.get(name)}
            | {"interval": ends, "by_scene": by_scene}
        )
    return rows


def _frechet(rows: Sequence[dict]) -> float:
    """Distance of the critic's features to the twins', all scenes together; of few frames, so for one table only."""
    ours, theirs = FeatureStatistics(), FeatureStatistics()
    for row in rows:
        ours.update(torch.tensor(row["features"]))
        theirs.update(torch.tensor(row["twins"]))
    return frechet_distance(ours.mean, ours.covariance, theirs.mean, theirs.covariance)
