"""The README's plots from the results as they lie in benchmarks/results; nothing is measured again.

    python benchmarks/plots.py          docs/images/inversion.png and docs/images/guidance.png

Colours are Okabe and Ito's, which colour-blind readers can tell apart; lines differ in their markers too.
"""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS, IMAGES = ROOT / "benchmarks" / "results", ROOT / "docs" / "images"
BLUE, ORANGE, GREEN, YELLOW, SKY, RED, PINK = (
    "#0072B2", "#E69F00", "#009E73", "#F0E442", "#56B4E9", "#D55E00", "#CC79A7"
)  # fmt: skip
# method of inversion.json -> (label, colour, marker)
METHODS = {
    "exact": ("exact (default)", BLUE, "o"),
    "exact, float32 state": ("exact, float32 state", SKY, "o"),
    "fixed_point": ("fixed point", GREEN, "s"),
    "midpoint": ("midpoint", ORANGE, "^"),
    "heun": ("Heun", RED, "v"),
    "euler": ("Euler (DDIM)", PINK, "D"),
    "diffusers DDIMInverse + DDIM": ("diffusers' DDIM pair", "black", "x"),
    "flip sigmas, dpmpp_2m (peers)": ("peers: flipped sigmas, dpmpp_2m", "0.45", "+"),
    "flip sigmas, euler (peers)": ("peers: flipped sigmas, Euler", "0.65", "*"),
}
FLOOR = 1e-17  # what is exact to the last bit still has to be somewhere on a log axis
STARTS = {"inversion": (BLUE, "o"), "sdedit": (ORANGE, "s"), "calibration": (GREEN, "^")}


def pyplot():
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def save(figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def plot_inversion(rows: list[dict], path: Path) -> None:
    """Round-trip error against calls, one panel for the mixture and one for the embedded model."""
    figure, axes = pyplot().subplots(1, 2, figsize=(12.4, 4.6), sharey=True)
    for axis, kind, title in zip(axes, ("mixture", "embedded"), ("64-d mixture", "embedded model"), strict=True):
        name = next(row["denoiser"] for row in rows if row["denoiser"].startswith(kind))
        for method, (label, colour, marker) in METHODS.items():
            points = sorted(
                (row["calls"], max(row["round_trip"], FLOOR))
                for row in rows
                if row["denoiser"] == name and row["method"] == method and row["cfg"] == 1.0
            )
            if points:
                axis.plot(*zip(*points, strict=True), color=colour, marker=marker, markersize=6, label=label)
        axis.set(title=title, xlabel="network calls, both passes", xscale="log", yscale="log")
        axis.set_xticks([20, 40, 80, 160, 320], labels=["20", "40", "80", "160", "320"])
        axis.set_xticks([], minor=True)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("round-trip error, relative L2")
    axes[1].legend(fontsize=9, loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    figure.tight_layout()
    save(figure, path)


def plot_guidance(rows: list[dict], path: Path) -> None:
    """Left: guidance on a full inversion. Right: strength x CFG x start."""
    figure, (left, right) = pyplot().subplots(1, 2, figsize=(13.4, 5.4))
    matched(left, [row for row in rows if row["table"] == "matched"])
    mapped(right, [row for row in rows if row["table"] == "map"])
    figure.tight_layout()
    save(figure, path)


def matched(axis, rows: list[dict]) -> None:
    plain = sorted((r for r in rows if r["guidance"] == "CFG" and r["method"] == "exact"), key=lambda r: r["cfg"])
    groups = {
        "CFG": (plain, BLUE, "o"),
        "conflict damping": ([r for r in rows if r["guidance"] == "ConflictDamping"], GREEN, "s"),
        "CFG, low sigmas only": ([r for r in rows if r["guidance"] == "Interval"], ORANGE, "^"),
        "CFG, rescaled": ([r for r in rows if r["guidance"] == "Rescale"], RED, "v"),
        "SimDrop": ([r for r in rows if r["guidance"] == "SimDrop"], PINK, "D"),
        "CFG, synthetic negative": ([r for r in rows if r["guidance"] == "dual prompt"], "black", "x"),
        "CFG, Euler inversion": ([r for r in rows if r.get("method") == "euler"], SKY, "P"),
    }
    for label, (points, colour, marker) in groups.items():
        xs, ys = [logit(r["critic"]) for r in points], [r["psnr"] for r in points]
        axis.plot(xs, ys, color=colour, marker=marker, markersize=7, linewidth=1, label=label)
        for point, x, y in zip(points, xs, ys, strict=True):
            number = point["weight"] if label == "SimDrop" else point["cfg"]
            axis.annotate(f"{number:g}", (x, y), (5, 4), textcoords="offset points", fontsize=8, color=colour)
    ticks = [p for p in (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999) if _within(axis, logit(p))]
    axis.set_xticks([logit(p) for p in ticks], labels=[f"{p:g}" for p in ticks])
    axis.set(
        title="full inversion: numbers are the scale (SimDrop: the weight)",
        xlabel="critic's probability of photoreal (log odds)",
        ylabel="PSNR to the photoreal twin, dB",
    )
    axis.legend(fontsize=8, framealpha=0.9)
    axis.grid(alpha=0.3)


def mapped(axis, rows: list[dict]) -> None:
    for start, (colour, marker) in STARTS.items():
        for cfg, style in ((1.0, "-"), (3.0, "--")):
            points = sorted((r for r in rows if r["method"] == start and r["cfg"] == cfg), key=lambda r: r["strength"])
            xs, ys = [r["frechet"] for r in points], [r["edge_f1"] for r in points]
            label = f"{start}, CFG {cfg:g}"
            axis.plot(xs, ys, style, color=colour, marker=marker, markersize=7, linewidth=1.2, label=label)
            for point, x, y in zip(points, xs, ys, strict=True):
                place = {"textcoords": "offset points", "fontsize": 8, "color": colour}
                axis.annotate(f"{point['strength']:g}", (x, y), (5, 4), **place)
    axis.set(
        title="strength x CFG x start: numbers are the strength",
        xlabel="Frechet distance to the twins (critic's features; left is more photoreal)",
        ylabel="edge F1 to the source",
        xscale="log",
    )
    axis.legend(fontsize=8, framealpha=0.9)
    axis.grid(alpha=0.3)


def logit(p: float) -> float:
    from math import log

    p = min(max(p, 1e-6), 1 - 1e-6)
    return log(p / (1 - p))


def _within(axis, x: float) -> bool:
    low, high = axis.get_xlim()
    return low <= x <= high


def main() -> None:
    for name, plot in (("inversion", plot_inversion), ("guidance", plot_guidance)):
        rows = json.loads((RESULTS / f"{name}.json").read_text())["rows"]
        plot(rows, IMAGES / f"{name}.png")


if __name__ == "__main__":
    main()
