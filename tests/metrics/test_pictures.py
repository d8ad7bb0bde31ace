"""Oracles: pixels counted in drawn plots, the colour scale by hand, reports read back with the csv module."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline_core.errors import UserError
from pipeline_core.metrics.base import Figure
from pipeline_core.metrics.compare import compare, compare_frames
from pipeline_core.metrics.pictures import (
    heat_map,
    line_plot,
    nice_ticks,
    plot_sheet,
    worst_frames,
    write_report,
)
from pipeline_core.metrics.report import collect, format_runs, write_csv, write_frames_csv
from pipeline_core.video.media import write_clip

BLUE = (31, 119, 180)


@pytest.fixture(scope="module")
def clips():
    g = torch.Generator().manual_seed(0)
    source = torch.rand(1, 8, 8, 3, generator=g).repeat_interleave(4, 1).repeat_interleave(6, 2).repeat(20, 1, 1, 1)
    output = 0.9 * source + 0.05
    output[13, 8:20, 10:30] = 0.0  # the worst frame
    return source, output


def blue_pixels(picture):
    return (np.asarray(picture) == BLUE).all(-1)


def test_heat_is_black_red_yellow_white_on_a_fixed_scale():
    a = torch.zeros(5, 3)
    b = torch.tensor([0, 1 / 6, 1 / 3, 0.5, 0.9])[:, None].expand(5, 3)
    expected = torch.tensor([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 1, 1]]).float()
    assert torch.allclose(heat_map(a, b), expected, atol=1e-5) and torch.equal(heat_map(a, b), heat_map(b, a))


def test_worst_frames_are_the_worst_and_lie_apart():
    values = [0.9, 0.1, 0.2, None, 0.8, 0.7, 0.95, 0.15]
    assert worst_frames(values, "higher", 3, 3) == [1, 7, 4]
    assert worst_frames(values, "lower", 2, 2) == [6, 0]
    assert worst_frames([None, None]) == [] and worst_frames([1.0], count=5) == [0]


def test_a_plot_rises_where_the_values_rise_and_has_gaps():
    drawn = blue_pixels(line_plot({"value": [float(t) for t in range(50)]}, "rising"))
    rows, columns = np.nonzero(drawn)
    left, right = rows[columns < columns.min() + 20].mean(), rows[columns > columns.max() - 20].mean()
    assert left > right + 100
    gap = blue_pixels(line_plot({"value": [1.0] * 20 + [None] * 10 + [1.0] * 20}, "gap"))
    used = gap.any(0)
    first, last = np.nonzero(used)[0][[0, -1]]
    assert 80 < (~used[first:last]).sum() < 200
    assert not blue_pixels(line_plot({"value": [None] * 4}, "nothing")).any()
    assert blue_pixels(line_plot({"value": [None, 3.0, None]}, "a point")).any()
    two = np.asarray(line_plot({"a": [0.0, 1.0], "b": [1.0, 0.0]}, "two"))
    assert (two == BLUE).all(-1).any() and (two == (214, 39, 40)).all(-1).any()


@pytest.mark.parametrize("low, high, ticks", [
    (0.0, 1.0, [0, 0.5, 1.0]), (17.3, 32.6, [15, 20, 25, 30, 35]), (0.0001, 0.0151, [0, 0.005, 0.01, 0.015, 0.02]),
    (-0.3, 0.2, [-0.4, -0.2, 0, 0.2]), (3.0, 3.0, [3, 4]), (0.0, 0.0, [0, 0.5]),
])  # fmt: skip
def test_ticks_are_round_and_hold_the_values(low, high, ticks):
    assert nice_ticks(low, high) == pytest.approx(ticks)


def test_large_frames_are_shrunk_but_for_the_slider(tmp_path):
    clip = torch.rand(3, 20, 1300, 3, generator=torch.Generator().manual_seed(0))
    write_report(tmp_path / "r", compare_frames(clip, clip * 0.9), clip, clip * 0.9)
    sizes = {path.name: Image.open(path).size for path in (tmp_path / "r").glob("*.png")}
    assert sizes["slider_source.png"] == (1300, 20) and sizes["side_by_side.png"][0] < 3 * 650


def test_several_runs_in_one_report(clips, tmp_path):
    source, output = clips
    first, second = compare_frames(source, output), compare_frames(source, source * 0.95)
    write_report(tmp_path / "r", second, source, source * 0.95, name="other", earlier={"first": first})
    (row, *_) = csv.DictReader((tmp_path / "r" / "figures.csv").open())
    assert {"first", "other"} <= set(row)
    assert "first" in (tmp_path / "r" / "table.txt").read_text().splitlines()[0]
    drawn = np.asarray(Image.open(tmp_path / "r" / "plots.png"))
    assert (drawn == BLUE).all(-1).any() and (drawn == (214, 39, 40)).all(-1).any()


def test_the_report_folder_holds_everything_and_the_worst_frame(clips, tmp_path):
    source, output = clips
    report = compare_frames(source, output, source)
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "worst_000099.png").write_bytes(b"old")
    (folder / "mine.txt").write_text("kept")
    written = write_report(folder, report, source, output, source, seams=[10])
    names = {p.name for p in folder.iterdir()}
    assert names - {"mine.txt"} == {p.name for p in written} and "worst_000099.png" not in names
    assert {"report.json", "figures.csv", "frames.csv", "table.txt", "plots.png", "side_by_side.png",
            "worst_000013.png", "slider_source.png", "slider_output.png"} <= names  # fmt: skip
    assert json.loads((folder / "report.json").read_text()) == report
    with Image.open(folder / "slider_output.png") as picture:
        assert np.abs(np.asarray(picture) / 255 - output[13].numpy()).max() < 1 / 254
    heat = np.asarray(Image.open(folder / "worst_000013.png"))[:, -48:]
    assert heat[18 + 9 : 18 + 19, 12:28].mean() > 5 * heat[18:24].mean()


def test_files_and_frames_in_memory_give_the_same_pictures(clips, tmp_path):
    paths = tmp_path / "a.mp4", tmp_path / "b.mp4"
    for path, clip in zip(paths, clips):
        write_clip(path, clip, 10)
    report = compare(*paths)
    written = write_report(tmp_path / "r", report, *paths)
    assert (tmp_path / "r" / "worst_000013.png") in written
    with Image.open(tmp_path / "r" / "slider_output.png") as picture:
        assert np.abs(np.asarray(picture) / 255 - clips[1][13].numpy()).mean() < 0.05
    with pytest.raises(UserError, match="does not exist"):
        write_report(tmp_path / "none" / "r", report, *paths)
    with pytest.raises(UserError, match="is a file"):
        write_report(paths[0], report, *paths)


def test_csv_has_every_figure_and_every_frame(clips, tmp_path):
    report = compare_frames(*clips)
    write_csv(tmp_path / "f.csv", {"value": report})
    rows = list(csv.DictReader((tmp_path / "f.csv").open()))
    assert len(rows) == sum(len(content) for content in report["figures"].values())
    for row in rows:
        figure = report["figures"][row["section"]][row["figure"]]
        assert (float(row["value"]) if row["value"] else None) == figure["value"]
        assert row["value note"] == figure["note"]
    write_frames_csv(tmp_path / "t.csv", report)
    rows = list(csv.DictReader((tmp_path / "t.csv").open()))
    assert [int(row["frame"]) for row in rows] == list(range(20))
    assert [float(row["to the source: ssim"]) for row in rows] == report["frames"]["to the source"]["ssim"]


def test_several_runs_side_by_side_with_the_best_marked(clips, tmp_path):
    runs = {}
    for name, psnr, flicker in (("ours", 30.0, 0.2), ("theirs", 25.0, 0.1), ("none", None, 0.3)):
        figures = {"psnr": Figure(psnr, "dB", "higher"), "flicker": Figure(flicker, "", "lower"), "chroma": Figure(0.1)}
        runs[name] = collect({"a": figures, "b": {"x": Figure(None)}}) | {"frames": {"a": {"psnr": [psnr, 1.0]}}}
    lines = format_runs(runs).splitlines()
    assert [line.split() for line in lines[2:4]] == [
        ["psnr", "dB", "30", "*", "25", "undefined"], ["flicker", "0.2", "0.1", "*", "0.3"],
    ]  # fmt: skip
    assert "*" not in lines[4] and "x" not in [line.split()[0] for line in lines]
    write_csv(tmp_path / "runs.csv", runs)
    assert next(csv.DictReader((tmp_path / "runs.csv").open()))["theirs"] == "25.0"
    assert plot_sheet(runs) is None  # no plot is drawn of a section that is not known
    assert plot_sheet({"one": compare_frames(*clips)}).height > 200
