"""Control maps of frames on a second device, beside buffers and masks that lie on the host."""

from types import SimpleNamespace

import pytest
import torch
from device_under_test import NAME, REAL, assert_near

from pipeline_core.conditions.blur import blur_map
from pipeline_core.conditions.depth import disparity_limits, disparity_map
from pipeline_core.conditions.edges import edge_map
from pipeline_core.conditions.estimated import Estimators
from pipeline_core.conditions.instances import instance_map
from pipeline_core.conditions.maps import given_maps, window_maps
from pipeline_core.conditions.painted import classes_of_colours
from pipeline_core.conditions.segmentation import TAG, current_tags, segmentation_map
from pipeline_core.conditions.stack import masked_weights, normalise_weights
from pipeline_core.conditions.weights import class_mask, class_weights

GENERATOR = torch.Generator().manual_seed(1)
FRAMES = torch.rand(3, 48, 64, 3, generator=GENERATOR)
DEPTH = 1 + 50 * torch.rand(3, 48, 64, generator=GENERATOR)
CLASSES = torch.randint(1, 12, (3, 48, 64), generator=GENERATOR).to(torch.uint8)
NAMES = ("edge", "depth", "segmentation")
LIMITS = disparity_limits([DEPTH])


def buffers():
    """A simulator's, as they are read from files: on the host."""
    return SimpleNamespace(
        channels=("depth", "semantic"),
        frames=3,
        depth=lambda start, stop: DEPTH[start:stop],
        classes=lambda start, stop: CLASSES[start:stop],
    )


def models(place):
    """Networks that answer where their frames are, see Estimators."""
    return Estimators(depth=lambda f: DEPTH.to(f.device), segmentation=lambda f: CLASSES.to(f.device))


@pytest.mark.parametrize("source", ["buffers", "models"])
@pytest.mark.parametrize("coarse_device", [False, True], ids=["device", "without double precision"])
def test_the_maps_of_a_window_lie_where_its_frames_do(source, coarse_device, request):
    request.getfixturevalue("coarse" if coarse_device else "device")
    given = (buffers(), Estimators()) if source == "buffers" else (None, models(NAME))
    wanted = window_maps(NAMES, FRAMES, 0, *given, LIMITS)
    found = window_maps(NAMES, FRAMES.to(NAME), 0, *given, LIMITS)
    for name in NAMES:
        assert found[name].device.type == NAME, name
        assert_near(found[name], wanted[name], 1e-6)


def test_ready_made_maps_lie_where_they_were(device):
    maps = {"edge": (FRAMES[..., 0] > 0.5).float(), "segmentation": FRAMES}
    found = given_maps({name: value.to(NAME) for name, value in maps.items()}, maps, 0, 3, (24, 32))
    for name, wanted in given_maps(maps, maps, 0, 3, (24, 32)).items():
        assert_near(found[name], wanted, 1e-6)


MAKERS = {
    "edges": lambda to: edge_map(to(FRAMES), ignore=to(CLASSES) == TAG["car"]),
    "blur": lambda to: blur_map(to(FRAMES), "very_low"),
    "disparity": lambda to: disparity_map(to(DEPTH), LIMITS),
    "segmentation": lambda to: segmentation_map(to(CLASSES)),
    "tags": lambda to: current_tags(to(CLASSES), "0.9.13"),
    "colours": lambda to: classes_of_colours(segmentation_map(to(CLASSES))),
    "instances": lambda to: instance_map(to(CLASSES)),
    "class mask": lambda to: class_mask(to(CLASSES), "cars and people"),
    "class weights": lambda to: class_weights(to(CLASSES), {"cars": 0.5, "rest": 0.2}),
    "weights": lambda to: normalise_weights({"edge": to(DEPTH), "depth": 0.5})["edge"],
    "masked weights": lambda to: next(masked_weights([1.0], [to(FRAMES[..., 0])], (24, 32)))[0],
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_maps_are_the_cpus(device, make):
    wanted = make(lambda x: x)
    found = make(lambda x: x.to(NAME))
    assert found.device.type == NAME
    assert_near(found, wanted, 1e-6)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_maps_without_double_precision(coarse, make):
    make(lambda x: x.to(NAME))


def test_limits_of_a_clip(device):
    limits = disparity_limits([DEPTH.to(NAME)])
    assert (limits.low, limits.high) == pytest.approx((LIMITS.low, LIMITS.high), rel=1e-6 if REAL else 0)
