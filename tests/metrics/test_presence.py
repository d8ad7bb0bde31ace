"""Oracles: masks painted by hand, and the world's buffers with one car taken out and one put in."""

import pytest
import torch

from pipeline_core.conditions.segmentation import CARLA_TAGS, TAG, VEHICLE_TAGS
from pipeline_core.errors import UserError
from pipeline_core.metrics.presence import ObjectsPresent
from pipeline_core.world import make_scene, render

CAR, SIGN = TAG["car"], TAG["traffic sign"]
NAMES = {tag: name for tag, (name, _) in CARLA_TAGS.items()}


def street(frames=4):
    classes, instances = torch.zeros(frames, 30, 40, dtype=torch.uint8), torch.zeros(frames, 30, 40, dtype=torch.int32)
    for t in range(frames):
        classes[t, 10:20, 5 + t : 15 + t], instances[t, 10:20, 5 + t : 15 + t] = CAR, 7
        classes[t, 2:8, 30:36], instances[t, 2:8, 30:36] = SIGN, 70000
    return classes, instances


def run(output, source, chunk=100, tags=(CAR, SIGN)):
    metric = ObjectsPresent(tags, NAMES)
    for parts in zip(*(maps.split(chunk) for maps in (*output, *source))):
        metric.update(parts[:2], parts[2:])
    return metric, metric.compute()


def test_nothing_lost_whatever_the_ids_are_called():
    source = street()
    renamed = source[0], torch.where(source[1] == 7, 123, source[1])
    metric, figures = run(renamed, source)
    assert figures["objects_lost"].value == figures["objects_invented"].value == 0
    assert len(metric.decisions) == 8 and all(d.kept for d in metric.decisions)


def test_a_removed_car_an_invented_sign_a_changed_class():
    source = street()
    classes, instances = (maps.clone() for maps in source)
    classes[2][instances[2] == 7] = 0  # the car is gone in frame 2
    classes[3, 22:28, 2:9], instances[3, 22:28, 2:9] = SIGN, 9  # a sign appears in frame 3
    classes[1][instances[1] == 70000] = CAR  # the sign became a car in frame 1
    metric, figures = run((classes, instances), source)
    assert figures["objects_lost"].value == pytest.approx(2 / 8)
    assert figures["objects_invented"].value == pytest.approx(2 / 8)
    assert metric.series == {"objects_lost": [0, 1, 1, 0], "objects_invented": [0, 1, 0, 1]}
    assert [(d.instance, d.frame, d.seen) for d in metric.decisions if not d.kept] == [
        (70000, 1, "traffic sign lost"), (70000, 1, "car invented"),
        (7, 2, "car lost"), (9, 3, "traffic sign invented"),
    ]  # fmt: skip
    assert run((classes, instances), source, chunk=1)[0].decisions == metric.decisions


def test_matching_is_by_overlap_above_one_half():
    source = street(1)
    for shift, lost in ((3, 0), (4, 1)):  # IoU 7 / 13 and 6 / 14
        moved = tuple(torch.where(source[1] == 7, 0, maps) for maps in source)
        for maps, original, value in zip(moved, source, (CAR, 7)):
            maps[0, 10:20, 5 + shift : 15 + shift] = value
        figures = run(moved, source)[1]
        assert figures["objects_lost"].value == lost / 2 and figures["objects_invented"].value == lost / 2


def test_small_objects_are_neither_lost_nor_invented():
    source = street(1)
    source[0][0, 0:2, 0:5], source[1][0, 0:2, 0:5] = CAR, 3
    grown = tuple(maps.clone() for maps in source)
    grown[0][0, 0:6, 0:5], grown[1][0, 0:6, 0:5] = CAR, 3
    gone = tuple(torch.where(source[1] == 3, 0, maps) for maps in source)
    for output in (grown, gone):
        figures = run(output, source)[1]
        assert figures["objects_lost"].value == 0 and figures["objects_invented"].value == 0


def test_the_world_without_one_car():
    scene = render(make_scene(1), 2, (48, 80), "synthetic")
    source = scene.classes, scene.instances
    cars = torch.isin(scene.classes.long(), torch.tensor(VEHICLE_TAGS))
    ids, counts = scene.instances[0][cars[0]].unique(return_counts=True)
    largest = int(ids[counts.argmax()])
    assert counts.max() >= 24
    without = tuple(torch.where(scene.instances == largest, 0, maps) for maps in source)
    metric, figures = run(without, source, tags=VEHICLE_TAGS)
    assert {d.instance for d in metric.decisions if not d.kept} == {largest} and figures["objects_lost"].value > 0
    back, invented = run(source, without, tags=VEHICLE_TAGS)
    assert {d.instance for d in back.decisions if not d.kept} == {largest}
    assert sum(back.series["objects_invented"]) == sum(metric.series["objects_lost"])


def test_undefined_and_refused():
    source = street(1)
    nothing = tuple(maps * 0 for maps in source)
    figures = run(source, nothing)[1]
    assert figures["objects_lost"].value is None and figures["objects_invented"].value is None
    assert "2 views invented" in figures["objects_invented"].note
    assert ObjectsPresent([CAR]).compute()["objects_lost"].note == "no frames"
    with pytest.raises(UserError, match="same frames"):
        ObjectsPresent([CAR]).update(source, (source[0], source[1][:, :5]))
