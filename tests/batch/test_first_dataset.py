"""docs/first-dataset.md as it stands: its commands run one after the other on a small recording end in a COCO set."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from carla_town import write_town
from PIL import Image

from pipeline_core.__main__ import main
from pipeline_core.conditions.segmentation import TAG

# pycocotools itself, of NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")
PAGE = Path(__file__).parents[2] / "docs" / "first-dataset.md"
FRAMES = 5


def blocks(kind):
    return re.findall(rf"```{kind}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def recording(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_town(tmp_path, FRAMES)


def test_six_commands_from_a_recording_to_a_coco_set(recording, model_folder, capsys):
    coco_tools = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed: no COCO set is made")
    (recipe,) = blocks("yaml")
    # The page's own recipe, but quick: a tiny network in few steps, and no gate to reject what that leaves.
    Path("recipe.yaml").write_text(f"{recipe}settings: {{steps: 2, start: sdedit}}\ngate: false\n")
    commands = [line for block in blocks("sh run") for line in block.splitlines()]
    assert len(commands) == 6
    for command in commands:
        python, *rest = shlex.split(command)
        assert (python, *rest[:2]) == ("python", "-m", "pipeline_core")
        network = ["--model", str(model_folder)] if rest[2] == "enhance-folder" else []
        assert main([*rest[2:], *network]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "carla: 24 bits" in said and "town.night-0" in said and "train: 2 clips, 10 frames" in said
    coco = coco_tools.COCO("town-coco/annotations/instances_train.json")
    cars = {"day-0": 0, "night-0": 0}
    for image in coco.loadImgs(coco.getImgIds()):
        variant = image["clip"].removeprefix("town-")
        assert Image.open(f"town-coco/train/{image['file_name']}").size == (160, 96)
        for entry in coco.loadAnns(coco.getAnnIds(imgIds=image["id"], catIds=coco.getCatIds(["car"]))):
            truth = recording.classes[image["frame"]].numpy() == TAG["car"]
            truth &= recording.instances[image["frame"]].numpy() == entry["instance"]
            assert np.array_equal(coco.annToMask(entry).astype(bool), truth)
            cars[variant] += 1
    assert cars["day-0"] == cars["night-0"] > 10
    page = Path("results/index.html").read_text()
    assert all(f"clips/town/{variant}.mp4" in page for variant in cars)
    lines = [json.loads(line) for line in Path("town-coco/provenance.jsonl").read_text().splitlines()]
    assert {line["source"] for line in lines} == {"town.mp4"} and {line["settings"]["steps"] for line in lines} == {2}
