"""The report: every figure with its unit and remark, as a dict for JSON and as a printed table."""

from __future__ import annotations

import json
import math
import os
import platform
import secrets
from collections.abc import Mapping
from pathlib import Path

from ..errors import UserError
from .base import Figure


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


def environment() -> dict[str, str]:
    """The versions and the machine that figures were made with."""
    import torch

    from .. import __version__

    return {
        "pipeline_core": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def format_table(report: dict) -> str:
    """The figures of `collect` as aligned text: name, value, unit, the better direction, remark."""
    rows = [("figure", "value", "unit", "better", "remark")]
    for section, content in report["figures"].items():
        rows.append((section, "", "", "", ""))
        for name, figure in content.items():
            value = "undefined" if figure["value"] is None else f"{figure['value']:.4g}"
            rows.append((f"  {name}", value, figure["unit"], figure["better"], figure["note"]))
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
    return "\n".join(line.rstrip() for line in lines)


def write_json(path: str | os.PathLike, content: dict) -> None:
    """Write a dict as JSON, whole or not at all; UserError where the folder does not exist."""
    path = Path(path)
    if not path.parent.is_dir():
        raise UserError(f"The output folder {path.parent} does not exist: create it first.")
    text = json.dumps(content, indent=1, allow_nan=False)
    partial = path.parent / f".{path.name}.{secrets.token_hex(4)}.part"
    try:
        partial.write_text(text + "\n", encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
