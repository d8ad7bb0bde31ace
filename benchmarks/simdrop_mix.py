"""What mixing rendered clips into a training does: LoRAs of the embedded model by share, tag, filter and seed.

    python benchmarks/simdrop_mix.py WORK --json OUT.json    hours on a CPU; --steps, --clips, --shares make it smaller

Ordinary clips are photoreal drives of the world; rendered ones are synthetic people, orbits and layers (render-cg). A
LoRA is trained on both, drawn by share, from the same start for the same steps. What it learnt is the denoising error
it saves on held-out clips (`finetune.explain.advantage`, a share of the model's own error): of *hard* cases in the
photoreal look, which no training showed; of *drives*, which it must not lose; and the *leak*: of synthetic drives under
photoreal captions, which it should not come to expect. With --generate N hard cases and N drives are drawn from noise,
in the photoreal style: how well geometry and layers hold (hard_cases.py), and what the critic says of the drives,
without SimDrop and with it, away from the LoRA of share 1 and the same seed.

Tags: off, on (captions of renders begin with the tag), filtered (on, and trained on what `select --reference` left: the
70 % of the clips that the same LoRA explains least better than the model, weighed). WORK keeps clips, LoRAs and rows:
the same command goes on.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from math import sqrt
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

import torch  # noqa: E402

from benchmarks import common, hard_cases  # noqa: E402
from benchmarks.embedded import SIZE  # noqa: E402
from benchmarks.guided import Bench, open_bench  # noqa: E402
from pipeline_core.diffusion import CFG, Interval, SimDrop  # noqa: E402
from pipeline_core.finetune.clips import read_clips  # noqa: E402
from pipeline_core.finetune.errors import Denoiser  # noqa: E402
from pipeline_core.finetune.explain import advantage, explain  # noqa: E402
from pipeline_core.finetune.networks import clip_preset, training_preset  # noqa: E402
from pipeline_core.finetune.samples import Samples, cut_clips  # noqa: E402
from pipeline_core.models.folders.loading import EMBEDDED, load_part, load_video_model  # noqa: E402
from pipeline_core.models.folders.lora import NAME, Lora, add_reference  # noqa: E402
from pipeline_core.video.files import write_json  # noqa: E402
from pipeline_core.world import drive_scene  # noqa: E402
from pipeline_core.world.captions import caption  # noqa: E402
from pipeline_core.world.studio.render import Take  # noqa: E402
from training.drive_clips import render_drives, run  # noqa: E402

TRAINING, HELD_OUT = 6000, 900_100  # first seeds
HARD = "people,orbit,layers"
SWEEP = f"{hard_cases.SWEEP:g}"
FIGURES = ("critic", "frechet", *hard_cases.FIGURES)  # of what is drawn, and the same with SimDrop
COLUMNS = ("share", "tag", "seed", "hard", "drives", "leak", *FIGURES, *(f"{name}_simdrop" for name in FIGURES))
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # t of 95 % by number of seeds
# Chosen on drives 800100 to 800102 with the LoRA of share .3, tag on and seed 0. A form that holds brightness and
# contrast holds those of renders, too.
SIMDROP = Interval(SimDrop(CFG(1.0), 1.0), 0.5, 10.0, outside=CFG(1.0))
FILTERED, BEST = "filtered", "0.7"


def prepare(work: Path, clips: int, frames: int, size: str) -> None:
    """The training folder, and the held-out ones, where they are not there yet."""
    shape = ["--frames", str(frames), "--size", size]
    render_hard(work / "train" / "renders", TRAINING, clips, "synthetic", shape)
    drives(work / "train" / "drives", TRAINING, 3 * clips, "photoreal", "photoreal", shape)
    render_hard(work / "hard", HELD_OUT, max(2, clips // 3), "photoreal", shape)
    drives(work / "drives", HELD_OUT, clips, "photoreal", "photoreal", shape)
    drives(work / "leak", HELD_OUT, clips, "synthetic", "photoreal", shape)


def render_hard(folder: Path, seed: int, clips: int, style: str, shape: Sequence[str]) -> None:
    """Clips of the hard cases; render-cg leaves what is there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    words = ["--seed", str(seed), "--clips", str(clips), "--kind", HARD, "--sweep", SWEEP, "--style", style, *shape]
    run(["render-cg", str(folder), *words])


def drives(folder: Path, seed: int, clips: int, style: str, words: str, shape: Sequence[str]) -> None:
    """Clips of drives in one style under the captions of another."""
    said = lambda number: {"text": caption(drive_scene(number, 1), words)}  # noqa: E731
    render_drives(folder, range(seed, seed + clips), style, shape, said)


def train(work: Path, share: float, tag: str, seed: int, options) -> Path:
    """The LoRA of one run, trained where it is not there yet."""
    folder = work / "loras" / f"{share:g}_{tag}_{seed}"
    folder.parent.mkdir(exist_ok=True)
    model = ["--model", str(options.model)] if options.model else []
    words = ["--mix", f"synthetic={share:g},photoreal={1 - share:g}", "--tag", "off" if tag == "off" else "on"]
    words += ["--steps", str(options.steps), "--rank", "8", "--rate", "0.0005", "--frames", str(options.frames)]
    words += ["--size", options.size, "--precision", options.precision, "--seed", str(seed)]
    if tag == FILTERED:
        words += ["--selection", str(selection(work, seed, options, model))]
    run(["train-lora", str(work / "train"), "-o", str(folder), *words, *model])
    return folder / NAME


def selection(work: Path, seed: int, options, model: Sequence[str]) -> Path:
    """What the filter leaves of the training folder, by the LoRA of share 1 and this seed."""
    chosen, reference = work / "chosen" / str(seed), train(work, 1.0, "off", seed, options)
    chosen.parent.mkdir(exist_ok=True)
    words = ["--reference", str(reference), "--best", BEST, "--frames", str(options.frames), "--size", options.size]
    words += ["--precision", options.precision, *model]
    run(["select", str(work / "train"), "-o", str(chosen), *words])
    return chosen / "selection.jsonl"


def gains(work: Path, file: Path, options) -> dict[str, float]:
    """The advantage of a LoRA over the model on every held-out folder."""
    model, device, bf16 = options.model or EMBEDDED, torch.device("cpu"), options.precision == "bf16"
    preset = clip_preset(training_preset(model), options.frames, tuple(map(int, options.size.split("x"))))
    transformer = load_part(model, "transformer")
    add_reference(transformer, Lora(file))
    denoiser = Denoiser(transformer.eval(), preset.prediction, "fp32", bf16, device)
    figures = {}
    for name in ("hard", "drives", "leak"):
        windows, _ = cut_clips(read_clips(work / name), preset)
        samples = Samples(windows, work / "latents")
        samples.prepare(model, preset, device, torch.float32, bf16, lambda done, total: None)
        figures[name] = advantage(explain(denoiser, samples, range(len(windows))))
    return figures


def looks(bench: Bench, file: Path | None, reference: Path | None) -> dict[str, float]:
    """FIGURES of drives and hard cases drawn from noise, with the LoRA merged: without SimDrop and, where there is a
    reference, with it. The reference reads what the model reads."""
    away = Lora(reference) if reference else None
    model = load_video_model(loras=[Lora(file)] if file else [], reference=away)
    cases = studio(len(bench.clips), len(bench.clips[0].source.rgb))
    drives, hard = replace(bench, model=model, inversions={}), hard_cases.bench_of(model, cases)
    found = {}
    for suffix, guidance in {"": CFG(1.0), **({"_simdrop": SIMDROP} if reference else {})}.items():
        row = drives.row(f"drives{suffix}", partial(drives.drawn, guidance, reference=drives.prompts()["positive"]))
        latents = hard.drawn(guidance, reference=hard.prompts()["positive"])
        kept = hard_cases.figures([take for take, _ in cases], [model.decode(latent[None]) for latent in latents])
        found |= {f"{name}{suffix}": value for name, value in {**row, **kept}.items() if name in FIGURES}
    return found


@cache
def studio(count: int, frames: int) -> list[tuple[Take, str]]:
    return hard_cases.render_cases(range(HELD_OUT, HELD_OUT + count), frames, SIZE)


def differences(
    rows: Sequence[dict], share: float, tag: str, figure: str, against: str | None = None
) -> tuple[float, float] | None:
    """Mean over seeds of a figure at a share above that at share 0, and half of its 95 % interval (Student's t); None
    for fewer than two seeds, or where it was not measured. against: the figure at share 0, where it is another."""
    against = against or figure
    if not all(name in row for row in rows for name in (figure, against)):
        return None
    plain = {row["seed"]: row[against] for row in rows if row["share"] == 0 and row["tag"] == "off"}
    mixed = {row["seed"]: row[figure] for row in rows if row["share"] == share and row["tag"] == tag}
    above = torch.tensor([mixed[seed] - plain[seed] for seed in sorted(plain.keys() & mixed.keys())]).double()
    if len(above) not in STUDENT:
        return None
    return float(above.mean()), STUDENT[len(above)] * float(above.std()) / sqrt(len(above))


def summary(rows: Sequence[dict]) -> list[dict]:
    """Of every share and tag the means over seeds; "above" has of every figure how far it lies above share 0 without
    SimDrop, and half of that difference's interval."""
    measured = [name for name in COLUMNS[3:] if all(name in row for row in rows)]
    table = []
    for share, tag in dict.fromkeys((row["share"], row["tag"]) for row in rows):
        chosen = [row for row in rows if (row["share"], row["tag"]) == (share, tag)]
        means = {name: sum(row[name] for row in chosen) / len(chosen) for name in measured}
        above = {name: differences(rows, share, tag, name, name.removesuffix("_simdrop")) for name in measured}
        table.append({"share": share, "tag": tag, "seeds": len(chosen)} | means | {"above": above})
    return table


def promises(rows: Sequence[dict], share: float = 0.3) -> list[common.Promise]:
    """What the paper says: hard cases better by more than the interval, ordinary clips no worse."""
    hard, ordinary = (differences(rows, share, "on", figure) for figure in ("hard", "drives"))
    better = [
        common.Promise(f"share {share:g}: hard cases above share 0 and the interval", hard and hard[0] - hard[1], 0.0),
        common.Promise(f"share {share:g}: drives above share 0, interval added", ordinary and sum(ordinary), 0.0),
    ]
    for name in hard_cases.FIGURES:
        less = differences(rows, share, "on", name)
        what = f"share {share:g}: {name} below share 0 and the interval"
        better.append(common.Promise(what, less and sum(less), 0.0, at_least=False))
    critic, frechet = (differences(rows, share, "on", f"{name}_simdrop", name) for name in ("critic", "frechet"))
    with_it, least = f"share {share:g} with SimDrop", frechet and frechet[0] - frechet[1]
    return [
        *better,
        common.Promise(f"{with_it}: critic above share 0, interval added", critic and sum(critic), 0.0),
        common.Promise(f"{with_it}: Frechet below share 0, interval taken", least, 0.0, at_least=False),
    ]


def tags_of(share: float, tags: Sequence[str]) -> tuple[str, ...]:
    """Without renders there is nothing to tag; without ordinary clips a filter has nothing to choose between."""
    return ("off",) if share == 0 else tuple(tag for tag in tags if share < 1 or tag != FILTERED)


def main() -> None:
    parser = common.parser(__doc__.split("\n")[0])
    parser.add_argument("work", type=Path, help="folder that keeps clips and LoRAs")
    parser.add_argument("--shares", default="0,0.1,0.3,0.5,1")
    parser.add_argument("--tags", default=f"off,on,{FILTERED}", help="of shares above 0")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each, at most 5")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--clips", type=int, default=9, help="renders of each hard case; three times as many drives")
    parser.add_argument("--frames", type=int, default=17)
    parser.add_argument("--size", default="96x160")
    parser.add_argument("--generate", type=int, default=3, help="drives, and hard cases of each kind, drawn from noise")
    parser.add_argument("--model", type=Path, help="default: the embedded model")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    options = parser.parse_args()
    shares = [float(share) for share in options.shares.split(",")]
    prepare(options.work, options.clips, options.frames, options.size)
    bench = None
    if options.generate:
        bench = open_bench(range(HELD_OUT, HELD_OUT + options.generate), frames=options.frames)
    settings = ("steps", "clips", "frames", "size", "precision", "model", "generate")
    about = {name: str(getattr(options, name)) for name in settings}
    written = options.work / "rows.json"
    known = json.loads(written.read_text()) if written.is_file() else {}
    rows = known["rows"] if known.get("about") == about else []
    untrained = {} if bench is None else known.get("model") if rows else looks(bench, None, None)
    for seed in range(options.seeds):
        reference = train(options.work, 1.0, "off", seed, options) if bench else None
        for share in shares:
            for tag in tags_of(share, options.tags.split(",")):
                run = {"share": share, "tag": tag, "seed": seed}
                if any(run.items() <= row.items() for row in rows):
                    continue
                start = time.monotonic()
                file = train(options.work, share, tag, seed, options)
                seconds = round(time.monotonic() - start, 1)
                row = run | {"train_seconds": seconds} | gains(options.work, file, options)
                row |= looks(bench, file, reference) if bench else {}
                rows.append(row)
                write_json(written, {"about": about, "model": untrained, "rows": rows})
                print({name: row[name] for name in COLUMNS if name in row}, flush=True)
    means = summary(rows)
    common.print_table(means, [name for name in COLUMNS if name != "seed"])
    print()
    common.finish(
        options.json,
        rows,
        COLUMNS,
        promises(rows),
        means=means,
        **about,
        untrained=untrained,
        seeds=options.seeds,
        command="python benchmarks/simdrop_mix.py WORK",
    )


if __name__ == "__main__":
    main()
