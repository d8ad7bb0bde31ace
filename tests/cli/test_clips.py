"""Clips as people have them through the enhance command: what is kept, what is refused, what is said."""

import json

import numpy as np
import pytest
from made_clips import make_clip, packets, pictures, times, turned

from pipeline_core.__main__ import main
from pipeline_core.video import facts, media

VARYING = [0, 40, 50, 130, 135, 300, 333, 700]
FRAMES = pictures(8, 32, 48).astype(np.uint8)


@pytest.fixture
def enhance(model_folder, tmp_path, capsys):
    """Run the command on a clip; (exit code, report or None, what stands on stderr last)."""

    def run(source, *options):
        report = tmp_path / "report.json"
        given = ("--model", model_folder, "--start", "sdedit", "--steps", "2", "--report", report, *options)
        code = main([str(a) for a in ("enhance", source, "-o", tmp_path / "out.mp4", *given)])
        said = capsys.readouterr().err.strip().splitlines()
        return code, json.loads(report.read_text()) if report.exists() else None, said[-1] if said else ""

    return run


def test_sound_times_and_bits_go_through_the_command(enhance, tmp_path):
    source, target = tmp_path / "a.mp4", tmp_path / "out.mp4"
    wide = pictures(8, 32, 48, 65536).astype(np.uint16)
    make_clip(source, wide, VARYING, layout="yuv420p10le", sound="aac", late=120)
    code, report, _ = enhance(source)
    assert code == 0 and report["sound"] == ["aac"] and report["damage"] == ""
    assert times(target) == times(source)
    assert [p[:2] for p in packets(target, "audio")] == [p[:2] for p in packets(source, "audio")]
    assert facts.examine(target).bits == 10
    assert sum("rate varies" in note for note in report["notes"]) == 1


def test_a_turned_clip_comes_out_upright(enhance, tmp_path):
    make_clip(tmp_path / "flat.mp4", FRAMES)
    turned(tmp_path / "flat.mp4", tmp_path / "a.mp4", (0, 1, -1, 0))
    code, report, _ = enhance(tmp_path / "a.mp4", "--detail", "1")
    assert code == 0 and report["size"] == [48, 32] and any("90 degrees clockwise" in n for n in report["notes"])
    info = media.probe(tmp_path / "out.mp4")
    assert (info.height, info.width, info.frames) == (48, 32, 8)


def test_a_cut_clip_is_refused_unless_accepted(enhance, tmp_path):
    frames = pictures(40, 32, 48).astype(np.uint8)
    make_clip(tmp_path / "whole.mp4", frames, sound="aac")
    data = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(data[: int(len(data) * 0.78)])
    code, report, said = enhance(tmp_path / "a.mp4")
    assert code == 2 and report is None and "announces 40 frames" in said and "--accept-damaged" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "whole.mp4"]
    code, report, _ = enhance(tmp_path / "a.mp4", "--accept-damaged")
    assert code == 0 and "announces 40 frames" in report["damage"]
    there = media.probe(tmp_path / "out.mp4").frames
    assert there == report["frames"] < 40 and sum("was accepted" in note for note in report["notes"]) == 1


@pytest.mark.parametrize("accept", [False, True])
def test_a_clip_that_shrinks_during_the_run(enhance, tmp_path, monkeypatch, accept):
    """After it was examined the file loses its last frame."""
    make_clip(tmp_path / "a.mkv", pictures(40, 32, 48).astype(np.uint8), options={"bf": "0"})
    data, examine, last = (tmp_path / "a.mkv").read_bytes(), facts.examine, packets(tmp_path / "a.mkv", "video")[-1][0]

    def then_cut(path):
        found = examine(path)
        path.write_bytes(data[: data.index(last)])
        return found

    monkeypatch.setattr("pipeline_core.cli.enhance.examine", then_cut)
    code, report, said = enhance(tmp_path / "a.mkv", *(["--accept-damaged"] if accept else []))
    if accept:
        assert code == 0, said
        assert sum("of 40 planned frames" in note for note in report["notes"]) == 1
        assert media.probe(tmp_path / "out.mp4").frames == 40
    else:
        assert code == 2 and "the file has changed since the job began" in said
        assert not (tmp_path / "out.mp4").exists() and not list(tmp_path.glob(".*"))


def test_a_strip_and_a_dot_are_clips_too(enhance, tmp_path):
    for size in ((2, 3000), (1, 1)):
        make_clip(tmp_path / "a.mkv", pictures(5, *size).astype(np.uint8), layout="bgr0", codec="ffv1")
        assert enhance(tmp_path / "a.mkv")[0] == 0
        info = media.probe(tmp_path / "out.mp4")
        assert (info.height, info.width) == size


@pytest.mark.parametrize("fps", ["inf", "nan", "1e-9", "1e9", "-5"])
def test_a_rate_that_no_clip_has_is_refused_at_once(tmp_path, capsys, fps):
    assert main(["render", "--seed", "1", f"--fps={fps}", "-o", str(tmp_path / "a.mp4")]) == 2
    assert "change --fps" in capsys.readouterr().err and not list(tmp_path.iterdir())
