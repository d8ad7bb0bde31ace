"""Oracles: one lamp swapped in one frame of the world, from masks alone; a drawn signal of known colours."""

import pytest
import torch

from pipeline_core.conditions.segmentation import TAG
from pipeline_core.errors import UserError
from pipeline_core.metrics.compare import compare_frames
from pipeline_core.metrics.extras import Extras
from pipeline_core.metrics.lights import LightColours
from pipeline_core.metrics.masks import MaskBuffers
from pipeline_core.world import RenderedBuffers, make_scene, render

LAMPS = {"red": (0.9, 0.1, 0.1), "yellow": (0.9, 0.7, 0.1), "green": (0.1, 0.9, 0.4)}


def signals(states, frames=3):
    """Dark housings of 6 x 18 pixels with one lamp lit each; frames, classes, ids."""
    clip, classes = torch.full((frames, 30, 60, 3), 0.6), torch.zeros(frames, 30, 60, dtype=torch.uint8)
    ids = torch.zeros(frames, 30, 60, dtype=torch.int32)
    for i, state in enumerate(states):
        box = (slice(None), slice(5, 23), slice(5 + 15 * i, 11 + 15 * i))
        clip[box], classes[box], ids[box] = torch.tensor([0.08, 0.08, 0.08]), TAG["traffic light"], i + 1
        if state in LAMPS:
            row = 6 + 6 * list(LAMPS).index(state)
            clip[:, row : row + 4, 6 + 15 * i : 10 + 15 * i] = torch.tensor(LAMPS[state])
    return clip, classes, ids


def test_the_lit_lamp_is_found_and_one_swapped_view_is_noticed():
    clip, classes, ids = signals(["red", "green", "yellow"])
    output = (0.8 * clip + 0.05).clone()
    output[1, 6:10, 6:10] = torch.tensor(LAMPS["green"])
    metric = LightColours()
    metric.update(output[:1], clip[:1], classes[:1], ids[:1])
    metric.update(output[1:], clip[1:], classes[1:], ids[1:])
    assert metric.compute()["lights_kept"].value == pytest.approx(8 / 9)
    assert [(d.instance, d.frame, d.expected, d.seen) for d in metric.decisions if not d.kept] == [
        (1, 1, "red", "green")
    ]


def test_dark_lamps_and_no_lights():
    clip, classes, ids = signals(["red", "off"])
    metric = LightColours()
    metric.update(clip.clamp(max=0.08), clip, classes, ids)  # the lamp goes out; the dark one never counted
    assert metric.compute()["lights_kept"].value == 0 and {d.seen for d in metric.decisions} == {"none"}
    metric = LightColours()
    metric.update(clip, clip, classes * 0, ids * 0)
    figure = metric.compute()["lights_kept"]
    assert figure.value is None and "30 pixels" in figure.note
    with pytest.raises(UserError, match="same frames"):
        metric.update(clip, clip, classes[:1], ids)


def test_one_light_of_the_world_swapped_in_one_frame():
    drive = render(make_scene(8), 2, (128, 208))  # three green lights, one of them near
    metric = LightColours()
    metric.update(drive.rgb, drive.rgb, drive.classes, drive.instances)
    views = [d for d in metric.decisions if d.kept]
    assert views and len(views) == len(metric.decisions)
    told = {light["instance"]: light["state"] for light in drive.lights}
    assert all(d.expected == told[d.instance][d.frame] for d in views)
    victim, output = views[0], drive.rgb.clone()
    mask = drive.instances[victim.frame] == victim.instance
    output[victim.frame][mask] = output[victim.frame][mask][:, [1, 0, 2]]  # red and green change places
    other = LightColours()
    other.update(output, drive.rgb, drive.classes, drive.instances)
    assert [(d.instance, d.frame) for d in other.decisions if not d.kept] == [(victim.instance, victim.frame)]
    report = compare_frames(drive.rgb, output, buffers=RenderedBuffers(drive), extras=Extras(only=("objects",)))
    assert report["figures"]["objects"]["lights_kept"]["value"] == pytest.approx(1 - 1 / len(views))


def test_masks_serve_as_buffers():
    clip, classes, ids = signals(["red", "green"])
    lights = (classes > 0).float()
    buffers = MaskBuffers({"lights": lights, "people": torch.ones_like(lights)}, tuple(lights.shape))
    assert (buffers.classes(0, 3) == TAG["traffic light"]).sum() == lights.sum()
    assert (buffers.classes(0, 3) == TAG["pedestrian"]).sum() == (1 - lights).sum()
    assert buffers.instances(1, 2)[0].unique().tolist() == [0, 1, 2, 3] or buffers.instances(1, 2).max() == 3
    report = compare_frames(clip, clip, buffers=buffers, extras=Extras(only=("objects",)))["figures"]["objects"]
    assert report["lights_kept"]["value"] == 1 and report["signs_kept"]["value"] is None
    with pytest.raises(UserError, match="mask lights"):
        MaskBuffers({"lights": lights[:2]}, tuple(lights.shape))
    empty = MaskBuffers({"lights": 0 * lights}, tuple(lights.shape))
    report = compare_frames(clip, clip, buffers=empty, extras=Extras(only=("objects",)))["figures"]["objects"]
    assert all(f["value"] is None and f["note"] for f in report.values())
