"""Oracles: the single metrics on the same decoded clips, known disturbances, and reports that stay honest."""

import json
import math
import threading

import pytest
import torch

from pipeline_core.conditions.buffers import BuffersWriter, open_buffers
from pipeline_core.conditions.segmentation import TAG
from pipeline_core.errors import UserError
from pipeline_core.metrics.base import Figure
from pipeline_core.metrics.compare import compare, compare_frames, read_ahead
from pipeline_core.metrics.fidelity import PSNR, SSIM
from pipeline_core.metrics.report import collect, format_table
from pipeline_core.video.files import write_json
from pipeline_core.video.media import read_clip, write_clip

T, H, W = 19, 32, 48  # more frames than a chunk, and a short last one


@pytest.fixture
def street(tmp_path):
    """A pan over a texture with a red car and a green lamp, its buffers, and a twin."""
    y, x = torch.meshgrid(torch.arange(float(H)), torch.arange(float(W)), indexing="ij")
    clip = torch.stack([0.4 + 0.2 * torch.sin(0.5 * (x - t) + 0.3 * y) for t in range(T)])[..., None].repeat(1, 1, 1, 3)
    classes = torch.full((T, H, W), TAG["building"], dtype=torch.uint8)
    instances = torch.zeros(T, H, W, dtype=torch.int32)
    clip[:, 16:28, 8:24] = torch.tensor([0.6, 0.1, 0.1])
    classes[:, 16:28, 8:24], instances[:, 16:28, 8:24] = TAG["car"], 5
    clip[:, 4:14, 30:40] = torch.tensor([0.1, 0.9, 0.4])
    flow = torch.zeros(T, H, W, 2)
    flow[..., 0] = torch.where(instances > 0, 0.0, 1.0)
    light = {"instance": 9, "state": ["green"] * T, "box": [None] * T, "visible": [1.0] * T}
    light["lamp_box"] = [[30.0, 4.0, 40.0, 14.0]] * T
    write_clip(tmp_path / "source.mp4", clip, 10)
    scene = {"objects": [{"instance": 5, "kind": "car", "colour": "red"}]}
    with BuffersWriter(tmp_path / "buffers", tmp_path / "source.mp4", scene) as out:
        out.append(classes=classes, instances=instances, flow=flow, lights=[light])
    write_clip(tmp_path / "twin.mp4", clip * 0.9, 10)
    return tmp_path, clip


def values(report, section):
    return {name: figure["value"] for name, figure in report["figures"][section].items()}


def test_the_report_of_an_honest_output(street):
    folder, clip = street
    write_clip(folder / "out.mp4", (clip * 0.9 + 0.01).clamp(0, 1), 10)
    buffers = open_buffers(folder / "buffers", folder / "source.mp4")
    seen = []
    report = compare(
        folder / "source.mp4", folder / "out.mp4", buffers, folder / "twin.mp4",
        critic=lambda f: (f.mean((1, 2, 3)), f.mean((1, 2))), progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert seen == [(16, T), (T, T)]
    for name, other in (("to the source", "source.mp4"), ("to the reference", "twin.mp4")):
        for metric, key in ((PSNR(), "psnr"), (SSIM(), "ssim")):
            metric.update(read_clip(folder / "out.mp4"), read_clip(folder / other))
            assert values(report, name)[key] == pytest.approx(metric.compute()[key].value, rel=1e-6)
    objects = values(report, "objects")
    assert objects["lamps_kept"] == 1 and objects["vehicles_kept"] == 1 and objects["signs_kept"] is None
    assert values(report, "to the source")["edge_f1"] > 0.9
    assert values(report, "time")["warped_error"] < 0.06 and values(report, "realism")["frechet"] < 0.01
    assert report["lost"] == [] and report["about"]["frames"] == T
    write_json(folder / "report.json", report)
    assert json.loads((folder / "report.json").read_text()) == report


def test_frames_in_memory_give_the_figures_of_the_files(street):
    folder, clip = street
    write_clip(folder / "out.mp4", (clip * 0.9 + 0.01).clamp(0, 1), 10)
    paths = folder / "source.mp4", folder / "out.mp4", folder / "twin.mp4"
    critic = lambda f: (f.mean((1, 2, 3)), f.mean((1, 2)))  # noqa: E731
    from_files = compare(paths[0], paths[1], None, paths[2], critic)
    seen = []
    in_memory = compare_frames(*map(read_clip, paths), critic, lambda done, total: seen.append((done, total)))
    assert seen == [(16, T), (T, T)] and in_memory["figures"].keys() == from_files["figures"].keys()
    # Files are measured on one thread less, which is for decoding: sums in another order.
    near = {"rel": 64 * torch.finfo(torch.float32).eps, "abs": 1e-9}
    for section in in_memory["figures"]:
        found, wanted = (values(report, section) for report in (in_memory, from_files))
        assert found == {n: v if v is None else pytest.approx(v, **near) for n, v in wanted.items()}


def test_frames_in_memory_that_do_not_fit_are_refused(street):
    _, clip = street
    for source, output, reference in (
        (clip[:9], clip, None), (clip, clip[:, :16], None), (clip, clip, clip[:9]), (clip[0], clip[0], None),
        (clip[:0], clip[:0], None), (clip[..., :2], clip[..., :2], None), (clip, clip + 1, None),
    ):  # fmt: skip
        with pytest.raises(UserError, match="give"):
            compare_frames(source, output, reference)


def test_a_swapped_lamp_and_a_repainted_car_are_listed(street):
    folder, clip = street
    output = clip.clone()
    output[17, 4:14, 30:40] = torch.tensor([0.9, 0.1, 0.1])
    output[3, 16:28, 8:24] = torch.tensor([0.1, 0.2, 0.6])
    write_clip(folder / "out.mp4", output, 10)
    report = compare(folder / "source.mp4", folder / "out.mp4", open_buffers(folder / "buffers", folder / "source.mp4"))
    assert values(report, "objects")["lamps_kept"] == pytest.approx(1 - 1 / T)
    assert values(report, "objects")["vehicles_kept"] == pytest.approx(1 - 1 / T)
    assert [(d["instance"], d["frame"], d["seen"]) for d in report["lost"]] == [
        (9, 17, "red"),
        (5, 3, "blue"),
    ]
    assert "source" in report["figures"]["objects"]["vehicles_kept"]["note"]


def test_what_was_not_given_is_undefined_not_zero(street):
    folder, _ = street
    report = compare(folder / "source.mp4", folder / "twin.mp4")
    for section in ("to the reference", "objects", "time", "realism"):
        for figure in report["figures"][section].values():
            assert figure["value"] is None and "not measured: give" in figure["note"]
    table, _, below = format_table(report).partition("\nnot measured\n")
    named = {line.partition(": ")[0].strip(): line.partition(": ")[2].split(", ") for line in below.splitlines()}
    undefined = 0
    for section in report["figures"].values():
        for name, figure in section.items():
            if figure["note"].startswith("not measured: "):
                assert name in named[figure["note"].removeprefix("not measured: ")]
            else:
                undefined += figure["value"] is None
                assert f"  {name} " in table
    assert table.count("undefined") == undefined and "objects" not in table.split()


def test_clips_that_do_not_fit_are_refused(street):
    folder, clip = street
    write_clip(folder / "short.mp4", clip[:9], 10)
    write_clip(folder / "small.mp4", clip[:, :16], 10)
    buffers = open_buffers(folder / "buffers", folder / "source.mp4")
    for output, other, reference in (
        ("short.mp4", None, None), ("small.mp4", None, None), ("twin.mp4", None, "short.mp4"),
        ("none.mp4", None, None),
    ):  # fmt: skip
        with pytest.raises(UserError):
            compare(folder / "source.mp4", folder / output, other, reference and folder / reference)
    with pytest.raises(UserError, match="buffers folder has 19"):
        compare(folder / "short.mp4", folder / "short.mp4", buffers)


def test_reports_are_strict_json(tmp_path):
    report = collect({"a": {"x": Figure(math.inf, "dB"), "y": Figure(0.12345678)}}, seed=3)
    assert report["figures"]["a"]["x"]["value"] is None and "inf" in report["figures"]["a"]["x"]["note"]
    assert "0.1235" in format_table(report) and report["about"] == {"seed": 3}
    with pytest.raises(UserError, match="does not exist"):
        write_json(tmp_path / "none" / "r.json", report)
    with pytest.raises(ValueError):
        write_json(tmp_path / "r.json", {"value": math.nan})
    assert list(tmp_path.iterdir()) == []


def test_what_is_read_ahead_is_the_same_and_stops_with_its_reader():
    made = []

    def chunks():
        for i in range(50):
            made.append(i)
            yield torch.full((1,), float(i))

    assert [int(chunk) for chunk in read_ahead(chunks())] == list(range(50))
    made.clear()
    stream = read_ahead(chunks())
    assert int(next(stream)) == 0
    stream.close()
    assert len(made) <= 4 and not [t for t in threading.enumerate() if t.name == "read ahead"]

    def broken():
        yield torch.zeros(1)
        raise UserError("the file breaks off")

    with pytest.raises(UserError, match="breaks off"):
        list(read_ahead(broken()))
    assert not [t for t in threading.enumerate() if t.name == "read ahead"]


def test_pytorchs_threads_are_as_before(street, monkeypatch):
    """One is left to the decoding while it measures; the process gets its own number back, after a failure too."""
    folder, _ = street
    clips, threads, seen = [folder / "source.mp4", folder / "twin.mp4"], torch.get_num_threads(), []
    torch.set_num_threads(2)
    compare(*clips, progress=lambda done, total: seen.append(torch.get_num_threads()))
    assert set(seen) == {1} and torch.get_num_threads() == 2
    monkeypatch.setattr("pipeline_core.metrics.compare._measure", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        compare(*clips)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)
