"""The held-out figures of the perception networks, of answers whose figure is known."""

import json

import pytest
import torch

from benchmarks import perception
from pipeline_core.conditions.estimated import Estimators
from pipeline_core.conditions.segmentation import TAG
from pipeline_core.finetune.checkpoint import save_checkpoint
from pipeline_core.perception.grounding import Box
from training.perception.card import write_card
from training.perception.data import Shard
from training.run.log import RunLog

STYLES = ["synthetic", "photoreal.day"]


@pytest.fixture
def scene():
    """Two frames of a road with a car of 10 x 12 pixels, a small one and a lamp; everything at its own distance."""
    classes = torch.full((2, 24, 40), TAG["road"], dtype=torch.uint8)
    instances, depth = torch.zeros(2, 24, 40, dtype=torch.int16), torch.linspace(3, 90, 24)[None, :, None]
    for number, (tag, box) in enumerate(BOXES, start=1):
        x0, y0, x1, y1 = box
        classes[:, y0:y1, x0:x1], instances[:, y0:y1, x0:x1] = TAG[tag], number
    rgb = torch.zeros(2, 2, 24, 40, 3, dtype=torch.uint8)
    return Shard(rgb, depth.expand(2, 24, 40).half(), classes, instances, STYLES, [["a"], ["b"]])


BOXES = (("car", (2, 2, 14, 12)), ("car", (30, 2, 34, 5)), ("traffic light", (20, 4, 29, 20)))


def values(rows):
    return {row["figure"]: row["value"] for row in rows}


def test_depth_of_another_unit_has_no_error_and_a_wrong_one_its_own(scene, monkeypatch):
    def estimates(factor):
        return lambda **_: Estimators(depth=lambda frames: factor * scene.depth.float())

    monkeypatch.setattr("pipeline_core.perception.estimators.load_estimators", estimates(7))
    assert max(values(perception.depth_rows([scene, scene])).values()) < 1e-6
    half = torch.ones(24, 40)
    half[:, :20] = 2.0  # errors of log 2 / 2 both ways
    monkeypatch.setattr("pipeline_core.perception.estimators.load_estimators", estimates(half))
    for row in perception.depth_rows([scene, scene]):
        assert row["value"] == pytest.approx(0.34657, abs=1e-4) == row["low"] == row["high"] and row["target"] == 0.1


def test_masks_that_are_right_and_a_class_that_is_never_seen(scene, monkeypatch):
    def segments(classes):
        return lambda **_: Estimators(segmentation=lambda frames: classes)

    monkeypatch.setattr("pipeline_core.perception.estimators.load_estimators", segments(scene.classes))
    assert set(values(perception.segmentation_rows([scene])).values()) == {1.0}
    blind = torch.where(scene.classes == TAG["traffic light"], TAG["road"], scene.classes)
    monkeypatch.setattr("pipeline_core.perception.estimators.load_estimators", segments(blind))
    road, lamp = int((scene.classes == TAG["road"]).sum()), int((scene.classes == TAG["traffic light"]).sum())
    expected = (1 + road / (road + lamp) + 0) / 3
    assert perception.segmentation_rows([scene])[0]["value"] == pytest.approx(expected)


def test_boxes_that_are_right_and_one_of_two_sure_answers_wrong(scene, monkeypatch):
    right = [Box(*box, name, 0.5) for name, box in BOXES]

    def rows(boxes):
        monkeypatch.setattr("pipeline_core.perception.objects.load_boxes", lambda *_: lambda f: [boxes] * len(f))
        return values(perception.detector_rows([scene]))

    assert set(rows(right).values()) == {1.0}
    wrong = rows([*right, Box(2, 13, 14, 23, "car", 0.9)])
    assert wrong["AP50 of cars from 8 px, synthetic"] == 0.5 and wrong["AP50 of lights from 8 px, photoreal"] == 1
    assert rows(right[:2])["AP50 of lights from 8 px, synthetic"] == 0  # the small car is asked for in neither


def test_a_card_has_the_held_out_figures_of_its_own_weights_alone(tmp_path):
    folder, run, results = tmp_path / "depth", tmp_path / "run", tmp_path / "perception.json"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    state = {"step": 5, "config": {"steps": 5, "seed": 0, "scenes": 3}, "cpu_seconds": 120.0}
    run.mkdir()
    save_checkpoint(run, {}, state)
    RunLog(run, 0).write("figures", 5, {"loss": 1.0, "si_rmse_synthetic": 0.25})
    row = {"network": "depth", "figure": "si-RMSE", "value": 0.2, "low": 0.19, "high": 0.21}
    rows = [row, {**row, "network": "segmentation"}]

    def card(sha256):
        about = {"seeds": [940000, 940001], "networks": {"depth": {"sha256": sha256}}}
        results.write_text(json.dumps({"about": about, "rows": rows}))
        write_card("depth", folder, run, results)
        return (folder / "README.md").read_text()

    own = perception.file_hashes({"x": folder / "model.safetensors"})["x"]["sha256"]
    assert "| si-RMSE | 0.2 | 0.19 to 0.21 |" in card(own) and card(own).count("0.19 to 0.21") == 1
    assert "0.19" not in card("of other weights") and "No held-out figure" in card("of other weights")
    assert json.loads((folder / "training.json").read_text())["steps"] == 5
