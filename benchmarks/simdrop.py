"""SimDrop's form on the embedded model: weight, interval, contrast, low frequencies and reference, against none.

    render-cg and train-lora make a reference (docs/cg-clips.md); without --reference a prompt is one
    python benchmarks/simdrop.py --tune [--reference LORA]                       candidates, on scenes 800000 and up
    python benchmarks/simdrop.py [--reference LORA] --json OUT.json     the best of each reference, on 920000 and up

Full inversion, CFG 1, one window of 17 frames a scene. A form is chosen on the tuning scenes: of those whose Frechet
distance is at most 1.2 times that without, whose edges and colours lose at most .01, the one the critic likes best. It
may be none. Frechet distances are over few frames: compare them inside one table only. --tune writes every row as soon
as it is measured, with the best form so far; the same command goes on from there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

from benchmarks import common  # noqa: E402
from benchmarks.guided import Bench, open_bench  # noqa: E402
from pipeline_core.diffusion import CFG, Interval, SimDrop  # noqa: E402
from pipeline_core.diffusion.guidance import Guidance  # noqa: E402
from pipeline_core.models.folders.layout import sample_hash  # noqa: E402
from pipeline_core.models.folders.lora import parse_lora  # noqa: E402
from pipeline_core.video.files import write_json  # noqa: E402

HELD_OUT, TUNING = range(920_000, 920_010), range(800_000, 800_012)
TUNED = Path(__file__).with_name("simdrop_tuned.json")
COLUMNS = ("row", "psnr", "edge_f1", "colours", "critic", "frechet", "saturation", "calls")
OFF = "off"
# Noise levels between which the push acts: everywhere, where the look is decided, and where only texture is.
RANGES = {"everywhere": None, "middle": (0.5, 10.0), "texture": (0.0, 1.5)}
AS_IT_IS, BOUND = (0.0, 0.0), (0.25, 1.0)  # low and rescale
# Without the two, weights end where the Frechet distance has risen by half.
WEIGHTS = {
    ("LoRA", AS_IT_IS): (0.03, 0.1, 0.3), ("LoRA", BOUND): (0.03, 0.1, 0.3, 1.0),
    ("prompt", AS_IT_IS): (0.03,), ("prompt", BOUND): (0.03, 0.1, 0.3),
}  # fmt: skip
FRECHET, LOSS = 1.2, 0.01


def forms(with_lora: bool) -> dict[str, dict]:
    """The candidates by name: weight, range, rescale, low and reference of each."""
    named = {}
    for (reference, (low, rescale)), weights in WEIGHTS.items():
        if reference == "LoRA" and not with_lora:
            continue
        for weight, where in product(weights, RANGES):
            extra = (", without low frequencies" if low else "") + (", contrast held" if rescale else "")
            form = {"reference": reference, "weight": weight, "range": where, "low": low, "rescale": rescale}
            named[f"{reference} {weight:g} {where}{extra}"] = form
    return named


def guidance_of(form: dict) -> Guidance:
    """SimDrop in a form, within its noise levels."""
    branch = "inversion" if form["reference"] == "prompt" else "reference"
    pushed = SimDrop(CFG(1.0), form["weight"], reference=branch, rescale=form["rescale"], low=form["low"])
    levels = RANGES[form["range"]]
    return pushed if levels is None else Interval(pushed, *levels, outside=CFG(1.0))


def row(bench: Bench, name: str, form: dict | None) -> dict:
    """Figures of one form; the LoRA reads the prompt that the model reads."""
    prompts = {}
    if form is not None and form["reference"] == "LoRA":
        prompts["reference"] = [f"{bench.model.preset.prompt}, {clip.description}" for clip in bench.clips]
    guidance = CFG(1.0) if form is None else guidance_of(form)
    return bench.row(name, lambda: bench.retrace(guidance, **prompts), form=form)


def holds(candidate: dict, off: dict) -> bool:
    """Whether a row keeps what the row without SimDrop has."""
    edges = candidate["edge_f1"] >= off["edge_f1"] - LOSS
    colours = candidate["colours"] >= off["colours"] - LOSS
    return edges and colours and candidate["frechet"] <= FRECHET * off["frechet"]


def chosen(rows: list[dict], references: Collection[str] = ("LoRA", "prompt")) -> dict | None:
    """The row that the critic likes best of those that hold and that it likes better than none; of forms with one of
    the references alone."""
    off = next(each for each in rows if each["row"] == OFF)
    good = [each for each in rows if each is not off and holds(each, off) and each["critic"] > off["critic"]]
    good = [each for each in good if each["form"]["reference"] in references]
    return max(good, key=lambda each: each["critic"], default=None)


def tune(bench: Bench, candidates: dict[str, dict], path: Path, about: dict) -> list[dict]:
    """Rows of none and of every candidate, each written to `path` when it is measured; those of a run before with the
    same `about` are taken from there."""
    known = json.loads(path.read_text()) if path.is_file() else {}
    same = {name: known.get(name) for name in about} == about
    rows = known["rows"] if same else []
    for name, form in {OFF: None, **candidates}.items():
        if any(each["row"] == name for each in rows):
            continue
        rows.append(row(bench, name, form))
        best = chosen(rows)
        write_json(path, {**about, "form": best and best["form"], "rows": rows})
    return rows


def promises(rows: list[dict]) -> list[common.Promise]:
    """What the form has to show on held-out scenes; nothing where none was chosen."""
    off, *others = rows

    def promise(each: dict, what: str, *figures: float, **how) -> common.Promise:
        return common.Promise(f"{each['row']}: {what}", *figures, **how)

    return [
        one
        for each in others
        for one in (
            promise(each, "critic above that without", each["critic"] - off["critic"], 0.0),
            promise(each, "Frechet, times that without", each["frechet"] / off["frechet"], FRECHET, at_least=False),
            promise(each, "edge F1 against that without", each["edge_f1"] - off["edge_f1"], -LOSS),
            promise(each, "colours against those without", each["colours"] - off["colours"], -LOSS),
        )
    ]


def main() -> None:
    parser = common.parser(__doc__.split("\n")[0])
    parser.add_argument("--tune", action="store_true", help="measure the candidates on tuning scenes and stop")
    parser.add_argument("--scenes", type=int, default=6, help="scenes, at most 10")
    parser.add_argument("--frames", type=int, help="of each scene; default: the preset's window")
    parser.add_argument("--reference", help="LoRA trained on renders alone; default: a prompt is the reference")
    parser.add_argument("--tuned", type=Path, default=TUNED, help="what --tune writes and the table reads")
    options = parser.parse_args()
    lora = parse_lora(options.reference, "--reference") if options.reference else None
    seeds = (TUNING if options.tune else HELD_OUT)[: options.scenes]
    if options.tune:
        candidates = forms(lora is not None)
    else:
        tuned = json.loads(options.tuned.read_text())["rows"]
        best = [chosen(tuned, [reference]) for reference in (("prompt", "LoRA") if lora else ("prompt",))]
        candidates = {each["row"]: each["form"] for each in best if each}
    bench = open_bench(seeds, frames=options.frames, reference=lora)
    about = {
        "seeds": list(seeds), "frames": options.frames or bench.model.preset.window, "bf16": bench.model.bf16,
        "reference": lora and sample_hash(lora.path),
    }  # fmt: skip
    if options.tune:
        rows = tune(bench, candidates, options.tuned, about)
        best = chosen(rows)
        common.print_table(rows, COLUMNS)
        print(f"chosen: {best['row'] if best else 'none holds'}")
        return
    rows = []
    for name, form in {OFF: None, **candidates}.items():
        rows.append(row(bench, name, form))
        print({column: rows[-1][column] for column in COLUMNS}, flush=True)
    common.finish(options.json, rows, COLUMNS, promises(rows), **about, command="python benchmarks/simdrop.py")


if __name__ == "__main__":
    main()
