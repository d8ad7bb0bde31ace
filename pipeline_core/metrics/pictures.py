"""Pictures of a report, drawn with Pillow: per-frame plots, heat maps, the worst frames, and a folder of all of it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..video import media
from ..video.files import atomic_folder, write_json, write_text
from ..video.sheet import contact_sheet, labelled_side_by_side
from .report import format_runs, format_table, write_csv, write_frames_csv

_PAPER, _GRID, _INK, _FAINT = (255, 255, 255), (224, 224, 224), (40, 40, 40), (150, 150, 150)
_LINES = ((31, 119, 180), (214, 39, 40), (44, 160, 44), (148, 103, 189), (140, 86, 75), (23, 190, 207))
_SHOWN = 640  # pixels that a frame is wide at most where several stand beside each other
HEAT_FULL = 0.5  # mean absolute difference that is drawn white
# Where the worst frames are looked for: the first of these series that a report has.
_WORST = (("to the reference", "ssim", "higher"), ("to the source", "edge_f1", "higher"))
# One plot each, if a report has the series.
_PLOTS = (
    ("to the reference", "psnr"), ("to the reference", "ssim"), ("to the reference", "lpips"),
    ("to the reference", "tde"), ("to the source", "edge_f1"), ("to the source", "ssim"),
    ("to the source", "spatial_frequency"), ("to the source", "brightness"), ("time", "warped_error"),
    ("time", "flicker"), ("time", "mamse"), ("objects", "objects_lost"), ("objects", "objects_invented"),
    ("realism", "critic"),
)  # fmt: skip


def heat_map(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference of two (..., 3) pictures in [0, 1], coloured black - red - yellow - white at 0, 1/3, 2/3
    and all of HEAT_FULL = 0.5, whatever the pictures: maps of different frames and runs compare."""
    heat = (a - b).abs().mean(-1) / HEAT_FULL
    return torch.stack([(3 * heat - i).clamp(0, 1) for i in range(3)], -1)


def worst_frames(values: list[float | None], better: str = "higher", count: int = 3, apart: int = 8) -> list[int]:
    """Up to `count` frames with the worst values, worst first, at least `apart` frames from each other.

    better: "higher" or "lower", the good direction. Frames without a value are never picked.
    """
    sign = {"higher": 1, "lower": -1}[better]
    known = sorted((sign * value, t) for t, value in enumerate(values) if value is not None)
    picked: list[int] = []
    for _, t in known:
        if len(picked) < count and all(abs(t - other) >= apart for other in picked):
            picked.append(t)
    return picked


def line_plot(
    runs: Mapping[str, list[float | None]], title: str, marks: Iterable[int] = (), size: tuple[int, int] = (720, 200)
):
    """A PIL picture (width, height = size) of per-frame values, one line per run, gaps where there is none.

    marks: frame numbers that get an upright line, such as seams. The value axis spans all runs' values.
    """
    from PIL import Image, ImageDraw

    width, height = size
    left, right, top, bottom = 70, width - 12, 24, height - 22
    picture = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(picture)
    known = [value for values in runs.values() for value in values if value is not None]
    frames = max((len(values) for values in runs.values()), default=0)
    draw.text((left, 4), title, fill=_INK, font=_font())
    if not known:
        draw.text((left, (top + bottom) // 2), "undefined in every frame", fill=_FAINT)
        return picture
    ticks = nice_ticks(min(known), max(known))
    low, high = min(ticks[0], min(known)), max(ticks[-1], max(known))

    def place(t: float, value: float) -> tuple[float, float]:
        return left + (right - left) * t / max(1, frames - 1), bottom - (bottom - top) * (value - low) / (high - low)

    for value in ticks:
        y = place(0, value)[1]
        draw.line([(left, y), (right, y)], fill=_GRID)
        text = f"{value:.6g}"
        draw.text((left - 6 - draw.textlength(text, font=_font()), y - 7), text, fill=_INK, font=_font())
    for t in marks:
        draw.line([(place(t, low)[0], top), (place(t, low)[0], bottom)], fill=_FAINT)
    for t in dict.fromkeys(round((frames - 1) * part / 4) for part in range(5)):
        text = f"{t}"
        centre = place(t, low)[0] - draw.textlength(text, font=_font()) / 2
        draw.text(
            (min(centre, width - 4 - draw.textlength(text, font=_font())), bottom + 5), text, fill=_INK, font=_font()
        )
    x = right
    for i, (name, values) in reversed(list(enumerate(runs.items()))):
        colour = _LINES[i % len(_LINES)]
        if len(runs) > 1:
            x -= int(draw.textlength(name, font=_font())) + 14
            draw.text((x, 4), name, fill=colour, font=_font())
        for piece in _pieces(values):
            points = [place(t, value) for t, value in piece]
            if len(points) == 1:
                (px, py), r = points[0], 1.5
                draw.ellipse([px - r, py - r, px + r, py + r], fill=colour)
            else:
                draw.line(points, fill=colour, width=2)
    return picture


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers, 1, 2 or 5 times a power of ten apart, from at most `low` to at least `high`; about `count`."""
    spread = high - low or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(spread / count))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor * count >= spread * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * i for i in range(first, max(last, first + 1) + 1)]


def _font():
    """Pillow's own font at a size that can be read on a screen; the small one where Pillow is old."""
    from PIL import ImageFont

    try:
        return ImageFont.load_default(13)
    except TypeError:
        return ImageFont.load_default()


def _pieces(values: list[float | None]) -> list[list[tuple[int, float]]]:
    """Runs of neighbouring frames that have a value."""
    pieces: list[list[tuple[int, float]]] = [[]]
    for t, value in enumerate(values):
        if value is not None:
            pieces[-1].append((t, value))
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


def plot_sheet(runs: Mapping[str, dict], marks: Iterable[int] = ()):
    """All per-frame plots of one or several reports {run: report} in two columns, as one PIL picture; None where no
    report has per-frame values."""
    from PIL import Image

    plots = []
    for section, name in _PLOTS:
        series = {run: report["frames"].get(section, {}).get(name) for run, report in runs.items()}
        series = {run: values for run, values in series.items() if values}
        if series:
            plots.append(line_plot(series, _plot_title(runs, section, name), marks))
    if not plots:
        return None
    columns = min(2, len(plots))
    width, height = plots[0].size
    sheet = Image.new("RGB", (columns * width, -(-len(plots) // columns) * height), _PAPER)
    for i, plot in enumerate(plots):
        sheet.paste(plot, (i % columns * width, i // columns * height))
    return sheet


def _plot_title(runs: Mapping[str, dict], section: str, name: str) -> str:
    """Name, section, unit and good direction, as far as any run's figure of that name says."""
    figure = next((f for run in runs.values() if (f := run["figures"].get(section, {}).get(name))), {})
    better = f"{figure['better']} is better" if figure.get("better") else ""
    return ", ".join(
        filter(None, [f"{name} {section}" if section.startswith("to ") else name, figure.get("unit"), better])
    )


def write_report(
    folder: str | os.PathLike,
    report: dict,
    source: str | os.PathLike | Tensor,
    output: str | os.PathLike | Tensor,
    reference: str | os.PathLike | Tensor | None = None,
    worst: int = 3,
    seams: Iterable[int] = (),
    name: str = "value",
    earlier: Mapping[str, dict] | None = None,
) -> list[Path]:
    """Write a report of `compare` with its pictures into a folder and return the files' paths.

    report.json, figures.csv, frames.csv, table.txt; plots.png, a plot per per-frame figure; worst_FRAME.png, the
    `worst` frames (lowest SSIM to the reference, or lowest edge F1 where there is none): source, output, reference
    and heat map side by side, at most 640 pixels wide each; slider_source.png and slider_output.png, the worst frame
    alone at full size; side_by_side.png, five frames of every clip. earlier: reports of other runs {run: report};
    plots, CSV and table then have them beside this one, which is called `name`. Clips: paths, or frames (T, H, W, 3)
    in [0, 1]. The folder is made if its parent exists; files of those names are replaced once all are written,
    older worst_*.png are removed, other files are left.
    """
    folder = Path(folder)
    older = list(folder.glob("worst_*.png"))
    runs = {**(earlier or {}), name: report}
    clips = {"source": source, "output": output, **({} if reference is None else {"reference": reference})}
    with atomic_folder(folder) as unfinished:
        written = [path.name for path in _written(unfinished, report, clips, worst, seams, runs)]
    for path in older:
        if path.name not in written:
            path.unlink(missing_ok=True)
    return [folder / name for name in written]


def _written(
    folder: Path, report: dict, clips: Mapping, worst: int, seams: Iterable[int], runs: Mapping[str, dict]
) -> list[Path]:
    """The files of `write_report`, written into an empty folder."""
    from PIL import Image

    write_json(folder / "report.json", report)
    write_csv(folder / "figures.csv", runs)
    write_frames_csv(folder / "frames.csv", report)
    beside = f"{format_runs(runs)}\n\n" if len(runs) > 1 else ""
    write_text(folder / "table.txt", f"{beside}{format_table(report)}\n")
    written = [folder / name for name in ("report.json", "figures.csv", "frames.csv", "table.txt")]

    def save(name: str, picture) -> None:
        if isinstance(picture, Tensor):
            picture = Image.fromarray((picture.cpu() * 255).round().clamp(0, 255).byte().numpy())
        picture.save(folder / name, format="PNG")
        written.append(folder / name)

    plots = plot_sheet(runs, seams)
    if plots is not None:
        save("plots.png", plots)
    section, figure, better = next((w for w in _WORST if report["frames"].get(w[0], {}).get(w[1])), _WORST[-1])
    picked = worst_frames(report["frames"].get(section, {}).get(figure, []), better, worst)
    frames = report["about"]["frames"]
    spread = torch.linspace(0, frames - 1, min(5, frames)).round().long().tolist()
    held = {name: _frames(clip, {*picked, *spread}) for name, clip in clips.items()}
    for t in picked:
        row = {who: shrunk(held[who][t][None]) for who in clips}
        other = "reference" if "reference" in clips else "source"
        row[f"difference to the {other}, white = {HEAT_FULL}"] = heat_map(row["output"], row[other])
        save(f"worst_{t:06d}.png", labelled_side_by_side(row)[0])
    for who in ("source", "output") if picked else ():
        save(f"slider_{who}.png", held[who][picked[0]])
    sheet = contact_sheet({who: shrunk(torch.stack([held[who][t] for t in spread])) for who in clips}, len(spread), 1)
    save("side_by_side.png", sheet)
    return written


def shrunk(frames: Tensor) -> Tensor:
    """Frames (T, H, W, 3) at most `_SHOWN` pixels wide: several fit on a screen beside each other."""
    T, H, W, _ = frames.shape
    if W <= _SHOWN:
        return frames
    size = max(1, round(H * _SHOWN / W)), _SHOWN
    return F.interpolate(frames.movedim(-1, 1), size, mode="area").movedim(1, -1)


def _frames(clip: str | os.PathLike | Tensor, wanted: set[int]) -> dict[int, Tensor]:
    """The wanted frames of a clip as float (H, W, 3) in [0, 1]; one pass over a file."""
    if isinstance(clip, Tensor):
        return {t: clip[t].float().cpu() for t in wanted}
    stream = enumerate(media.read_frames(clip, 0, max(wanted) + 1))
    return {t: frame.float() / 255 for t, frame in stream if t in wanted}
