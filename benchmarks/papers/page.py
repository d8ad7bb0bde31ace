"""The papers' tables as they lie in benchmarks/results/papers, into docs/results.md and docs/images.

    python benchmarks/papers/page.py

Nothing is measured.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

RESULTS, PAGE = ROOT / "benchmarks" / "results" / "papers", ROOT / "docs" / "results.md"
TABLES = ("conditions", "cfg", "calibration", "maps", "prompts", "longvideo", "downstream", "instructions")
BEGIN, END = "<!-- the papers' tables: written by benchmarks/papers/page.py -->", "<!-- end of the papers' tables -->"
# Of every figure: its heading, how it is written, and whether its interval goes with it.
FIGURES = {
    "psnr": ("PSNR to twin", "{:.2f}", False),
    "above": ("dB above {base}", "{:+.2f}", True),
    "edge_f1": ("edge F1", "{:.3f}", False),
    "lamps": ("lamps", "{:.2f}", True),
    "vehicles": ("vehicles", "{:.2f}", True),
    "signs": ("signs", "{:.2f}", True),
    "colours": ("lamps and vehicles", "{:.2f}", True),
    "critic": ("critic", "{:.3f}", True),
    "frechet": ("Frechet", "{:.0f}", False),
    "calls": ("calls", "{:.0f}", False),
    "ssim": ("SSIM to input", "{:.3f}", False),
    "saturation": ("saturation", "{:.3f}", False),
    "mse": ("MSE to input", "{:.4f}", True),
    "mse_l": ("MSE_l to input", "{:.4f}", True),
    "d_sf": ("D_SF", "{:+.4f}", False),
    "residual": ("residual", "{:.3f}", False),
    "miou": ("mIoU on photoreal frames", "{:.3f}", True),
    "gap": ("of the gap", "{:.2f}", True),
    "nearer": ("dB nearer than the source", "{:+.2f}", True),
    "toward": ("of the exact way", "{:.2f}", True),
    "reflected": ("asked look", "{:.2f}", True),
    "training_scenes": ("scenes", "{:.0f}", False),
    "text": ("text alignment", "{:.3f}", True),
    "direction": ("direction", "{:.3f}", True),
    "at_seams": ("at seams", "{:.2f}", True),
    "of_twin": ("of the twin's", "{:.2f}", True),
    "consistency": ("frame consistency", "{:.5f}", True),
    "fit": ("fit", "{:.2f}", False),
}


def number(value: float | None, form: str) -> str:
    """Written without the 0 before the point; a dash for what was not measured."""
    if value == 0:
        return "0"
    return "-" if value is None else form.format(value).replace("0.", ".", 1) if abs(value) < 1 else form.format(value)


def cell(row: dict, figure: str) -> str:
    _, form, doubted = FIGURES[figure]
    text, ends = number(row.get(figure), form), row["interval"].get(figure)
    certain = ends is None or ends[0] == ends[1]
    return text if not doubted or certain else f"{text} ({' to '.join(number(end, form) for end in ends)})"


def lines(cells: list[list[str]]) -> list[str]:
    rows = [f"| {' | '.join(row)} |" for row in cells]
    return [rows[0], f"|{' --- |' * len(cells[0])}", *rows[1:]]


def table(result: dict) -> list[str]:
    """Markdown of a results file."""
    about, rows, shown = result["about"], result["rows"], result["about"]["shown"]
    columns, base = shown["columns"], shown["base"]
    heads = [FIGURES[figure][0].format(base=base) for figure in columns]
    cells = [["", *heads, "the paper"]]
    for row in rows:
        name = f"**{row['row']}**" if row["row"] == base else row["row"]
        cells.append([name, *(cell(row, figure) for figure in columns), row["paper"] or ""])
    seeds = about["seeds"]
    claims = [["", "difference", ""]]
    for claim in about["claims"]:
        _, form, _ = FIGURES[claim["what"]]
        ends = f" ({' to '.join(number(end, form) for end in claim['interval'])})" if claim["interval"] else ""
        claims.append([claim["claim"], number(claim["value"], form) + ends, claim["verdict"]])
    return [
        f"### {shown['title']}",
        f"`{about['command']}`: {len(seeds)} scenes (seeds {seeds[0]} to {seeds[-1]}) of {about['frames']} frames, "
        f"{about['steps']} steps, {about['cpu_minutes']:g} minutes of one core.",
        "",
        *lines(cells),
        "",
        *([f"Not measured yet: {'; '.join(about['missing'])}.", ""] if about.get("missing") else []),
        *lines(claims),
        "",
    ]


def section() -> str:
    """What stands between the two marks of the page, the marks with it."""
    paths = [RESULTS / f"{name}.json" for name in TABLES]
    results = [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]
    text = [BEGIN, "", *INTRODUCTION.strip().splitlines(), "", *verdicts(results)]
    return "\n".join([*text, *(line for result in results for line in table(result)), END])


def verdicts(results: list[dict]) -> list[str]:
    """The claims of all tables by verdict."""
    claims = [claim for result in results for claim in result["about"]["claims"]]
    text = []
    for verdict in ("confirmed", "refuted", "undecided"):
        sentences = [claim["claim"] + ("" if claim["verdict"] == verdict else " (so far)")
                     for claim in claims if claim["verdict"].startswith(verdict)]  # fmt: skip
        if sentences:
            text += [f"{verdict.capitalize()}:", *(f"- {sentence}" for sentence in sentences), ""]
    return text


INTRODUCTION = """
## The papers' tables
`make papers` measures them one after the other and goes on where it was cut off; these scenes are in no other
benchmark. The world is small and so is the model: rows compare methods, not models. In brackets are 95 % of bootstrap
draws over the scenes; few scenes make them coarse. Below each table stand sentences of the paper, or ours, as the
difference that they claim: *confirmed* and *refuted* where the whole interval is on one side (*so far* where there are
fewer than five scenes, or fewer that show such an object), else *undecided*. Critic and Frechet distance are the
world's own critic's. Lamps, vehicles and signs are the share of views that keep their colour. Text alignment and
direction are cosines of the world's own text-image encoder: of frames and their prompt, and of the way from source to
result and the way from the source's words to the prompt; tables without these columns were measured without it.

![Curves of these tables with their intervals](images/papers.png)
"""


def main() -> None:
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    PAGE.write_text(before + section() + rest.split(END)[1], encoding="utf-8")
    from benchmarks.papers.plots import plot

    plot(RESULTS, ROOT / "docs" / "images" / "papers.png")


if __name__ == "__main__":
    main()
