"""What the page of numbers says against the results that lie in the repository."""

import json
import re

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
