"""Oracles: scenes whose true depth is known, put on a wrong scale frame by frame as an estimator would."""

import pytest
import torch

from pipeline_core.conditions.depth import FAR_PLANE, disparity_limits, disparity_map
from pipeline_core.conditions.smoothing import align_disparity, smooth_depth
from pipeline_core.errors import UserError


def street(frames=24, near_from=8):
    """Disparity of a resting street; something near comes into view half-way and passes by."""
    rows = torch.linspace(0.02, 0.5, 40)[:, None].expand(40, 60)
    bumps = 0.03 * torch.rand(40, 60, generator=torch.Generator().manual_seed(1))
    clip = (rows + bumps).repeat(frames, 1, 1)
    for t in range(near_from, frames):
        left = 3 * (t - near_from)
        clip[t, 10:30, left : left + 9] = 2.0
    return clip


def estimated(clip, gain=0.2, offset=0.02, noise=0.0, seed=0):
    g = torch.Generator().manual_seed(seed)
    gains = 1 + gain * (2 * torch.rand(len(clip), 1, 1, generator=g) - 1)
    offsets = offset * torch.rand(len(clip), 1, 1, generator=g)
    disparity = gains * clip + offsets + noise * torch.randn(clip.shape, generator=g)
    return 1 / disparity.clamp(min=2 / FAR_PLANE)


def change(depth):
    """Largest relative change from frame to frame of the pixels that nothing passes, on the maps."""
    maps = disparity_map(depth, disparity_limits([depth]))[:, 31:]
    return float((maps[1:] / maps[:-1].clamp(min=1e-3) - 1).abs().amax())


def test_the_fit_finds_gain_and_offset_beside_something_that_moved():
    clip = street()
    gain, offset = align_disparity(clip[0], 1.3 * clip[16] - 0.01)
    assert gain == pytest.approx(1 / 1.3, rel=2e-3) and offset == pytest.approx(0.01 / 1.3, abs=1e-3)
    assert align_disparity(clip[0], torch.full_like(clip[0], 0.3)) == (1.0, 0.0)


def test_a_resting_point_does_not_flicker_though_every_frame_has_a_scale_of_its_own():
    depth = estimated(street())
    assert change(depth) > 0.2
    made = torch.cat(list(smooth_depth(depth.split(5), 3)))
    assert made.shape == depth.shape and change(made) < 0.01


def test_noise_is_averaged_and_what_moves_stays_sharp():
    clip = street()
    depth = estimated(clip, noise=0.003)
    made = 1 / torch.cat(list(smooth_depth([depth], 4)))
    jitter = lambda d: float((d[1:, 31:] - d[:-1, 31:]).abs().mean())  # noqa: E731
    alone = 1 / torch.cat(list(smooth_depth([estimated(clip)], 4)))
    assert jitter(made) < 0.45 * jitter(1 / estimated(clip, gain=0, offset=0, noise=0.003))
    passing = clip > 1
    assert float(alone[passing].min()) > 1.2 and float(alone[8:, 10:30][~passing[8:, 10:30]].max()) < 1.0


def test_errors_do_not_pile_up_over_a_long_clip():
    frames = 400
    depth = estimated(street(1).repeat(frames, 1, 1), gain=0.1, offset=0.0, noise=0.002, seed=3)
    made = 1 / torch.cat(list(smooth_depth([depth], 2)))
    level = made[:, 31:].mean((1, 2)) / street(1)[0, 31:].mean()
    assert 0.85 < float(level.min()) and float(level.max()) < 1.15


def test_order_length_and_sky():
    depth = estimated(street(7))
    depth[:, :4] = FAR_PLANE
    for radius in (1, 3, 9):
        made = list(smooth_depth(depth.split(2), radius))
        assert len(made) == 7 and all(frame.shape == (1, 40, 60) for frame in made)
        assert bool((torch.cat(made)[:, :4] == FAR_PLANE).all())
    assert torch.equal(torch.cat(list(smooth_depth(depth.split(2), 0))), depth)
    ramp = street(12, near_from=99) * torch.linspace(1, 1, 12)[:, None, None]
    assert torch.allclose(1 / torch.cat(list(smooth_depth([1 / ramp], 2))), ramp, rtol=1e-4)
    for radius in (-1, 33):
        with pytest.raises(UserError, match="smoothing"):
            next(smooth_depth([depth], radius))
