"""Objects by detectors: a tiny network of each class against its own direct forward, and what boxes become."""

import json

import pytest
import torch
import torch.nn.functional as F
from tiny_perception import save_detector, save_rt_detr, save_tracker

from pipeline_core.conditions.segmentation import TAG
from pipeline_core.errors import UserError
from pipeline_core.perception import objects
from pipeline_core.perception.grounding import Box
from pipeline_core.perception.objects import load_boxes, load_object_detector, painted

LABELS = ("cat", "car", "traffic light", "person", "stop sign")


@pytest.fixture(scope="module")
def frames():
    return torch.rand(2, 48, 80, 3, generator=torch.Generator().manual_seed(4))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_rt_detr(tmp_path_factory.mktemp("rt_detr"), LABELS)


def test_boxes_are_those_of_transformers_own_post_processing(folder, frames):
    """Every query's best street class; its corners by the release's arithmetic on the sizes of the frames."""
    from transformers import RTDetrForObjectDetection

    network = RTDetrForObjectDetection.from_pretrained(folder).eval()
    planes = F.interpolate(frames.movedim(-1, 1), size=(64, 96), mode="bilinear", antialias=True)
    with torch.no_grad():
        answer = network(pixel_values=planes)
    for index, boxes in enumerate(load_boxes(folder, "cpu")(frames)):
        scores = answer.logits[index].sigmoid()
        expected = {}
        for (x, y, w, h), row in zip((answer.pred_boxes[index] * torch.tensor([80, 48, 80, 48])).tolist(), scores):
            label = max(range(1, 5), key=lambda i, row=row: float(row[i]))  # a cat is nothing of the street
            expected[round(x - w / 2, 2), round(y + h / 2, 2)] = LABELS[label], round(float(row[label]), 4)
        names = {"pedestrian": "person", "traffic sign": "stop sign"}
        ours = {(round(b.x0, 2), round(b.y1, 2)): (names.get(b.words, b.words), round(b.score, 4)) for b in boxes}
        assert ours == expected
        sizes = [(b.x1 - b.x0) * (b.y1 - b.y0) for b in boxes]
        assert sizes == sorted(sizes, reverse=True)


def test_classes_that_exclude_each_other_end_with_nothing(folder, frames, monkeypatch):
    """DETR's way, of a stand-in: one class more than labels, by softmax."""

    class Network(torch.nn.Module):
        config = type("Config", (), {"id2label": {0: "car", 1: "person"}})

        def forward(self, pixel_values):
            logits = torch.tensor([[[2.0, 0.0, 1.0], [0.0, 0.0, 9.0]]]).expand(len(pixel_values), -1, -1)
            boxes = torch.tensor([[[0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 1, 1]]]).expand(len(pixel_values), -1, -1)
            return type("Answer", (), {"logits": logits, "pred_boxes": boxes})

    monkeypatch.setattr(objects, "load_network", lambda *_: Network())
    nothing, car = load_boxes(folder, "cpu")(frames[:1])[0]
    assert car.score == pytest.approx(2.718281828**2 / (2.718281828**2 + 1 + 2.718281828)) and nothing.score < 0.01
    assert (car.words, car.x0, car.y0, car.x1, car.y1) == ("car", 20, 12, 60, 36)


def test_sure_boxes_become_classes_and_ids(folder, frames, monkeypatch):
    boxes = [
        Box(-5, 2, 20, 30, "car", 0.9),
        Box(30, 0, 90, 60, "bus", 0.4),
        Box(10, 10, 14.4, 19.6, "traffic light", 0.6),
    ]
    monkeypatch.setattr(objects, "load_boxes", lambda *_: lambda frames: [boxes, []])
    classes, ids = load_object_detector(folder, device="cpu")(frames)
    assert classes.dtype == torch.uint8 and ids.dtype == torch.int32 and not ids[1].any() and not classes[1].any()
    car, light = torch.zeros(48, 80), torch.zeros(48, 80)
    car[2:30, 0:20], light[10:20, 10:14] = 1, 1
    assert torch.equal(ids[0] == 2, light.bool()) and torch.equal(ids[0] == 1, car.bool() & ~light.bool())
    assert torch.equal(classes[0] == TAG["traffic light"], ids[0] == 2)
    assert torch.equal(classes[0] == TAG["car"], ids[0] == 1)
    assert not painted([Box(90, 50, 95, 60, "car", 1)], (48, 80)).any()  # beside the picture


def test_sam_draws_the_masks_where_it_is(folder, frames, tmp_path, monkeypatch):
    from pipeline_core.perception.tracking import load_tracker

    boxes = [Box(5, 5, 60, 40, "car", 0.9), Box(2, 2, 9, 9, "bus", 0.9)]
    monkeypatch.setattr(objects, "load_boxes", lambda *_: lambda frames: [boxes] * len(frames))
    sam = save_tracker(tmp_path / "sam")
    classes, ids = load_object_detector(folder, sam, "cpu")(frames)
    alone = next(load_tracker(sam, "cpu")(iter(frames[1:]), boxes, None))
    assert torch.equal(ids[1], alone) and torch.equal(classes[1] == TAG["car"], alone == 1)


def test_grounding_dino_is_asked_for_the_streets_objects(frames, tmp_path, monkeypatch):
    asked = []

    def detect(frame, words):
        asked.append(words)
        return [Box(0, 0, 9, 9, "a traffic light", 0.3), Box(0, 0, 5, 5, "[UNK]", 0.9), Box(0, 0, 3, 3, "person", 0.2)]

    folder = save_detector(tmp_path)
    monkeypatch.setattr(objects, "load_detector", lambda *_: detect)
    classes, ids = load_object_detector(folder, device="cpu")(frames)
    assert asked == [objects.WORDS] * 2
    assert classes[0, 4, 4] == TAG["traffic light"] and classes[0, 1, 1] == TAG["pedestrian"] and ids.max() == 2


def test_a_detector_of_cats_is_refused(tmp_path):
    save_rt_detr(tmp_path, ("cat", "dog"))
    with pytest.raises(UserError, match="is a street class"):
        load_object_detector(tmp_path, device="cpu")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(UserError):
        load_object_detector(tmp_path, device="cpu")
