"""What a job's plan reads of the clip beforehand: its frames once, for estimated depth, and nothing otherwise."""

import pytest
import torch

from pipeline_core.conditions.estimated import Estimators
from pipeline_core.errors import UserError
from pipeline_core.job.plan import prepare
from pipeline_core.job.settings import EnhanceSettings
from pipeline_core.models.folders.loading import load_video_model

SIZE = (32, 48)
pytestmark = pytest.mark.usefixtures("without_own_networks")


@pytest.fixture(scope="module")
def model(model_folder):
    return load_video_model(model_folder, precision="fp32")


def brightness_is_nearness(frames):
    """Depth (T, H, W) in metres of frames (T, H, W, 3): 1 over their brightness."""
    return 1 / frames.mean(-1)


def test_estimated_depth_reads_the_clip_once_and_takes_its_scale_from_all_of_it(model):
    calls = []

    def read():
        calls.append(1)
        return (torch.full((*SIZE, 3), level) for level in (0.25, 1.0, 0.5))

    job = prepare(3, SIZE, model, EnhanceSettings(), estimators=Estimators(depth=brightness_is_nearness), read=read)
    assert len(calls) == 1
    assert job.limits == pytest.approx((0.25, 1.0), rel=0.02)


def test_estimated_depth_without_frames_to_read_is_refused_in_a_sentence(model):
    estimators = Estimators(depth=brightness_is_nearness)
    with pytest.raises(UserError, match="give read, or a depth map"):
        prepare(3, SIZE, model, EnhanceSettings(), estimators=estimators)
    nothing = {"controls": {"edge": 1.0, "depth": 0.0}}, {}
    maps = {"depth": torch.zeros(3, *SIZE)}
    for settings, given in zip(nothing, ({}, maps)):  # no depth wanted, or depth given: nothing has to be read
        assert prepare(3, SIZE, model, EnhanceSettings(**settings), estimators=estimators, maps=given).limits is None
