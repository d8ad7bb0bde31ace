"""The report: every figure with its unit and remark, as a dict for JSON and as a printed table."""

from __future__ import annotations

import csv
import hashlib
import io
import math
import os
import platform
from collections.abc import Mapping
from pathlib import Path

from ..errors import UserError
from ..video.files import write_text
from .base import Figure

NOT_MEASURED = "not measured: "  # how the remark of a figure begins whose network was not given


def collect(sections: Mapping[str, Mapping[str, Figure]], **about) -> dict:
    """One report from {section: {name: Figure}} and what it is about (paths, settings, seeds, versions).

    Returns {"about": {...}, "figures": {section: {name: {"value", "unit", "better", "note"}}}}, ready for
    JSON. A value that is not finite becomes None with a remark, because JSON has no word for it.
    """
    figures: dict[str, dict] = {}
    for section, content in sections.items():
        figures[section] = {}
        for name, figure in content.items():
            value, note = figure.value, figure.note
            if value is not None and not math.isfinite(value):
                value, note = None, "; ".join(filter(None, [note, f"not finite ({value})"]))
            figures[section][name] = {
                "value": value,
                "unit": figure.unit,
                "better": figure.better,
                "note": note,
            }
    return {"about": about, "figures": figures}


def check_report(content, what: str, change: str) -> dict:
    """A report as `collect` and `Suite.report` make it, from what some JSON held; UserError for anything else.

    what, change: how the sentence begins and ends.
    """

    def figure(held) -> bool:
        words = isinstance(held, dict) and all(isinstance(held.get(k), str) for k in ("unit", "better", "note"))
        return words and (held.get("value") is None or _is_finite(held["value"]))

    if not isinstance(content, dict) or not isinstance(content.get("figures"), dict):
        raise UserError(f"{what} holds no figures: {change}.")
    content = {"frames": {}, **content}
    sections, series = content["figures"], content["frames"]
    sound = all(isinstance(held, dict) and all(map(figure, held.values())) for held in sections.values())
    sound = sound and isinstance(series, dict) and all(isinstance(held, dict) for held in series.values())
    for values in (values for held in series.values() for values in held.values()) if sound else ():
        sound = sound and isinstance(values, list) and all(v is None or _is_finite(v) for v in values)
    if not sound:
        raise UserError(f"{what} holds figures of another kind: {change}.")
    return content


def _is_finite(value) -> bool:
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond any float
        return False


def environment() -> dict[str, str]:
    """The versions and the machine that figures were made with: where one differs, they agree to rounding only.

    cpu: the instruction set torch uses. threads: how many it computes on.
    """
    import torch

    from .. import __version__

    return {
        "pipeline_core": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": str(torch.get_num_threads()),
    }


def file_hashes(paths: Mapping[str, str | os.PathLike | None]) -> dict[str, dict[str, str]]:
    """{name: {"path", "sha256"}} of model files, and of folders (their safetensors in order of name); what is
    None or not there is left out."""
    hashes = {}
    for name, path in paths.items():
        if path is not None and Path(path).exists():
            path, digest = Path(path), hashlib.sha256()
            for file in sorted(path.glob("*.safetensors")) if path.is_dir() else [path]:
                with open(file, "rb") as held:
                    while block := held.read(1 << 20):
                        digest.update(block)
            hashes[name] = {"path": str(path), "sha256": digest.hexdigest()}
    return hashes


def format_table(report: dict) -> str:
    """The figures of `collect` as aligned text: name, value, unit, the better direction, remark.

    What was not measured follows below the table, by what to give for it.
    """
    rows = [("figure", "value", "unit", "better", "remark")]
    missing: dict[str, list[str]] = {}
    for section, content in report["figures"].items():
        measured = []
        for name, figure in content.items():
            if figure["value"] is None and figure["note"].startswith(NOT_MEASURED):
                missing.setdefault(figure["note"].removeprefix(NOT_MEASURED), []).append(name)
                continue
            value = "undefined" if figure["value"] is None else f"{figure['value']:.4g}"
            measured.append((f"  {name}", value, figure["unit"], figure["better"], figure["note"]))
        rows += [(section, "", "", "", ""), *measured] if measured else []
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [
        "  ".join(
            [
                name.ljust(widths[0]),
                value.rjust(widths[1]),
                unit.ljust(widths[2]),
                better.ljust(widths[3]),
                note,
            ]
        )
        for name, value, unit, better, note in rows
    ]
    if missing:
        lines.append("not measured")
        lines += [f"  {what}: {', '.join(dict.fromkeys(names))}" for what, names in missing.items()]
    return "\n".join(line.rstrip() for line in lines)


def format_runs(runs: Mapping[str, dict]) -> str:
    """Several reports side by side as aligned text: one column per run, the best value of a figure marked with *.

    Figures undefined in every run are left out; a figure with no better direction has no mark.
    """
    rows = [("figure", "unit", *runs)]
    for section, names in _names(runs).items():
        lines = []
        for name in names:
            figures = [report["figures"].get(section, {}).get(name) for report in runs.values()]
            values = [figure["value"] if figure else None for figure in figures]
            known = [value for value in values if value is not None]
            if known:
                first = next(figure for figure in figures if figure)
                best = {"higher": max, "lower": min}.get(first["better"], lambda _: None)(known)
                mark = [" *" if len(known) > 1 and v is not None and v == best else "" for v in values]
                cells = ["undefined" if v is None else f"{v:.4g}{m}" for v, m in zip(values, mark)]
                lines.append((f"  {name}", first["unit"], *cells))
        if lines:
            rows += [(section, *[""] * (1 + len(runs))), *lines]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def _names(runs: Mapping[str, dict]) -> dict[str, list[str]]:
    """Sections and figure names that any of the runs has, in order of appearance."""
    names: dict[str, dict] = {}
    for report in runs.values():
        for section, content in report["figures"].items():
            names.setdefault(section, {}).update(dict.fromkeys(content))
    return {section: list(content) for section, content in names.items()}


def write_csv(path: str | os.PathLike, runs: Mapping[str, dict]) -> None:
    """The figures of one or several reports {run: report} as CSV: section, figure, unit, better, then value and note
    of every run. An undefined value is an empty field, its note says why. UserError as `write_text`."""
    rows = [["section", "figure", "unit", "better", *[f"{run}{what}" for run in runs for what in ("", " note")]]]
    for section, names in _names(runs).items():
        for name in names:
            figures = [report["figures"].get(section, {}).get(name) for report in runs.values()]
            first = next(figure for figure in figures if figure)
            cells = [cell for figure in figures for cell in _cells(figure)]
            rows.append([section, name, first["unit"], first["better"], *cells])
    write_text(path, _csv(rows))


def _cells(figure: dict | None) -> tuple[str, str]:
    if figure is None:
        return "", "not measured"
    return "" if figure["value"] is None else repr(figure["value"]), figure["note"]


def write_frames_csv(path: str | os.PathLike, report: dict) -> None:
    """The per-frame values of a report as CSV, one row per frame: frame, then "section: figure" columns. What is
    undefined in a frame is an empty field. UserError as `write_text`."""
    series = {f"{section}: {name}": v for section, held in report["frames"].items() for name, v in held.items()}
    count = max((len(values) for values in series.values()), default=0)
    rows = [["frame", *series]]
    for t in range(count):
        values = [v[t] if t < len(v) else None for v in series.values()]
        rows.append([t, *["" if value is None else repr(value) for value in values]])
    write_text(path, _csv(rows))


def _csv(rows: list[list]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
