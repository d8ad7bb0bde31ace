"""The picture above the papers' tables: guidance, calibration's rounds, and maps made worse."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.plots import BLUE, GREEN, ORANGE, PINK, RED, pyplot, save

KINDS = {"noise": (BLUE, "o"), "holes": (ORANGE, "s"), "blur": (GREEN, "^"), "wrong": (RED, "v"), "late": (PINK, "D")}


def plot(results: Path, path: Path) -> None:
    panels = {"cfg": guidance, "calibration": rounds, "maps": errors}
    panels = {name: panel for name, panel in panels.items() if (results / f"{name}.json").exists()}
    figure, axes = pyplot().subplots(1, len(panels), figsize=(5.2 * len(panels), 4.6), squeeze=False)
    for axis, (name, panel) in zip(axes[0], panels.items(), strict=True):
        panel(axis, {row["row"]: row for row in json.loads((results / f"{name}.json").read_text())["rows"]})
        axis.grid(alpha=0.3)
    figure.tight_layout()
    save(figure, path)


def _line(axis, xs: list, rows: list[dict], what: str, **style) -> None:
    axis.plot(xs, [row[what] for row in rows], markersize=6, **style)
    ends = [row["interval"][what] or (row[what],) * 2 for row in rows]
    axis.fill_between(xs, [low for low, _ in ends], [high for _, high in ends], color=style["color"], alpha=0.12)


def guidance(axis, rows: dict[str, dict]) -> None:
    one = rows["CFG 1 (default)"]
    scales = (3, 5, 7, 9, 11)
    ways = {
        "": ("at all sigmas", RED, "o"),
        ", below sigma 1.5": ("below sigma 1.5", ORANGE, "^"),
        ", damped": ("damped", BLUE, "s"),
        ", below sigma 1.5, damped": ("both", GREEN, "D"),
    }
    for end, (label, colour, marker) in ways.items():
        line = [one, *(rows[f"CFG {scale}{end}"] for scale in scales)]
        _line(axis, [1, *scales], line, "psnr", color=colour, marker=marker, label=label)
    axis.set(title="guidance scale", xlabel="CFG", ylabel="PSNR to the photoreal twin, dB", xticks=[1, *scales])
    axis.legend(fontsize=9)


def rounds(axis, rows: dict[str, dict]) -> None:
    """Residual after every round, and where the result is: both to the input."""
    for name, colour, marker, label in (("N = 10", RED, "o", "nu 1"), ("N = 10, nu 0.5", ORANGE, "^", "nu .5")):
        row = rows[name]
        steps = sorted(int(key.removeprefix("residual_")) for key in row if key.startswith("residual_"))
        curve = [{"residual": row[f"residual_{n}"], "interval": {"residual": row["interval"][f"residual_{n}"]}}
                 for n in steps]  # fmt: skip
        _line(axis, steps, curve, "residual", color=colour, marker=marker, label=f"residual, {label}")
    counts = {0: "SDEdit, t0 600", 1: "N = 1", 2: "N = 2", 3: "N = 3, nu 1, t0 600 (published default)", 5: "N = 5",
              10: "N = 10"}  # fmt: skip
    other = axis.twinx()
    _line(other, list(counts), [rows[name] for name in counts.values()], "ssim", color=BLUE, marker="s")
    other.set_ylabel("SSIM of the result to the input (blue)", color=BLUE)
    axis.set(title="rounds of noise calibration, t0 600", xlabel="rounds N", ylabel="residual of the low frequencies")
    axis.legend(fontsize=9)


def errors(axis, rows: dict[str, dict]) -> None:
    for kind, (colour, marker) in KINDS.items():
        line = [rows["exact"], *(row for name, row in rows.items() if name.startswith(kind))]
        label = {"wrong": "wrong names", "late": "late by 1, 2, 4 frames"}.get(kind, kind)
        _line(axis, range(len(line)), line, "above", color=colour, marker=marker, label=label)
    axis.axhline(rows["none"]["above"], color="0.4", linestyle="--", label="no maps at all")
    axis.set(title="control maps made worse in steps", xlabel="step", ylabel="dB above exact maps", xticks=range(4))
    axis.legend(fontsize=9)
