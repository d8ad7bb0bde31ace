"""The paper's table from a folder of clips: every method against the source, means over the clips.

    python scripts/compare_full_size.py CLIPS -o out/compared -- --vision-model dinov2 --lpips lpips.safetensors

CLIPS/source holds the clips before (with NAME_buffers beside NAME.mp4 where a simulator gave them), every other folder
in CLIPS one method's results under the same names, and CLIPS/twin, if there is one, what a perfect result would be.
What comes after -- are options of `python -m pipeline_core metrics`: the networks that some figures need. Writes
compared.json with every clip's figures and compared.md. Exit codes: 0 done, 2 bad input.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipeline_core.cli import metrics  # noqa: E402
from pipeline_core.errors import UserError  # noqa: E402
from pipeline_core.video.files import write_json, write_text  # noqa: E402

SOURCE, TWIN = "source", "twin"
ARROWS = {"higher": "↑", "lower": "↓"}
# (heading, section and name of the figure): the paper's axes first, then what its reviewers missed.
COLUMNS = (
    ("LPIPS to the source", "to the source", "lpips"),
    ("lights alike", "objects", "alignment_lights"),
    ("signs alike", "objects", "alignment_signs"),
    ("preferred", "realism", "preference"),
    ("lights' colours kept", "objects", "lights_kept"),
    ("signs' colours kept", "objects", "signs_kept"),
    ("edges kept", "to the source", "edge_f1"),
    ("depth error", "to the source", "depth_si_rmse"),
    ("masks kept", "to the source", "mask_miou"),
    ("PSNR to the twin", "to the reference", "psnr"),
    ("flicker", "time", "warped_error"),
    ("seams", "time", "seam_ratio"),
    ("critic", "realism", "critic"),
)


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="folder with source/ and a folder for each method")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/compared"), help="folder of the two files")
    options = parser.parse_args(arguments[:cut])
    try:
        methods = layout(options.clips)
        compared = measured(options.clips, methods, arguments[cut + 1 :])
    except UserError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    options.output.mkdir(parents=True, exist_ok=True)
    text = table(compared)
    write_json(options.output / "compared.json", compared)
    write_text(options.output / "compared.md", text)
    print(text)
    return 0


def layout(folder: Path) -> dict[str, list[str]]:
    """{method: names of its clips}; UserError where there is no source, no method, or a clip that has no source."""
    sources = _clips(folder / SOURCE)
    if not sources:
        raise UserError(f"{folder / SOURCE} holds no clips: put the clips before there, as NAME.mp4.")
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and path.name not in (SOURCE, TWIN))
    methods = {path.name: _clips(path) for path in folders if _clips(path)}
    if not methods:
        raise UserError(f"{folder} holds no folder of results beside {SOURCE}: put one there for each method.")
    for name, clips in methods.items():
        strange = sorted(set(clips) - set(sources))
        if strange:
            raise UserError(f"{folder / name / strange[0]} has no clip of that name in {SOURCE}: rename it.")
    return methods


def measured(folder: Path, methods: Mapping[str, Sequence[str]], rest: list[str]) -> dict:
    """{"methods": {method: {clip: figures}}, "options"}: the figures of `metrics` for every result."""
    parser = argparse.ArgumentParser(prog="options after --")
    metrics.add_arguments(parser)
    chosen = parser.parse_args([SOURCE, SOURCE, *rest])  # the clips are given one by one below
    extras = metrics.chosen_extras(chosen, {})
    figures: dict[str, dict] = {}
    for method, names in methods.items():
        figures[method] = {}
        for name in names:
            twin = folder / TWIN / name
            report = metrics.measure(
                folder / SOURCE / name,
                folder / method / name,
                None,
                twin if twin.is_file() else None,
                extras,
                None,
                not chosen.no_critic,
            )
            figures[method][name] = report["figures"]
    return {"methods": figures, "options": rest}


def table(compared: Mapping) -> str:
    """A row for each method: the mean over its clips, the standard error behind it from two clips on."""
    methods = compared["methods"]
    shown, absent = [], []
    for heading, section, name in COLUMNS:
        entries = [clip.get(section, {}).get(name) for clips in methods.values() for clip in clips.values()]
        entries = [entry for entry in entries if entry is not None]
        if any(entry["value"] is not None for entry in entries):
            better = next((entry["better"] for entry in entries if entry["better"]), "")
            shown.append((f"{heading} {ARROWS.get(better, '')}".strip(), section, name))
        else:
            absent.append(f"{heading} ({next((entry['note'] for entry in entries), 'not measured')})")
    head = ["method", "clips", *(heading for heading, _, _ in shown)]
    lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    for method, clips in methods.items():
        cells = [_cell([_value(clip, section, name) for clip in clips.values()]) for _, section, name in shown]
        lines.append(f"| {' | '.join([method, str(len(clips)), *cells])} |")
    if absent:
        lines += ["", f"Not in the table: {'; '.join(absent)}."]
    counts = {tuple(sorted(clips)) for clips in methods.values()}
    if len(counts) > 1:
        lines += ["", "The methods were not run on the same clips: their rows cannot be compared."]
    return "\n".join(lines) + "\n"


def _value(clip: Mapping, section: str, name: str) -> float | None:
    """A figure of a clip; None where it was not measured, as those to a twin of a clip that has none."""
    return clip.get(section, {}).get(name, {}).get("value")


def _cell(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    mean = f"{statistics.fmean(known):.3f}"
    return mean if len(known) < 2 else f"{mean} ± {statistics.stdev(known) / len(known) ** 0.5:.3f}"


def _clips(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.mp4")) if folder.is_dir() else []


if __name__ == "__main__":
    sys.exit(main())
