"""Oracles: a texture moving by a known flow (the sign!), closed forms, the order of disturbances."""

import pytest
import torch

from pipeline_core.errors import UserError
from pipeline_core.metrics.temporal import FlowError, FrameDifferenceError, warp_back

H, W = 24, 32


def moving(frames=6, dx=1.5, dy=-0.75):
    """A band-limited texture translating by (dx, dy) pixels per frame, with its forward flow."""
    y, x = torch.meshgrid(torch.arange(float(H)), torch.arange(float(W)), indexing="ij")
    clip = []
    for t in range(frames):
        u, v = x - dx * t, y - dy * t
        clip.append(torch.stack([torch.sin(0.5 * u + 0.2 * v), torch.cos(0.4 * v), torch.sin(0.3 * u - 0.4 * v)], -1))
    flow = torch.tensor([dx, dy]).expand(frames, H, W, 2)
    return 0.5 + 0.4 * torch.stack(clip), flow


def run(metric, *clips, chunks=(100,)):
    start = 0
    for size in chunks:
        metric.update(*(c[start : start + size] for c in clips))
        start += size
    return metric.compute()


def test_translating_texture_scores_near_zero_and_the_sign_matters():
    clip, flow = moving()
    along = run(FlowError(), clip, flow)
    against = run(FlowError(), clip, -flow)["warped_error"].value
    still = run(FlowError(), clip, flow * 0)["warped_error"].value
    assert along["warped_error"].value < 0.02 < 0.1 * against
    assert along["warped_error"].value < 0.1 * still
    assert along["flicker"].value < 0.01


def test_whole_pixel_motion_is_exact_where_it_stays_in_view():
    clip = torch.rand(1, H, W, 3, generator=torch.Generator().manual_seed(0)).expand(5, H, W, 3).clone()
    for t in range(5):
        clip[t] = clip[t].roll((2 * t, -3 * t), (0, 1))
    flow = torch.tensor([-3.0, 2.0]).expand(5, H, W, 2)
    assert run(FlowError(), clip, flow)["warped_error"].value < 1e-6
    back, inside = warp_back(clip[1:2], flow[:1])
    assert inside.sum() == (H - 2) * (W - 3)
    assert (back - clip[:1])[inside].abs().max() < 1e-5


def test_disturbances_are_ranked():
    for seed in range(10):
        g = torch.Generator().manual_seed(seed)
        clip, flow = moving(8, dx=0.5 + 0.2 * seed, dy=0.4)
        wavering = clip.mean((1, 2), keepdim=True) + (clip - clip.mean((1, 2), keepdim=True)) * 0.9
        gain = torch.tensor([0.97, 1.03] * 4).view(8, 1, 1, 1)
        noise = 0.15 * torch.randn(clip.shape, generator=g)
        scores = [
            run(FlowError(), clip[:1].expand_as(clip), flow * 0)["warped_error"].value,  # identical frames
            run(FlowError(), wavering, flow)["warped_error"].value,
            run(FlowError(), wavering * gain, flow)["warped_error"].value,
            run(FlowError(), (wavering + noise).clamp(0, 1), flow)["warped_error"].value,
            run(FlowError(), clip[[4, 1, 6, 3, 0, 7, 2, 5]], flow)["warped_error"].value,
        ]
        assert scores[0] < 1e-6 and scores == sorted(scores) and scores[1] * 2 < scores[2], (seed, scores)


def test_flicker_is_the_regional_brightness_jump():
    """A grey clip alternating by 0.1 jumps by 0.1 everywhere; noise of that size averages out; a pan is none."""
    flow = torch.zeros(6, H, W, 2)
    grey = torch.full((6, H, W, 3), 0.5)
    jump = grey + 0.05 * torch.tensor([1.0, -1.0] * 3).view(6, 1, 1, 1)
    assert run(FlowError(), jump, flow)["flicker"].value == pytest.approx(0.1, abs=1e-6)
    half = torch.cat([jump[:, :, : W // 2], grey[:, :, W // 2 :]], 2)
    assert run(FlowError(), half, flow)["flicker"].value == pytest.approx(0.05, abs=1e-6)
    noise = grey + 0.1 * torch.rand(grey.shape, generator=torch.Generator().manual_seed(0))
    figures = run(FlowError(), noise, flow)
    assert figures["flicker"].value < 0.2 * figures["warped_error"].value


def test_covered_points_do_not_count_with_ids():
    """A square passes over a resting textured ground: only what it covers next is left out."""
    g = torch.Generator().manual_seed(1)
    ground, square = torch.rand(H, W, 3, generator=g), torch.rand(8, 8, 3, generator=g)
    clip, flow = ground.repeat(5, 1, 1, 1), torch.zeros(5, H, W, 2)
    ids = torch.zeros(5, H, W, dtype=torch.int32)
    for t in range(5):
        clip[t, 8:16, 4 + 2 * t : 12 + 2 * t], ids[t, 8:16, 4 + 2 * t : 12 + 2 * t] = square, 7
        flow[t, 8:16, 4 + 2 * t : 12 + 2 * t, 0] = 2
    assert run(FlowError(), clip, flow, ids)["warped_error"].value < 1e-6
    assert run(FlowError(), clip, flow)["warped_error"].value > 1e-3


def test_undefined_flow_and_short_clips():
    clip, flow = moving(3)
    broken = flow.clone()
    broken[:, ::2] = torch.nan
    assert run(FlowError(), clip, broken)["warped_error"].value < 0.02
    assert run(FlowError(), clip, broken * torch.nan)["warped_error"].value is None
    for metric, clips in ((FlowError(), (clip, flow)), (FrameDifferenceError(), (clip, clip))):
        for figure in run(metric, *(c[:1] for c in clips)).values():
            assert figure.value is None and "two frames" in figure.note
    with pytest.raises(UserError):
        FlowError().update(clip, flow[:, :-1])


def test_frame_difference_error():
    clip, _ = moving(5)
    g = torch.Generator().manual_seed(2)
    other = (clip + 0.1 * torch.rand(clip.shape, generator=g)).clamp(0, 1)
    figures = run(FrameDifferenceError(), other, clip)
    assert figures["tde"].value == pytest.approx((other.diff(dim=0) - clip.diff(dim=0)).abs().mean().item(), rel=1e-5)
    ratio = (other.diff(dim=0).abs().mean() / clip.diff(dim=0).abs().mean()).item()
    assert figures["motion_ratio"].value == pytest.approx(ratio, rel=1e-5)
    assert run(FrameDifferenceError(), clip * 0.5 + 0.5 * clip[:1], clip)["motion_ratio"].value == pytest.approx(0.5)
    assert run(FrameDifferenceError(), (clip + 0.05).clamp(0, 1), clip)["tde"].value < 1e-6  # an offset is no motion
    still = run(FrameDifferenceError(), clip, clip[:1].expand_as(clip))
    assert still["motion_ratio"].value is None and still["tde"].value > 0


def test_streaming_equals_one_piece():
    clip, flow = moving(7)
    other = clip.roll(1, 1)
    ids = (clip[..., 0] > 0.5).int()
    for metric, clips in ((FlowError, (other, flow, ids)), (FrameDifferenceError, (other, clip))):
        whole, pieces = run(metric(), *clips), run(metric(), *clips, chunks=(1, 3, 1, 2))
        assert {n: f.value for n, f in pieces.items()} == pytest.approx(
            {n: f.value for n, f in whole.items()}, rel=1e-12
        )
