"""What the page of numbers says against the results that lie in the repository."""

import json
import re
from pathlib import Path

from page_commands import ROOT

from benchmarks.papers import page

RESULTS = ROOT / "benchmarks" / "results"


def test_the_papers_tables_are_what_was_measured():
    assert page.section() in page.PAGE.read_text(encoding="utf-8")


def test_the_first_table_and_the_readme_say_what_was_measured():
    text = page.PAGE.read_text(encoding="utf-8")
    table = text[text.index("## Against other starts") : text.index("These weights are")]
    said = re.findall(r"^\| [^|]*\| \**([\d.]+)\** \| \**([\d.]+)\** \|", table, re.MULTILINE)
    rows = json.loads((RESULTS / "embedded.json").read_text())["rows"]
    assert said == [(f"{row['psnr']:.1f}", f"{row['ssim']:.3f}".lstrip("0")) for row in rows]
    best = next(row for row in rows if "default" in row["row"])
    assert f"[{best['psnr']:.1f} dB from the true photoreal twin]" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_what_is_said_of_the_final_scenes_and_of_held_signs_was_measured():
    text = " ".join(page.PAGE.read_text(encoding="utf-8").split())
    final, first = (
        {row["row"]: row for row in json.loads((RESULTS / name).read_text())["rows"]}
        for name in ("embedded_final.json", "embedded.json")
    )
    default, held = (final[name] for name in ("inversion (default)", "inversion, signs held"))
    above = [default["psnr"] - final[name]["psnr"] for name in ("input", "colour transfer (twin's statistics)")]
    colours = " ".join(f"{what} {two(default[what])}," for what in ("vehicles", "signs"))
    said = (
        f"`benchmarks/results/embedded_final.json`): {default['psnr']:.1f} dB, +{above[0]:.1f} over the input and "
        f"+{above[1]:.1f} over colour transfer; lamps {two(default['lamps'])}, {colours} edge F1 "
        f"{three(default['edge_f1'])}, Frechet {default['frechet']:.1f}, critic {three(default['critic'])} (.95 asked "
        f"for), temporal error {default['temporal'] / final['VAE round trip, twin']['temporal']:.2f} times the VAE's"
    )
    assert said in text
    said = (
        f"With signs held: {held['psnr']:.1f} dB, vehicles {two(held['vehicles'])}, signs {two(held['signs'])}, critic "
        f"{three(held['critic'])}, Frechet {held['frechet']:.1f}."
    )
    assert said in text
    free, held = (first[name] for name in ("inversion (default)", "inversion, signs held"))
    said = (
        f"{two(held['signs'])} of the views keep their colour instead of {two(free['signs'])}, and of vehicles "
        f"{three(held['vehicles'])} instead of {three(free['vehicles'])}, for {two(free['psnr'] - held['psnr'])} dB, "
        f"{three(free['critic'] - held['critic'])} of the critic and a Frechet distance of {held['frechet']:.0f} "
        f"instead of {free['frechet']:.0f}"
    )
    assert said in text


def two(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")


def three(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def test_the_table_of_own_eyes_says_what_was_measured():
    text = page.PAGE.read_text(encoding="utf-8")
    table = text[text.index("## The world's own eyes") : text.index("## By foreign eyes")]
    said = [
        float(number)
        for cell in re.findall(r"^\| [^|]*\| ([\d., ]+)", table, re.MULTILINE)
        for number in cell.split(",")
    ]
    rows = json.loads((RESULTS / "perception.json").read_text())["rows"]
    measured = [row["value"] for row in rows if row["target"] is not None]
    assert len(said) == len(measured) and all(abs(a - b) <= 0.0051 for a, b in zip(said, measured, strict=True))


def cells(heading: str, path: Path = page.PAGE) -> list[list[str]]:
    """The rows of the first table below a heading of a page, without its head."""
    text = path.read_text(encoding="utf-8")
    table = text[text.index(f"\n## {heading}\n") :].split("| --- |\n", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip("* ") for cell in line.strip("|").split("|")] for line in table.splitlines()]


def same(said: str, measured: list[float]) -> bool:
    """Is every number of a cell what was measured, to the digits that it has."""
    numbers = re.findall(r"-?[\d.]+", said)
    return len(numbers) == len(measured) and all(
        abs(float(number) - value) <= 0.51 * 10 ** -len(number.partition(".")[2])
        for number, value in zip(numbers, measured, strict=True)
    )


def test_the_table_of_starts_says_what_was_measured():
    rows = json.loads((RESULTS / "papers" / "starts.json").read_text())["rows"]
    said = cells("Starts with intervals, and editing without inversion")
    for (_, psnr, *shares, edges, critic, calls), row in zip(said, rows, strict=True):
        assert same(psnr, [row["psnr"], *row["interval"]["psnr"]])
        for share, kind in zip(shares, ("lamps", "vehicles", "signs"), strict=True):
            assert same(share, [row[kind], *(row["interval"][kind] if "to" in share else [])])
        assert all(same(cell, [row[name]]) for cell, name in ((edges, "edge_f1"), (critic, "critic"), (calls, "calls")))


def test_the_table_of_guidance_says_what_was_measured():
    rows = json.loads((RESULTS / "guidance.json").read_text())["rows"]
    matched = {row["row"]: row for row in rows if row["table"] == "matched"}
    for name, *figures in cells("Guidance"):
        row = matched[name.removesuffix(" (default)")]
        for cell, figure in zip(figures, ("psnr", "lamps", "vehicles", "signs", "critic"), strict=True):
            assert same(cell, [row[figure]]), (name, figure)


def test_the_table_of_savings_says_what_was_measured():
    rows = json.loads((RESULTS / "speed.json").read_text())["rows"]
    measured = {f"{row['table']}: {row['row']}": row for row in rows}
    names = (
        "plain: exact inversion, CFG 1",
        "first-block cache: threshold 0.3",
        "inversion steps: 10 of 20",
        "conditions: CFG 3, one by one",
        "CFG interval: CFG 3 below sigma 1.5",
    )
    for (_, *figures), name in zip(cells("What can be saved"), names, strict=True):
        for cell, figure in zip(figures, ("work", "psnr", "lamps", "signs", "critic"), strict=True):
            assert same(cell, [measured[name][figure]]), (name, figure)


def test_the_table_of_mixed_trainings_says_what_was_measured():
    about = json.loads((RESULTS / "simdrop_mix.json").read_text())["about"]
    names = ["hard", "drives", "leak"]
    names += [
        f"{name}{how}"
        for name in ("critic", "frechet", "reprojection_error", "alpha_error")
        for how in ("", "_simdrop")
    ]
    said = cells("What mixing does", ROOT / "docs" / "cg-clips.md")
    for (share, tag, *figures), row in zip(said, about["means"], strict=True):
        assert same(share, [row["share"]]) and (tag or "off") == row["tag"]
        for cell, name in zip(figures, names, strict=True):
            assert same(cell, [row[name]]), (share, tag, name)


def test_the_table_of_foreign_eyes_says_what_was_measured():
    rows = json.loads((RESULTS / "foreign_eyes.json").read_text())["rows"]
    for (_, distance, below), row in zip(cells("By foreign eyes"), rows, strict=True):
        for cell, names in ((distance, ("kid", "low", "high")), (below, ("below_source", "below_low", "below_high"))):
            assert same(cell, [row[name] for name in names if name in row])
