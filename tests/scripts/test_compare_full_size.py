"""The paper's table from a folder: what must be one in it is, and the embedded model's own clips make one."""

import json
from dataclasses import replace

import compare_full_size
import pytest
import torch

from pipeline_core.enhance import EnhanceSettings, enhance
from pipeline_core.models import load_video_model
from pipeline_core.video.media import write_clip
from pipeline_core.world import drive_scene, render

SIZE, FRAMES = (32, 48), 9
SCENES = (800_003, 800_004)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Two scenes: the source, its twin, and three methods: nothing done, the embedded model, and the twin itself."""
    folder = tmp_path_factory.mktemp("clips")
    model = load_video_model(device="cpu", precision="fp32")
    model = replace(model, preset=replace(model.preset, window=FRAMES, overlap=1, size=SIZE))
    for name in ("source", "twin", "a copy", "embedded", "perfect"):
        (folder / name).mkdir()
    for seed in SCENES:
        looks = {
            style: render(drive_scene(seed, FRAMES, 24.0), range(FRAMES), SIZE, style).rgb
            for style in ("synthetic", "photoreal")
        }
        enhanced, _ = enhance(looks["synthetic"], model, EnhanceSettings(seed=3, steps=3, start="calibration"))
        written = {"source": "synthetic", "a copy": "synthetic", "twin": "photoreal", "perfect": "photoreal"}
        for method, style in written.items():
            write_clip(folder / method / f"{seed}.mp4", looks[style], 24)
        write_clip(folder / "embedded" / f"{seed}.mp4", enhanced, 24)
    return folder


def test_the_table_of_a_folder(clips, tmp_path, capsys):
    options = [str(clips), "-o", str(tmp_path), "--", "--no-critic", "--only", "fidelity,structure"]
    assert compare_full_size.main(options) == 0
    compared = json.loads((tmp_path / "compared.json").read_text())
    figures = {
        method: [clip["to the source"]["edge_f1"]["value"] for clip in held.values()]
        for method, held in compared["methods"].items()
    }
    assert list(figures) == ["a copy", "embedded", "perfect"] and figures["a copy"] == [1.0, 1.0]
    assert all(value < 1 for value in figures["embedded"])
    twins = [clip["to the reference"]["psnr"]["value"] for clip in compared["methods"]["embedded"].values()]
    text = (tmp_path / "compared.md").read_text()
    lines = text.splitlines()
    assert text in capsys.readouterr().out
    assert lines[0].startswith("| method | clips | edges kept ↑ | PSNR to the twin ↑ |")
    assert lines[2].startswith("| a copy | 2 | 1.000 ± 0.000 | ")
    spread = torch.tensor(twins).std() / 2**0.5
    assert lines[3].endswith(f"| {sum(twins) / 2:.3f} ± {spread:.3f} |")
    assert "LPIPS to the source (not measured: give LPIPS weights)" in text


def test_methods_on_other_clips_are_said_to_be(clips, tmp_path):
    compared = {
        "methods": {
            "one": {"a.mp4": {"to the source": {"edge_f1": {"value": 0.5, "better": "higher", "note": ""}}}},
            "two": {"b.mp4": {"to the source": {"edge_f1": {"value": None, "better": "higher", "note": "none"}}}},
            "three": {"c.mp4": {}},  # a clip whose report has no such section
        }
    }
    text = compare_full_size.table(compared)
    assert "| one | 1 | 0.500 |" in text and "| two | 1 |  |" in text and "| three | 1 |  |" in text
    assert "The methods were not run on the same clips" in text


@pytest.mark.parametrize(
    "files, words",
    [
        ([], "source holds no clips: put the clips before there"),
        (["source/a.mp4"], "holds no folder of results beside source"),
        (["source/a.mp4", "ours/b.mp4"], "b.mp4 has no clip of that name in source: rename it"),
    ],
)
def test_a_folder_that_is_no_comparison_is_said_in_a_sentence(files, words, tmp_path, capsys):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert compare_full_size.main([str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    assert words in capsys.readouterr().err and not (tmp_path / "out").exists()
