"""Oracles: scikit-image's labels; the world with one light recoloured, one car gone, one car invented, found again by
masks and by a segmentation that knows colours."""

import pytest
import torch
from skimage.measure import label

from pipeline_core.conditions.estimated import Estimators
from pipeline_core.conditions.segmentation import TAG, VEHICLE_TAGS
from pipeline_core.errors import UserError
from pipeline_core.metrics.compare import compare_frames
from pipeline_core.metrics.detected import DetectedObjects, components, objects_of
from pipeline_core.metrics.extras import Extras
from pipeline_core.world import RenderedBuffers, make_scene, render

CAR = TAG["car"]


@pytest.mark.parametrize("share", [0.2, 0.45, 0.62, 0.8])
def test_components_are_scikit_image_s(share):
    for seed in range(5):
        mask = torch.rand(23, 41, generator=torch.Generator().manual_seed(seed)) > share
        made, expected = components(mask), torch.tensor(label(mask.numpy(), connectivity=2))
        pairs = torch.stack([made.flatten().long(), expected.flatten()], 1).unique(dim=0)
        assert len(pairs) == made.max() + 1 == expected.max() + 1
    for mask in (torch.zeros(3, 4, dtype=torch.bool), torch.ones(3, 4, dtype=torch.bool)):
        assert torch.equal(components(mask), mask.int())


def test_objects_are_the_parts_of_a_class():
    classes = torch.zeros(2, 8, 20, dtype=torch.uint8)
    classes[0, 2:5, 1:4] = classes[0, 2:5, 9:12] = classes[1, 1:3, 1:3] = CAR
    classes[0, 2:5, 4:6] = TAG["traffic sign"]  # touches the car and is another object
    ids = objects_of(classes, (CAR, TAG["traffic sign"]))
    assert sorted(ids[0].unique().tolist()) == [0, 1, 2, 3] and ids[1].unique().tolist() == [0, 1]
    assert not (ids[0] > 0)[classes[0] == 0].any() and ids[0, 2, 4] not in (ids[0, 2, 3], ids[0, 2, 9])


def street(cars, colours=None, frames=2):
    """Grey ground with cars as boxes (row, column, height, width): frames, classes, instances."""
    clip, classes = torch.full((frames, 48, 80, 3), 0.5), torch.zeros(frames, 48, 80, dtype=torch.uint8)
    for i, (y, x, h, w) in enumerate(cars):
        clip[:, y : y + h, x : x + w] = torch.tensor((colours or {}).get(i, (1.0, 0.0, 0.0)))
        classes[:, y : y + h, x : x + w] = CAR
    return clip, (classes, objects_of(classes, (CAR,)))


def centre(frames):
    return frames[:, 32, 32] + 1e-3


CARS = [(5, 5, 12, 20), (25, 40, 12, 20)]


def measure(output, source, encode=centre, **options):
    metric = DetectedObjects(VEHICLE_TAGS, encode, **options)
    metric.update(output[0], source[0], output[1], source[1])
    return metric, {name: figure.value for name, figure in metric.compute().items()}


def test_matched_objects_are_compared_each_by_its_own_mask():
    """The first car stands two pixels further on and is green now: found again, with a cosine of nearly 0."""
    source = street(CARS)
    moved = street([(5, 7, 12, 20), CARS[1]], {0: (0.0, 1.0, 0.0)})
    _, values = measure(moved, source)
    assert values["alignment_detected"] == pytest.approx(0.5, abs=5e-3) == values["alignment_detected_vehicles"]
    assert values["objects_lost_detected"] == values["objects_invented_detected"] == 0
    assert values["alignment_detected_lights"] is None
    _, same = measure(source, source)
    assert same["alignment_detected"] == pytest.approx(1)


def test_a_car_gone_and_a_car_invented():
    source = street(CARS)
    metric, values = measure(street([*CARS, (30, 2, 12, 20)]), source)
    assert (values["objects_lost_detected"], values["objects_invented_detected"]) == (0, 0.5)
    assert [d.seen for d in metric.decisions if not d.kept] == ["class 14 invented"] * 2
    _, values = measure(street(CARS[1:]), source)
    assert (values["objects_lost_detected"], values["objects_invented_detected"]) == (0.5, 0)
    _, values = measure(street([(5, 20, 12, 20), CARS[1]]), source)  # too far off to be the same
    assert (values["objects_lost_detected"], values["objects_invented_detected"]) == (0.5, 0.5)


def test_nothing_found_and_no_network_are_undefined():
    empty = street([])
    metric = DetectedObjects(VEHICLE_TAGS, centre)
    metric.update(empty[0], empty[0], empty[1], empty[1])
    assert all(figure.value is None and figure.note for figure in metric.compute().values())
    source = street(CARS)
    metric, values = measure(source, source, encode=None)
    assert values["alignment_detected"] is None and values["objects_lost_detected"] == 0
    assert "network" in metric.compute()["alignment_detected"].note
    with pytest.raises(UserError, match="same frames"):
        metric.update(source[0], source[0], tuple(m[:, :9] for m in source[1]), source[1])


def test_streaming_equals_one_piece():
    source, output = street(CARS, frames=5), street([(5, 7, 12, 20), CARS[1]], {1: (0.2, 0.5, 0.0)}, frames=5)
    _, whole = measure(output, source)
    metric = DetectedObjects(VEHICLE_TAGS, centre)
    for part in (slice(0, 1), slice(1, 4), slice(4, 5)):
        metric.update(output[0][part], source[0][part], *([m[part] for m in maps] for maps in (output[1], source[1])))
    assert {n: f.value for n, f in metric.compute().items() if f.value is not None} == pytest.approx(
        {n: v for n, v in whole.items() if v is not None}
    )


def test_both_variants_stand_in_the_report():
    drive = render(make_scene(1), 2, (64, 96), "synthetic")

    def segment(frames):
        return drive.classes[: len(frames)]  # a perfect one

    extras = Extras(only=("objects",), estimators=Estimators(segmentation=segment), encoder=centre)
    report = compare_frames(drive.rgb, drive.rgb, buffers=RenderedBuffers(drive), extras=extras)["figures"]["objects"]
    assert report["alignment"]["value"] == pytest.approx(1) == report["alignment_detected"]["value"]
    assert report["objects_lost_detected"]["value"] == 0 and report["objects_lost"]["value"] is None
    without = compare_frames(drive.rgb, drive.rgb, extras=extras)["figures"]["objects"]
    assert without["alignment"]["value"] is None and without["alignment_detected"]["value"] == pytest.approx(1)
    detect = {"detect": lambda frames: (drive.classes, drive.instances)}
    own = compare_frames(drive.rgb, drive.rgb, extras=Extras(only=("objects",), **detect))["figures"]["objects"]
    assert own["objects_lost_detected"]["value"] == 0 and own["alignment_detected"]["value"] is None


def test_one_car_of_the_world_gone_and_one_invented():
    """A detector that is right about both clips: the car that was taken out, the box that is new."""
    drive = render(make_scene(1), 3, (64, 96), "synthetic")
    names, counts = drive.instances[1][drive.classes[1] == CAR].unique(return_counts=True)
    gone, new = int(names[counts.argmax()]), (1, slice(50, 62), slice(4, 30))
    without = drive.instances != gone
    assert not (drive.classes[new] == CAR).any()
    added = drive.classes.clone(), drive.instances.clone()
    added[0][new], added[1][new] = CAR, 9999
    source = drive.classes, drive.instances
    for found, lost, invented in (
        ((drive.classes * without, drive.instances * without), {gone}, set()),
        (added, set(), {9999}),
        (source, set(), set()),
    ):
        answers = iter([found, source])
        extras = Extras(only=("objects",), detect=lambda frames, answers=answers: next(answers))
        report = compare_frames(drive.rgb, drive.rgb, extras=extras)
        told = [d for d in report["lost"] if "present" in d["expected"] or "absent" in d["expected"]]
        assert {d["instance"] for d in told if d["seen"].endswith("lost")} == lost
        assert {d["instance"] for d in told if d["seen"].endswith("invented")} == invented
        assert {d["frame"] for d in told if d["instance"] == 9999} == ({1} if invented else set())
