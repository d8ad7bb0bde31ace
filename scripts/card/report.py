"""The report as one JSON file and one Markdown table."""

from __future__ import annotations

from pathlib import Path

from card.parts import FAILED, SKIPPED
from pipeline_core.video.files import write_json, write_text

COLUMNS = ("part", "what", "measured", "at most", "")


def write(report: dict, folder: Path) -> None:
    """gpu_check.json and gpu_check.md in `folder`."""
    write_json(folder / "gpu_check.json", report)
    write_text(folder / "gpu_check.md", table(report))


def table(report: dict) -> str:
    """The report for people: what it ran on, a row for each figure, what was skipped or failed and why."""
    facts = report["facts"]
    head = facts.get("card", facts["device"])
    memory = f", {facts['memory bytes'] / 2**30:.0f} GiB" if "memory bytes" in facts else ""
    lines = [f"# gpu-check: {head}{memory}", ""]
    size = "small sizes (a rehearsal)" if report["small"] else "full sizes"
    lines += [f"torch {facts['torch']}, device {facts['device']}, {size}, {report['seconds']:.0f} s.", ""]
    lines += [f"| {' | '.join(COLUMNS)} |", "|" + " --- |" * len(COLUMNS)]
    for name, part in report["parts"].items():
        if part["state"] == SKIPPED:
            lines.append(f"| {name} | | | | skipped: {part['why']} |")
            continue
        for row in part["rows"]:
            cells = (name, row["what"], _number(row), _bound(row), _verdict(row))
            lines.append(f"| {' | '.join(cells)} |")
        if part["state"] == FAILED and part["why"]:
            lines.append(f"| {name} | stopped | | | FAILED: {_line(part['why'])} |")
    return "\n".join(lines) + "\n"


def _number(row: dict) -> str:
    value = row["value"]
    shown = "" if value is None else value if isinstance(value, str) else f"{value:.3g}"
    return f"{shown} {row['unit']}".strip() if shown else ""


def _bound(row: dict) -> str:
    return "" if row["bound"] is None else f"{row['bound']:.3g}"


def _verdict(row: dict) -> str:
    state = {True: "ok", False: "FAILED", None: ""}[row["passed"]]
    return "; ".join(word for word in (state, _line(row["note"])) if word)


def _line(text: str) -> str:
    return " ".join(text.replace("|", "/").split())
