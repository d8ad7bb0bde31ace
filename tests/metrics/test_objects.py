"""Oracles: colorsys for hues, scikit-image for CIELAB, and painted objects of which single ones are repainted."""

import colorsys

import pytest
import torch
from skimage.color import rgb2lab

from pipeline_core.conditions.segmentation import TAG
from pipeline_core.errors import UserError
from pipeline_core.metrics.objects import (
    BASIC_COLOURS,
    LampColours,
    ObjectColours,
    decision_table,
    lab,
    lamp_state,
    object_colours,
)

LAMPS = {"red": (1.0, 0.1, 0.1), "yellow": (1.0, 0.75, 0.1), "green": (0.1, 0.9, 0.5)}
CAR, SIGN, POLE = TAG["car"], TAG["traffic sign"], TAG["pole"]


def test_lamp_states_by_hue():
    for hue in range(360):
        expected = "red" if hue < 25 or hue >= 300 else "yellow" if hue < 85 else "green" if hue < 210 else "none"
        for saturation, value in ((1.0, 1.0), (0.3, 0.9), (1.0, 0.2)):
            assert lamp_state(torch.tensor(colorsys.hsv_to_rgb((hue + 0.5) / 360, saturation, value))) == expected
    for colour in ((0.2, 0.2, 0.22), (1.0, 1.0, 1.0), (0.5, 0.4, 0.38), (torch.nan,) * 3):
        assert lamp_state(torch.tensor(colour)) == "none"


def signal_clip():
    """Six frames with two lights; the second is too small in frame 0, hidden in 1, out of view in 2."""
    clip = torch.full((6, 40, 60, 3), 0.3)
    states = ["red", "red", "green", "green", "yellow", "red"]
    first = {"instance": 1, "state": states, "box": [None] * 6, "lamp_box": [[10.0, 5.0, 18.0, 13.0]] * 6}
    first["visible"] = [1.0] * 6
    boxes = [[40.0, 20.0, 44.0, 24.5], [40.0, 20.0, 46.0, 26.0], None] + [[40.0, 20.0, 46.0, 26.0]] * 3
    second = {"instance": 2, "state": states[::-1], "box": [None] * 6, "lamp_box": boxes}
    second["visible"] = [1.0, 0.2, 0.0, 1.0, 0.9, 0.5]
    y, x = torch.meshgrid(torch.arange(40) + 0.5, torch.arange(60) + 0.5, indexing="ij")
    for light in (first, second):
        for t, box in enumerate(light["lamp_box"]):
            if box is not None:
                ry, rx = (box[3] - box[1]) / 2, (box[2] - box[0]) / 2
                disc = ((y - box[1] - ry) / ry) ** 2 + ((x - box[0] - rx) / rx) ** 2 <= 1
                clip[t][disc] = torch.tensor(LAMPS[light["state"][t]])
    return clip, [first, second]


def test_lamps_that_are_kept_and_which_views_count():
    clip, lights = signal_clip()
    metric = LampColours(lights)
    metric.update(clip)
    assert metric.compute()["lamps_kept"].value == 1
    assert {(d.instance, d.frame) for d in metric.decisions} == {(1, t) for t in range(6)} | {
        (2, 3),
        (2, 4),
        (2, 5),
    }


def test_one_swapped_lamp_in_one_frame_is_noticed():
    clip, lights = signal_clip()
    clip[3, 4:14, 9:19] = torch.tensor(LAMPS["red"])
    metric = LampColours(lights)
    metric.update(clip[:2])
    metric.update(clip[2:])
    assert metric.compute()["lamps_kept"].value == pytest.approx(8 / 9)
    (lost,) = [d for d in metric.decisions if not d.kept]
    assert (lost.instance, lost.frame, lost.expected, lost.seen) == (1, 3, "green", "red")
    assert decision_table([lost])[0]["seen"] == "red"


def test_a_dark_lamp_is_lost():
    clip, lights = signal_clip()
    metric = LampColours(lights[:1])
    metric.update(torch.full_like(clip, 0.2))
    assert metric.compute()["lamps_kept"].value == 0 and {d.seen for d in metric.decisions} == {"none"}


def test_no_lamp_is_undefined_and_short_lights_are_refused():
    clip, lights = signal_clip()
    for metric in (LampColours([]), LampColours(lights, min_height=50)):
        metric.update(clip)
        assert metric.compute()["lamps_kept"].value is None and metric.compute()["lamps_kept"].note
    metric = LampColours(lights)
    metric.update(clip)
    with pytest.raises(UserError, match="lights of this clip"):
        metric.update(clip[:1])


def test_lab_is_scikit_image_s():
    colours = torch.rand(200, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    colours[:10] *= 0.02
    assert (lab(colours) - torch.from_numpy(rgb2lab(colours.numpy()))).abs().max() < 1e-6


def street(colours, frames=4):
    """One 6 x 8 object per colour in a row, instances 1, 2, ..; each with a pole of the same instance above it."""
    clip = torch.full((frames, 20, 12 * len(colours), 3), 0.5)
    classes = torch.full((frames, 20, 12 * len(colours)), TAG["road"], dtype=torch.uint8)
    instances = torch.zeros(classes.shape, dtype=torch.int32)
    for i, colour in enumerate(colours):
        there = (slice(None), slice(8, 14), slice(12 * i, 12 * i + 8))
        pole = (slice(None), slice(2, 8), slice(12 * i, 12 * i + 8))
        clip[there], classes[there], instances[there] = torch.tensor(colour), CAR, i + 1
        clip[pole], classes[pole], instances[pole] = 0.9, POLE, i + 1
    return clip, classes, instances


def run(metric, *clips, chunks=(100,)):
    start = 0
    for size in chunks:
        metric.update(*(c[start : start + size] for c in clips))
        start += size
    return {name: figure.value for name, figure in metric.compute().items()}


def test_object_means():
    clip, classes, instances = street([(0.8, 0.1, 0.2), (0.1, 0.3, 0.7)])
    clip[:, 8:11, :8] += 0.1
    means = object_colours(clip, classes, instances, [CAR], 24)
    assert len(means) == 8
    assert means[2, 1].tolist() == pytest.approx([0.85, 0.15, 0.25]) and means[3, 2].tolist() == pytest.approx(
        [0.1, 0.3, 0.7]
    )
    assert object_colours(clip, classes, instances, [CAR], 49) == {}
    assert object_colours(clip, classes, instances, [SIGN], 1) == {}


@pytest.mark.parametrize("named", [True, False])
def test_every_repainted_object_is_noticed_and_none_else(named):
    labels = list(BASIC_COLOURS)
    clip, classes, instances = street(list(BASIC_COLOURS.values()))
    names = {i + 1: name for i, name in enumerate(labels)} if named else None
    for i, old in enumerate(labels):
        for new in labels:
            output = clip.clone()
            output[2, 8:14, 12 * i : 12 * i + 8] = torch.tensor(BASIC_COLOURS[new])
            metric = ObjectColours("vehicles", [CAR], names=names)
            kept = run(metric, output, clip, classes, instances)["vehicles_kept"]
            lost = [(d.instance, d.frame, d.expected, d.seen) for d in metric.decisions if not d.kept]
            assert lost == ([] if new == old else [(i + 1, 2, old, new)])
            assert kept == (1 if new == old else 1 - 1 / (4 * len(labels)))


def test_a_shade_that_the_reference_has_too_is_allowed_for():
    """A red car in deep shade looks nearer to black; with the name and the reference it is still a red car."""
    clip, classes, instances = street([(0.55, 0.12, 0.12), (0.15, 0.25, 0.60)])
    shaded = clip * 0.35
    named = ObjectColours("vehicles", [CAR], names={1: "red", 2: "blue"})
    result = run(named, (shaded + 0.01).clamp(0, 1), shaded, classes, instances)
    assert result["vehicles_kept"] == 1
    assert result["vehicles_colour_error"] == pytest.approx(0.01, abs=1e-6)


def test_streaming_equals_one_piece():
    clip, classes, instances = street(list(BASIC_COLOURS.values())[:4], frames=5)
    output = (clip + 0.3 * torch.rand(clip.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    metrics = [ObjectColours("vehicles", [CAR]) for _ in range(2)]
    whole = run(metrics[0], output, clip, classes, instances)
    pieces = run(metrics[1], output, clip, classes, instances, chunks=(1, 3, 1))
    assert pieces == pytest.approx(whole) and metrics[0].decisions == metrics[1].decisions


def test_nothing_to_measure_and_bad_input():
    clip, classes, instances = street([(0.8, 0.1, 0.1)])
    metric = ObjectColours("signs", [SIGN])
    assert run(metric, clip, clip, classes, instances) == {"signs_kept": None, "signs_colour_error": None}
    assert "signs" in metric.compute()["signs_kept"].note
    with pytest.raises(UserError):
        metric.update(clip, clip, classes[:1], instances)
    with pytest.raises(UserError, match="mauve"):
        ObjectColours("vehicles", [CAR], names={1: "mauve"})
