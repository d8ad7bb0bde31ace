"""The whole job on a second device: every start, every hand-over, the embedded model, on a small clip."""

from dataclasses import replace

import pytest
import torch
from device_under_test import NAME, closest, device_under_test
from pretend_device import assert_alike

from pipeline_core.conditions.estimated import Estimators
from pipeline_core.conditions.segmentation import TAG
from pipeline_core.enhance import EnhanceSettings, enhance
from pipeline_core.job.table import HANDOVERS, STARTS
from pipeline_core.models import load_video_model
from pipeline_core.world import drive_scene, render

# What models/perception would estimate is read once a clip, not once a call.
pytestmark = pytest.mark.usefixtures("without_own_networks")
SIZE = (32, 48)
STEPS = 3
TWO_WINDOWS = 13


def small(model):
    """Two windows of nine frames, small enough for seconds."""
    return replace(model, preset=replace(model.preset, window=9, overlap=5, size=SIZE))


@pytest.fixture(scope="module")
def clip():
    return render(drive_scene(800_003, TWO_WINDOWS, 24.0), range(TWO_WINDOWS), SIZE, "synthetic").rgb


@pytest.fixture(scope="module")
def model():
    return small(load_video_model(device="cpu", precision="fp32"))


@pytest.fixture(scope="module")
def moved():
    """The device while this file's tests run, and the model on it."""
    with device_under_test() as device:
        yield device, small(load_video_model(device=NAME, precision="fp32"))


def flow_of(frames):
    """An estimator that needs no package: everything moves one pixel to the right."""
    flow = frames.new_zeros(*frames.shape[:3], 2)
    flow[..., 0] = 1
    return flow


def run(clip, model, **settings):
    settings = EnhanceSettings(seed=3, steps=STEPS, **settings)
    return enhance(clip, model, settings, estimators=Estimators(flow=flow_of))


def of_the_passes(reads):
    """Without what comes once a window or frame, not once a call: hysteresis follows edges wherever they lead, tracks
    end at as many pixels as they do, and every finished frame goes to the host."""
    others = "conditions/", "longvideo/motion.py", "job/delivery.py"
    return [read for read in reads if not any(place in read.where for place in others)]


def calls_of(settings):
    """Network calls of one window."""
    back = STEPS if settings.get("start") != "inversion" else STEPS - 1  # the exact way back saves its first
    return back + {"inversion": STEPS, "calibration": 2}.get(settings.get("start"), 0)  # edits read once for both calls


# Every start and every hand-over once; an inversion is where a window begins otherwise with each of them.
PAIRS = sorted({*((start, "none") for start in STARTS), *(("inversion", handover) for handover in HANDOVERS)})


@pytest.mark.parametrize("start, handover", PAIRS)
def test_every_start_and_every_handover(clip, model, moved, start, handover):
    device, there = moved
    settings = {"start": start, "handover": handover}
    wanted, told = run(clip, model, **settings)
    device.clear()
    found, report = run(clip.to(NAME), there, **settings)
    assert found.device.type == NAME
    assert (found.cpu() - wanted).abs().max() < closest(1e-4)
    assert_alike(report.to_dict(), told.to_dict(), closest(1e-4))
    windows = 1 if handover == "fused" else 2
    # Per window: one a step or call of calibration, and up to seven before and after (input, statistics, delivery).
    most = windows * (calls_of(settings) + 7) + 4
    assert len(of_the_passes(device.reads)) <= most, device.table(device.reads)


OPTIONS = {
    "cfg": {"cfg": 3.0},
    "reach and range": {"cfg": 5.0, "guidance_reach": 0.1, "cfg_range": (0.1, 10.0)},
    "fewer steps up": {"inversion_steps": 2},
    "blend": {"noise_blend": 0.2},
    "cache": {"cache": 0.5},
    "anchored": {"anchor_colours": True, "stitch": "flow"},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_the_other_settings(clip, model, moved, options):
    _, there = moved
    clip = clip if "stitch" in options else clip[:9]
    wanted, _ = run(clip, model, **options)
    found, _ = run(clip.to(NAME), there, **options)
    assert (found.cpu() - wanted).abs().max() < closest(1e-4)


def test_frames_and_maps_may_stay_on_the_host(clip, model, moved):
    _, there = moved
    clip = clip[:9]
    maps = {"edge": torch.rand(9, *SIZE, generator=torch.Generator().manual_seed(1))}
    settings = EnhanceSettings(seed=3, steps=STEPS)
    wanted, _ = enhance(clip, model, settings, maps=maps)
    for frames in (clip, clip.to(NAME)):
        found, _ = enhance(frames, there, settings, maps=maps)
        assert found.device == frames.device and (found.cpu() - wanted).abs().max() < closest(1e-4)


@pytest.mark.parametrize("settings, most", [({}, 1), ({"cfg": 3.0}, 1), ({"cache": 0.5}, 2), ({"handover": "mean"}, 1)])
def test_a_network_call_costs_one_read_and_no_upload(clip, moved, settings, most):
    """One more step costs one more call up and one down; what a window costs once falls out of the difference."""
    device, there = moved
    windows = 2 if "handover" in settings else 1
    clip = clip[: 9 if windows == 1 else None]
    reads, uploads = [], []
    for steps in (3, 4):
        device.clear()
        enhance(clip, there, EnhanceSettings(seed=3, steps=steps, start="inversion", **settings))
        reads.append(len(device.reads))
        uploads.append(len(device.uploads))
    calls = 2 * windows
    assert reads[1] - reads[0] <= most * calls, device.table(device.reads)
    assert uploads[1] == uploads[0], device.table(device.uploads)


def test_held_signs_cost_a_step_nothing_more(clip, model, moved):
    device, there = moved
    clip, classes = clip[:9], torch.zeros(9, *SIZE, dtype=torch.uint8)
    classes[:, 8:20, 10:30] = TAG["traffic sign"]
    estimators = Estimators(segmentation=lambda frames: classes[: len(frames)].to(frames.device))
    results, reads, uploads = [], [], []
    for frames, network, steps in ((clip, model, 3), (clip.to(NAME), there, 3), (clip.to(NAME), there, 4)):
        device.clear()
        settings = EnhanceSettings(seed=3, steps=steps, start="inversion", hold_signs=1.0)
        results.append(enhance(frames, network, settings, estimators=estimators)[0].cpu())
        reads.append(len(device.reads))
        uploads.append(len(device.uploads))
    assert (results[1] - results[0]).abs().max() < closest(1e-4)
    assert reads[2] - reads[1] <= 2 and uploads[2] == uploads[1], device.table(device.uploads)
