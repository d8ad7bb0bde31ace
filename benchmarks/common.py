"""What every benchmark here does: a table, the same as JSON with versions and machine, and a line per promise."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline_core.metrics.report import environment
from pipeline_core.video.files import write_json


@dataclass(frozen=True)
class Promise:
    """A figure that was promised: `value` has to be at least (or at most) `target`; None is not measured."""

    name: str
    value: float | None
    target: float
    at_least: bool = True

    @property
    def held(self) -> bool:
        if self.value is None:
            return False
        return self.value >= self.target if self.at_least else self.value <= self.target

    def line(self) -> str:
        value = "not measured" if self.value is None else f"{self.value:.4g}"
        sign = ">=" if self.at_least else "<="
        return f"{self.name}: {value} (target {sign} {self.target:g}): {'held' if self.held else 'short'}"


def parser(description: str) -> argparse.ArgumentParser:
    argument_parser = argparse.ArgumentParser(description=description)
    argument_parser.add_argument("--json", type=Path, help="write table, promises, versions, seeds and machine as JSON")
    return argument_parser


def print_table(rows: Sequence[dict], columns: Sequence[str]) -> None:
    """Rows as aligned text; numbers with four significant digits, what is missing as a dash."""

    def text(value) -> str:
        if value is None:
            return "-"
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    cells = [list(columns)] + [[text(row.get(name)) for name in columns] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    for line in cells:
        print(
            "  ".join(
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
        )


def finish(
    path: Path | None, rows: Sequence[dict], columns: Sequence[str], promises: Sequence[Promise], **about
) -> None:
    """Print the table and a line per promise; write the JSON if asked, with this process's CPU minutes unless `about`
    says others."""
    print_table(rows, columns)
    print()
    for promise in promises:
        print(promise.line())
    if path is not None:
        promised = [{**asdict(promise), "held": promise.held} for promise in promises]
        known = {"cpu_minutes": round(time.process_time() / 60, 1), **about}
        known["environment"] = {**environment(), "cores": os.cpu_count()}
        write_json(path, {"about": known, "rows": list(rows), "promises": promised})
