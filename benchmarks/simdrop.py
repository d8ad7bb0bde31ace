"""SimDrop's form on the embedded model: weight, interval, contrast, low frequencies and reference, against none.

    render-cg and train-lora make a reference (docs/cg-clips.md); without --reference a prompt is one
    python benchmarks/simdrop.py --tune [--reference LORA]                       candidates, on scenes 800000 and up
    python benchmarks/simdrop.py [--reference LORA] --json OUT.json              the chosen one, on scenes 900000 and up

Full inversion, CFG 1, one window of 17 frames a scene. A form is chosen on the tuning scenes: of those whose Frechet
distance is at most 1.2 times that without, whose edges and colours lose at most .01, the one the critic likes best. It
may be none. Frechet distances are over few frames: compare them inside one table only. --tune writes every row as soon
as it is measured, with the best form so far; the same command goes on from there.
"""

from __future__ import annotations

import json
import sys
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
from pipeline_core.models.folders.lora import parse_lora  # noqa: E402
from pipeline_core.video.files import write_json  # noqa: E402

HELD_OUT, TUNING = range(900_000, 900_010), range(800_000, 800_012)
TUNED = Path(__file__).with_name("simdrop_tuned.json")
COLUMNS = ("row", "psnr", "edge_f1", "colours", "critic", "frechet", "saturation", "calls")
OFF = "off"
# Noise levels between which the push acts: everywhere, where the look is decided, and where only texture is.
RANGES = {"everywhere": None, "middle": (0.5, 10.0), "texture": (0.0, 1.5)}
WEIGHTS = (0.03, 0.1, 0.3)
FRECHET, LOSS = 1.2, 0.01


def forms(with_lora: bool) -> dict[str, dict]:
    """The candidates by name: weight, range, rescale, low and reference of each."""
    references = ("prompt", "LoRA") if with_lora else ("prompt",)
    named = {}
    for reference, weight, where in product(references, WEIGHTS, RANGES):
        for low, rescale in ((0.0, 0.0), (0.25, 1.0)):
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


def chosen(rows: list[dict]) -> dict | None:
    """The row that the critic likes best of those that hold and that it likes better than none."""
    off = next(each for each in rows if each["row"] == OFF)
    good = [each for each in rows if each is not off and holds(each, off) and each["critic"] > off["critic"]]
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
    return [
        promise
        for each in others
        for promise in (
            common.Promise("critic above that without", each["critic"] - off["critic"], 0.0),
            common.Promise("Frechet, times that without", each["frechet"] / off["frechet"], FRECHET, at_least=False),
            common.Promise("edge F1 against that without", each["edge_f1"] - off["edge_f1"], -LOSS),
            common.Promise("colours against those without", each["colours"] - off["colours"], -LOSS),
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
        best = json.loads(options.tuned.read_text())["form"]
        candidates = {} if best is None else {"chosen": best}
        if best and best["reference"] == "LoRA" and lora is None:
            parser.error("the form that was chosen pushes away from a LoRA: name it by --reference")
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
    rows = [row(bench, OFF, None), *(row(bench, name, form) for name, form in candidates.items())]
    common.finish(options.json, rows, COLUMNS, promises(rows), **about, command="python benchmarks/simdrop.py")


if __name__ == "__main__":
    main()
