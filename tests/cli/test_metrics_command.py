"""The metrics command on real files: what it writes beside the JSON, and one sentence for everything that is wrong."""

import csv
import hashlib
import json

import pytest
import torch
from tiny_perception import save_rt_detr

from pipeline_core.__main__ import main
from pipeline_core.conditions.buffers import open_buffers, write_buffers
from pipeline_core.video.media import write_clip
from pipeline_core.world import make_scene, render_styles

T = 5


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    drive = render_styles(make_scene(4), T, (32, 48), ("synthetic", "photoreal"))
    write_clip(folder / "drive.mp4", drive["synthetic"].rgb, 10)
    write_clip(folder / "twin.mp4", drive["photoreal"].rgb, 10)
    write_buffers(folder / "drive_buffers", folder / "drive.mp4", drive["synthetic"])
    write_buffers(folder / "found", folder / "twin.mp4", drive["synthetic"])
    return folder


def test_json_csv_and_report_folder(clips, segmentation_folder, tmp_path, capsys):
    asked = ["metrics", clips / "drive.mp4", clips / "twin.mp4", "--reference", clips / "twin.mp4", "--seams", "2, 4",
             "--segmentation-model", segmentation_folder, "--output-buffers", clips / "found",
             "--json", tmp_path / "m.json", "--report", tmp_path / "report"]  # fmt: skip
    assert main([str(a) for a in asked]) == 0
    report = json.loads((tmp_path / "m.json").read_text())
    assert json.loads((tmp_path / "report" / "report.json").read_text()) == report
    rows = {(row["section"], row["figure"]): row for row in csv.DictReader((tmp_path / "m.csv").open())}
    assert float(rows["time", "mamse"]["value"]) == report["figures"]["time"]["mamse"]["value"] > 0
    assert "2 seams" in rows["time", "mamse"]["value note"] and rows["to the source", "lpips"]["value"] == ""
    assert report["figures"]["objects"]["objects_lost"]["value"] == 0
    assert report["figures"]["to the source"]["mask_recall"]["value"] is not None
    assert len(list(csv.DictReader((tmp_path / "m_frames.csv").open()))) == T
    said = capsys.readouterr().out
    assert "objects_lost" in said and str(tmp_path / "report") in said
    assert (tmp_path / "report" / "plots.png").is_file()


def test_what_made_the_clip_and_with_which_models(clips, segmentation_folder, tmp_path, capsys):
    """Seams and settings come from the enhance report; models leave their hashes; groups can be left out."""
    made_by = {"settings": {"seed": 7, "prompt": "a street"}, "plan": {"windows": [[0, 3], [2, 5]]}}
    (tmp_path / "made.json").write_text(json.dumps(made_by))
    asked = ["metrics", clips / "drive.mp4", clips / "twin.mp4", "--made-by", tmp_path / "made.json", "--no-critic",
             "--only", "time, structure,realism", "--segmentation-model", segmentation_folder,
             "--json", tmp_path / "m.json", "--quality", "darkest=torch:min"]  # fmt: skip
    broken = [str(a) for a in [*asked, "--quality", "dover=statistics:mean"]]
    assert main(broken) == 2 and "hook dover" in capsys.readouterr().err
    assert main([str(a) for a in asked]) == 0
    report = json.loads((tmp_path / "m.json").read_text())
    assert report["about"]["seams"] == [2, 3] and report["about"]["made_by"] == made_by
    digest = hashlib.sha256((segmentation_folder / "model.safetensors").read_bytes()).hexdigest()
    assert report["about"]["models"] == {"segmentation_model": {"path": str(segmentation_folder), "sha256": digest}}
    assert "psnr" not in report["figures"]["to the source"] and "objects" not in report["figures"]
    assert report["figures"]["realism"]["critic"]["value"] is None
    assert 0 <= report["figures"]["realism"]["darkest"]["value"] < 0.5
    assert "2 seams" in report["figures"]["time"]["mamse"]["note"]


def test_a_detector_finds_the_objects_of_both_clips(clips, tmp_path, monkeypatch):
    folder = save_rt_detr(tmp_path / "detector", ("car", "person", "traffic light"))
    monkeypatch.setattr("pipeline_core.perception.objects.SURE", 0.0)  # of random weights every box is to count
    asked = ["metrics", clips / "drive.mp4", clips / "drive.mp4", "--only", "objects", "--no-critic",
             "--detection-model", folder, "--json", tmp_path / "m.json"]  # fmt: skip
    assert main([str(a) for a in asked]) == 0
    report = json.loads((tmp_path / "m.json").read_text())
    assert report["figures"]["objects"]["objects_lost_detected"]["value"] == 0
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert report["about"]["models"]["detection_model"]["sha256"] == digest


def test_the_worlds_own_models_are_called_so(clips, segmentation_folder, tmp_path, monkeypatch):
    own = tmp_path / "perception"
    own.mkdir()
    (own / "segmentation").symlink_to(segmentation_folder)
    monkeypatch.setattr("pipeline_core.perception.own.OWN", own)
    asked = ["metrics", clips / "drive.mp4", clips / "twin.mp4", "--only", "structure,objects", "--no-critic",
             "--own-models", "--json", tmp_path / "m.json"]  # fmt: skip
    assert main([str(a) for a in asked]) == 0
    report = json.loads((tmp_path / "m.json").read_text())
    assert list(report["about"]["models"]) == ["segmentation_model"]
    note = report["figures"]["to the source"]["mask_recall"]["note"]
    assert "by models/perception/segmentation, the world's own network" in note
    assert "not measured" in report["figures"]["to the source"]["depth_si_rmse"]["note"]


def test_flow_is_estimated_where_asked(clips, tmp_path):
    pytest.importorskip("skimage")
    (tmp_path / "drive.mp4").write_bytes((clips / "drive.mp4").read_bytes())  # without buffers beside it
    figures = []
    for more in ([], ["--estimate-flow"]):
        asked = [
            "metrics",
            tmp_path / "drive.mp4",
            clips / "drive.mp4",
            "--only",
            "time",
            "--json",
            tmp_path / "m.json",
        ]
        assert main([str(a) for a in [*asked, *more]]) == 0
        figures.append(json.loads((tmp_path / "m.json").read_text())["figures"]["time"]["warped_error"])
    assert figures[0]["value"] is None and "estimator" in figures[0]["note"]
    assert 0 < figures[1]["value"] < 0.05 and "estimated" in figures[1]["note"]


@pytest.mark.usefixtures("without_own_networks")
@pytest.mark.parametrize("wrong, word", [
    (["--only", "speed"], "speed"), (["--made-by", "none.json"], "--made-by"), (["--clip-model", "."], "config.json"),
    (["--video-model", "."], "config.json"), (["--judge", "."], "config.json"), (["--quality", "dover"], "--quality"),
    (["--pickscore", "."], "config.json"), (["--flow-model", "none.safetensors"], "RAFT"),
    (["--seams", "two"], "change seams"), (["--seams", "0"], "from 1"), (["--lpips", "none.safetensors"], "LPIPS"),
    (["--vision-model", "."], "config.json"), (["--output-buffers", "BUFFERS"], "another clip"),
    (["--real", "."], "--vision-model"), (["--quality", "mine=unfinished:score"], "--quality"),
    (["--tracking-model", "."], "--detection-model"), (["--detection-model", "."], "config.json"),
    (["--own-models"], "no networks in models/perception"),
    (["--report", "none/report"], "--report"), (["--json", "none/m.json"], "folder"),
])  # fmt: skip
def test_wrong_options_are_one_sentence(clips, tmp_path, monkeypatch, capsys, wrong, word):
    monkeypatch.chdir(tmp_path)
    (clips / "unfinished.py").write_text("def score(")  # a module that Python cannot read
    monkeypatch.syspath_prepend(clips)
    wrong = [str(clips / "drive_buffers") if part == "BUFFERS" else part for part in wrong]
    assert main(["metrics", str(clips / "drive.mp4"), str(clips / "twin.mp4"), *wrong]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(said) == 1 and word in said[0] and list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_clip_says_so(clips, capsys):
    broken = clips / "broken.mp4"
    broken.write_bytes(torch.zeros(100, dtype=torch.uint8).numpy().tobytes())
    assert main(["metrics", str(clips / "drive.mp4"), str(broken)]) == 2
    assert "broken.mp4" in capsys.readouterr().err


def test_several_runs_side_by_side(clips, tmp_path, capsys):
    for name, output in (("same", "twin.mp4"), ("other", "drive.mp4")):
        asked = ["metrics", clips / "drive.mp4", clips / output, "--reference", clips / "twin.mp4"]
        assert main([str(a) for a in [*asked, "--json", tmp_path / f"{name}.json"]]) == 0
    capsys.readouterr()
    reports = [str(tmp_path / f"{name}.json") for name in ("same", "other")]
    assert main(["runs", *reports, "--csv", str(tmp_path / "runs.csv"), "--plots", str(tmp_path / "runs.png")]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    ssim = next(line for line in lines[lines.index(["to", "the", "reference"]) :] if line[0] == "ssim")
    assert lines[0] == ["figure", "unit", "same", "other"] and ssim[1:3] == ["1", "*"] and float(ssim[3]) < 1
    assert float(next(csv.DictReader((tmp_path / "runs.csv").open()))["same"]) < 100
    assert (tmp_path / "runs.png").read_bytes()[:4] == b"\x89PNG"
    (tmp_path / "list.json").write_text("[1]")
    for bad in ("none.json", "list.json", "runs.csv"):
        assert main(["runs", str(tmp_path / bad)]) == 2
        assert bad in capsys.readouterr().err


def test_pictures_become_buffers(clips, tmp_path, capsys):
    clip, pictures = tmp_path / "drive.mp4", clips / "drive_buffers"
    clip.write_bytes((clips / "drive.mp4").read_bytes())
    asked = ["buffers", clip, "--depth", pictures / "depth", "--instance", pictures / "instance"]
    assert main([str(a) for a in asked]) == 0
    assert "depth, semantic, instance of 5 frames" in capsys.readouterr().out
    made, original = (open_buffers(folder, clip) for folder in (tmp_path / "drive_buffers", pictures))
    assert torch.equal(made.depth(), original.depth()) and torch.equal(made.instances(), original.instances())
    assert main(["buffers", str(clip)]) == 2 and "at least one" in capsys.readouterr().err
    assert main(["buffers", str(tmp_path / "none.mp4"), "--depth", str(pictures / "depth")]) == 2
