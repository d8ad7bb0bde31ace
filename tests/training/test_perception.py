"""The perception networks' training: their truth, that a stopped run ends as one that was not, and their folders."""

import math

import pytest
import torch

from pipeline_core.perception.estimators import load_estimators
from pipeline_core.perception.text_image import cosines, load_text_image
from training.perception import depth, detector, segmentation, text_image
from training.perception.data import TUNING, boxes, draw, shard, whole
from training.perception.fit import Habits, fit

TASKS = {module.__name__.rpartition(".")[2]: module.TASK for module in (depth, detector, segmentation, text_image)}


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return shard(tmp_path_factory.mktemp("scenes"), TUNING)


def test_a_scene_is_rendered_once_and_read_again_as_it_was(tmp_path):
    first, again = shard(tmp_path, TUNING + 1), shard(tmp_path, TUNING + 1)
    assert first.styles == again.styles and first.captions == again.captions
    assert all(torch.equal(getattr(first, name), getattr(again, name)) for name in ("rgb", "classes", "instances"))
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]


def test_mirrored_frames_have_mirrored_truth(scene):
    plain = {style: whole(scene, style).classes for style in range(len(scene.styles))}
    for seed in range(4):
        batch = draw([scene], 6, torch.Generator().manual_seed(seed))
        for classes, caption in zip(batch.classes, batch.captions):
            as_it_was = any((frame == classes).all() for frame in plain[0])
            turned = any((frame.flip(-1) == classes).all() for frame in plain[0])
            assert as_it_was != turned
            words = [text for texts in scene.captions for text in texts]
            swapped = [text.replace("left", "*").replace("right", "left").replace("*", "right") for text in words]
            assert caption in (swapped if turned else words)


def test_boxes_are_around_the_pixels():
    classes, instances = torch.zeros(2, 8, 10, dtype=torch.uint8)
    classes[1:4, 2:5], instances[1:4, 2:5] = 14, 3
    classes[6, 7:9], instances[6, 7:9] = 14, 4  # of two pixels
    [(tag, box)] = boxes(classes, instances, (14, 7))
    assert tag == 14 and box.tolist() == [2, 1, 5, 4]


def test_average_precision_of_known_answers():
    assert detector.average_precision([(0.9, True), (0.8, True)], 2) == 1
    assert detector.average_precision([(0.9, True), (0.8, False)], 2) == 0.5
    assert math.isclose(detector.average_precision([(0.9, False), (0.8, True)], 1), 0.5)
    assert detector.average_precision([], 3) == 0 and detector.average_precision([], 0) is None


def test_depth_up_to_scale_costs_nothing_in_its_figure(scene):
    class Truth(torch.nn.Module):
        def forward(self, pixel_values):
            return type("Answer", (), {"predicted_depth": 7 / scene.depth.float()})

    figures = depth.figures(Truth(), [scene])
    assert figures["si_rmse_synthetic"] < 1e-3 and figures["si_rmse_photoreal"] < 1e-3


@pytest.mark.parametrize("name", TASKS)
def test_a_stopped_run_ends_at_the_same_weights_and_its_folder_is_read(name, scene, tmp_path):
    task = TASKS[name]
    small = type(task)(**{**vars(task), "batch": 2})
    habits = Habits(every=10**9)
    straight = fit(small, tmp_path / "straight", [scene], [scene], 3, habits=habits)
    asked = iter([False, True])
    fit(small, tmp_path / "stopped", [scene], [scene], 3, stop=lambda: next(asked), habits=habits)
    resumed = fit(small, tmp_path / "stopped", [scene], [scene], 3, habits=habits)
    assert all(torch.equal(a, b) for a, b in zip(straight.state_dict().values(), resumed.state_dict().values()))
    assert (tmp_path / "straight" / "log.jsonl").read_text() == (tmp_path / "stopped" / "log.jsonl").read_text()

    task.write(straight, tmp_path / "model")
    frames = scene.rgb[0].float() / 255
    if name == "text_image":
        both = load_text_image(tmp_path / "model", "cpu")
        assert cosines(both.image(frames), both.texts(["night", "a sunny day"])).shape == (3, 2)
    elif name == "depth":
        assert load_estimators(depth=tmp_path / "model", device="cpu").depth(frames).shape == frames.shape[:3]
    elif name == "segmentation":
        tags = load_estimators(segmentation=tmp_path / "model", device="cpu").segmentation(frames)
        assert set(tags.unique().tolist()) <= set(range(1, 29))
