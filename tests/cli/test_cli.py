"""The command line on real files: what comes out, and one sentence and exit code 2 for everything that is wrong."""

import json
import shutil
from fractions import Fraction

import pytest
import torch

from pipeline_core.__main__ import main
from pipeline_core.job.dials import dials
from pipeline_core.models.folders import precision
from pipeline_core.models.folders.preset_file import read_preset
from pipeline_core.video import media


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """An odd-sized, odd-rated clip of 7 frames of the world, with its buffers beside it."""
    folder = tmp_path_factory.mktemp("clip")
    path = folder / "drive.mp4"
    assert (
        main(
            [
                "render",
                "--seed",
                "1",
                "--frames",
                "7",
                "--fps",
                "12.5",
                "--size",
                "38x62",
                "-o",
                str(path),
                "--buffers",
                str(folder / "drive_buffers"),
            ]
        )
        == 0
    )
    return path


def run_bad(capsys, *arguments) -> str:
    assert main([str(a) for a in arguments]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and said[0].startswith("error: "), said
    return said[0]


def test_render_writes_the_clip_it_was_asked_for(clip):
    info = media.probe(clip)
    assert (info.frames, info.fps, info.height, info.width) == (7, Fraction(25, 2), 38, 62)


def told_prompts(clip, model_folder, folder, *options):
    report = folder / "report.json"
    where = ("--model", model_folder, "--start", "sdedit", "--steps", "2", "--report", report)
    assert main([str(a) for a in ("enhance", clip, "-o", folder / "out.mp4", *where, *options)]) == 0
    settings = json.loads(report.read_text())["settings"]
    return settings["prompt"], settings["negative_prompt"], settings["inversion_prompt"]


def test_a_prompt_set_words_what_the_buffers_say_and_a_given_prompt_goes_before_it(clip, model_folder, tmp_path):
    from pipeline_core.conditions.buffers import open_buffers
    from pipeline_core.perception.captions import compose

    known = compose("video realism", open_buffers(clip.with_name("drive_buffers"), clip).scene["description"])
    told = told_prompts(clip, model_folder, tmp_path, "--prompt-set", "video realism")
    assert told == (known.positive, known.negative, known.inversion)
    told = told_prompts(clip, model_folder, tmp_path, "--prompt-set", "video realism", "--prompt", "at night")
    assert told == ("at night", known.negative, known.inversion)


@pytest.mark.parametrize("start", ["inversion", "calibration", "sdedit", "noise"])
def test_enhance_keeps_count_rate_and_size_and_says_what_it_changed(clip, model_folder, tmp_path, start, capsys):
    out, report = tmp_path / "out.mp4", tmp_path / "report.json"
    assert (
        main(
            [
                "enhance",
                str(clip),
                "-o",
                str(out),
                "--model",
                str(model_folder),
                "--steps",
                "12",
                "--start",
                start,
                "--strength",
                "0.9",
                "--cfg",
                "2",
                "--report",
                str(report),
            ]
        )
        == 0
    )
    assert media.probe(out) == media.probe(clip)
    told = json.loads(report.read_text())
    assert any("resized" in note for note in told["notes"]) and "resized" in capsys.readouterr().out
    assert told["seams"]["mamse"]["value"] > 0 and "seams" in told["seams"]["mamse"]["note"]
    assert told["settings"]["start"] == start and len(told["windows"]) == len(told["plan"]["windows"]) >= 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.mp4", "report.json"]


def test_a_precision_that_cannot_be_had_is_given_up_aloud_or_refused(clip, model_folder, tmp_path, monkeypatch, capsys):
    out, report = tmp_path / "out.mp4", tmp_path / "report.json"
    short = ("--model", model_folder, "--start", "noise", "--steps", "2", "--report", report)
    monkeypatch.setattr(precision, "has_bf16", lambda device: True)
    monkeypatch.setattr(precision, "bf16_failure", lambda device: "it has no kernel")
    assert main([str(a) for a in ("enhance", clip, "-o", out, *short)]) == 0
    told = json.loads(report.read_text())
    said = "The networks run in 32-bit floats: torch does not carry out bfloat16 on cpu (it has no kernel)."
    assert told["precision"] == "fp32" and said in told["notes"] and f"note: {said}" in capsys.readouterr().out
    assert "it has no kernel" in run_bad(capsys, "enhance", clip, "-o", out, *short, "--precision", "bf16")


def test_a_seed_repeats_the_result(clip, model_folder, tmp_path):
    frames = []
    for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        assert (
            main(
                [
                    "enhance",
                    str(clip),
                    "-o",
                    str(tmp_path / f"{name}.mp4"),
                    "--model",
                    str(model_folder),
                    "--steps",
                    "2",
                    "--start",
                    "noise",
                    "--seed",
                    seed,
                ]
            )
            == 0
        )
        frames.append(media.read_clip(tmp_path / f"{name}.mp4"))
    assert torch.equal(frames[0], frames[1]) and not torch.equal(frames[0], frames[2])


def test_dials_fill_in_what_no_option_gave(clip, model_folder, tmp_path):
    def settings(*options):
        out, report = tmp_path / "out.mp4", tmp_path / "report.json"
        named = ["--model", model_folder, "--steps", "12", "--report", report]
        assert main([str(a) for a in ("enhance", clip, "-o", out, *named, *options)]) == 0
        return json.loads(report.read_text())["settings"]

    preset = read_preset(model_folder)
    turned = dials(0.8, 0.7, preset)
    told = settings("--realism", "0.8", "--faithfulness", "0.7")
    assert (told["strength"], told["cfg"], told["noise_blend"]) == (turned.strength, turned.cfg, turned.noise_blend)
    assert told["strength"] != preset.strength and told["cfg"] != preset.cfg
    told = settings("--realism", "0.8", "--cfg", "1.5", "--noise-blend", "0.1")
    assert (told["strength"], told["cfg"], told["noise_blend"]) == (dials(0.8, 0.5, preset).strength, 1.5, 0.1)
    told = settings("--faithfulness", "0.5")
    assert (told["strength"], told["cfg"], told["noise_blend"]) == (preset.strength, preset.cfg, 0.0)


def test_missing_file(capsys, tmp_path):
    assert "does not exist" in run_bad(capsys, "enhance", tmp_path / "no.mp4", "-o", tmp_path / "out.mp4")


def test_a_text_file_named_mp4(capsys, tmp_path):
    fake = tmp_path / "fake.mp4"
    fake.write_text("not a video")
    assert "fake.mp4" in run_bad(capsys, "enhance", fake, "-o", tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


def test_a_clip_with_no_frames(capsys, tmp_path, clip):
    import av

    empty = tmp_path / "empty.mp4"
    with av.open(str(empty), "w") as container:
        container.add_stream("libx264", rate=10)
        stream = container.add_stream("aac", rate=8000)
        for packet in stream.encode():
            container.mux(packet)
    run_bad(capsys, "enhance", empty, "-o", tmp_path / "out.mp4")


def test_an_output_folder_that_does_not_exist(capsys, clip, tmp_path):
    assert "nowhere" in run_bad(capsys, "enhance", clip, "-o", tmp_path / "nowhere" / "out.mp4")


def test_writing_over_the_input_is_refused(capsys, clip):
    before = clip.read_bytes()
    assert "input itself" in run_bad(capsys, "enhance", clip, "-o", clip)
    assert clip.read_bytes() == before


def test_the_buffers_of_another_clip(capsys, clip, tmp_path):
    other = tmp_path / "other.mp4"
    assert main(["render", "--seed", "2", "--frames", "7", "--fps", "12.5", "--size", "38x62", "-o", str(other)]) == 0
    capsys.readouterr()
    run_bad(capsys, "enhance", other, "-o", tmp_path / "out.mp4", "--buffers", clip.with_name("drive_buffers"))
    assert not (tmp_path / "out.mp4").exists()


def test_an_unknown_control(capsys, clip, tmp_path):
    said = run_bad(capsys, "enhance", clip, "-o", tmp_path / "out.mp4", "--controls", "edges=1")
    assert "edge" in said and "depth" in said


def test_weights_with_nan(capsys, clip, model_folder, tmp_path):
    from safetensors.torch import load_file, save_file

    broken = tmp_path / "model"
    shutil.copytree(model_folder, broken)
    weights = next((broken / "transformer").glob("*.safetensors"))
    tensors = load_file(weights)
    name = sorted(tensors)[0]
    tensors[name][0] = float("nan")
    save_file(tensors, weights)
    assert name in run_bad(capsys, "enhance", clip, "-o", tmp_path / "out.mp4", "--model", broken)
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize(
    "option, value",
    [
        ("--strength", "0"),
        ("--strength", "1.5"),
        ("--cfg", "-1"),
        ("--steps", "0"),
        ("--realism", "1.5"),
        ("--faithfulness", "-0.1"),
    ],
)
def test_settings_out_of_range(capsys, clip, model_folder, tmp_path, option, value):
    said = run_bad(capsys, "enhance", clip, "-o", tmp_path / "out.mp4", "--model", model_folder, option, value)
    assert option.strip("-") in said


def test_a_cancel_leaves_finished_windows_only(clip, model_folder, tmp_path, monkeypatch):
    from pipeline_core.models.networks.video_model import VideoModel

    calls = []

    def interrupted(self, latent):
        calls.append(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(VideoModel, "decode", interrupted)
    assert (
        main(
            [
                "enhance",
                str(clip),
                "-o",
                str(tmp_path / "out.mp4"),
                "--model",
                str(model_folder),
                "--steps",
                "1",
                "--start",
                "sdedit",
            ]
        )
        == 130
    )
    assert calls and [p.name for p in tmp_path.iterdir()] == ["out.mp4.windows"]
    names = sorted(p.name for p in (tmp_path / "out.mp4.windows").iterdir())
    assert names == ["000000.safetensors", "manifest.json"], "its latent was done, only its decoding was not"


def test_the_demo_leaves_everything_it_promises(tmp_path, capsys):
    from PIL import Image

    folder = tmp_path / "demo"
    assert main(["demo", "-o", str(folder), "--frames", "5"]) == 0
    names = {p.name for p in folder.iterdir()}
    assert names == {
        "source.mp4",
        "source_buffers",
        "twin.mp4",
        "enhanced.mp4",
        "side_by_side.mp4",
        "contact_sheet.png",
        "report.json",
    }
    assert media.probe(folder / "side_by_side.mp4").width == 2 * media.probe(folder / "source.mp4").width
    figures = json.loads((folder / "report.json").read_text())["metrics"]["figures"]
    assert figures["to the reference"]["psnr"]["value"] > 15
    with Image.open(folder / "contact_sheet.png") as sheet:
        assert sheet.width > 1500 and sheet.height > 600
    assert "contact_sheet.png" in capsys.readouterr().out
