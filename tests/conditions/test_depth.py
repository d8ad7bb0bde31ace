"""Oracles: numpy's quantiles of the whole clip, the disparity formula, a resting point in a changing
scene."""

import numpy as np
import pytest
import torch

from pipeline_core.conditions.depth import (
    FAR_PLANE,
    DisparityLimits,
    depth_limits,
    disparity_limits,
    disparity_map,
    disparity_range,
)
from pipeline_core.errors import UserError


def depth_clip(frames=6, height=20, width=30):
    g = torch.Generator().manual_seed(0)
    depth = 2 + 80 * torch.rand(frames, height, width, generator=g) ** 3
    depth[:, :5] = torch.inf
    depth[:, 5:8, :4] = FAR_PLANE
    return depth


@pytest.mark.parametrize("share", [0.0, 0.005, 0.05])
def test_limits_are_the_quantiles_of_the_clip(share):
    depth = depth_clip()
    solid = 1 / depth[depth < FAR_PLANE].double().numpy()
    low, high = disparity_limits([depth], share)
    assert low == pytest.approx(np.quantile(solid, share), rel=4e-3)
    assert high == pytest.approx(np.quantile(solid, 1 - share), rel=4e-3)


def test_chunking_changes_nothing():
    depth = depth_clip()
    whole = disparity_limits([depth])
    assert disparity_limits(depth.split(1)) == whole == disparity_limits(depth.split([4, 2]))


def test_the_map_is_the_formula():
    depth = torch.tensor([[[5.0, 2.0, 10.0, 4.0, 1.0, 100.0, FAR_PLANE, torch.inf]]])
    values = disparity_map(depth, DisparityLimits(0.1, 0.5))
    assert values.dtype == torch.float32
    assert torch.allclose(values, torch.tensor([[[0.25, 1.0, 0.0, 0.375, 1.0, 0.0, 0.0, 0.0]]]), atol=1e-6)


def test_near_is_one_sky_is_zero_and_order_is_kept():
    depth = depth_clip()
    values = disparity_map(depth, disparity_limits([depth]))
    assert values.min() == 0 and 0.995 < values.max() <= 1
    assert (values[depth >= FAR_PLANE] == 0).all()
    order = depth.flatten().argsort()
    assert (values.flatten()[order].diff() <= 1e-6).all()


def test_a_resting_point_does_not_flicker_when_the_range_changes():
    """Something very near comes into view: a per-frame scale would darken everything else."""
    depth = torch.full((8, 16, 16), 20.0)
    depth[:, 0] = 50.0
    depth[3:5, 8:, :8] = 2.0
    values = disparity_map(depth, disparity_limits(depth.split(2)))
    assert (values[:, 4, 12] == values[0, 4, 12]).all() and 0 < values[0, 4, 12] < 1


def test_degenerate_clips_are_defined():
    wall = torch.full((2, 4, 4), 10.0)
    assert disparity_map(wall, disparity_limits([wall])).min() > 0.99
    sky = torch.full((2, 4, 4), torch.inf)
    assert disparity_limits([sky]) == (0.0, 1.0)
    assert (disparity_map(sky, disparity_limits([sky])) == 0).all()


@pytest.mark.parametrize("sky", [True, False])
def test_min_max_is_the_scale_of_carlas_cosmos_client(sky):
    """1 / depth, least and greatest of the clip, sky at 1000 m (carla_cosmos/controls.py, mode inverse)."""
    depth = depth_clip() if sky else depth_clip()[:, 8:]
    metres = depth.double().clamp(max=1000).numpy()
    inverse = 1 / metres
    expected = (inverse - inverse.min()) / (inverse.max() - inverse.min())
    limits = depth_limits(depth.split(1), "min_max")
    values = disparity_map(depth, limits)
    assert limits == disparity_range([depth])
    assert np.abs(values.numpy() - expected).max() < 1e-6
    assert values.min() == 0 and values.max() == 1


def test_min_max_is_the_releases_scale_of_estimated_disparity():
    """(d - min) / (max - min) over the clip (cosmos_transfer1 depth_anything.py), d the disparity of a network."""
    disparity = 0.01 + 7 * torch.rand(5, 9, 11, generator=torch.Generator().manual_seed(3)).double()
    expected = (disparity - disparity.min()) / (disparity.max() - disparity.min())
    distance = (1 / disparity).float()  # as estimators give it
    values = disparity_map(distance, depth_limits([distance], "min_max"))
    assert float((values - expected).abs().max()) < 1e-5


def test_degenerate_clips_are_defined_on_the_min_max_scale_too():
    wall, sky = torch.full((2, 4, 4), 10.0), torch.full((2, 4, 4), torch.inf)
    assert disparity_map(wall, depth_limits([wall], "min_max")).min() == 1
    assert depth_limits([sky], "min_max") == depth_limits([], "min_max") == (0.0, 1.0)
    with pytest.raises(UserError, match="scale 'log' is unknown: choose one of min_max, quantiles"):
        depth_limits([wall], "log")


@pytest.mark.parametrize("bad", [0.0, -1.0, torch.nan])
def test_bad_depth_is_refused(bad):
    depth = torch.ones(1, 4, 4)
    depth[0, 1, 2] = bad
    with pytest.raises(UserError):
        disparity_limits([depth])
    with pytest.raises(UserError):
        disparity_range([depth])
    with pytest.raises(UserError):
        disparity_map(depth, DisparityLimits(0.0, 1.0))
    with pytest.raises(UserError):
        disparity_map(torch.ones(4, 4), DisparityLimits(0.0, 1.0))
