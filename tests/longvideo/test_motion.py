"""Flow between latent frames against motions with a formula, and against what the world's own frames show."""

import math

import pytest
import torch

from pipeline_core.longvideo.motion import carry_along, latent_flow, tracks
from pipeline_core.metrics.temporal import warp_back
from pipeline_core.world import make_scene, render

T, H, W, RATIO = 13, 48, 64, 4
SIZE = (6, 8)


def panning(dx, dy):
    return torch.tensor([dx, dy], dtype=torch.float32).expand(T, H, W, 2)


def test_a_pan_is_its_own_inverse_in_cells_and_lost_where_the_picture_ends():
    flow = latent_flow(panning(2.0, 0.0), RATIO, SIZE, slice(1, 2))
    assert flow.shape == (4, 1, *SIZE, 2)
    one = 2.0 * RATIO * SIZE[1] / W  # cells per latent frame
    for q in range(4):
        known = ~flow[q, 0].isnan().any(-1)
        expected = torch.tensor([-one * (q - 1), 0.0])
        assert torch.allclose(flow[q, 0][known], expected.expand(int(known.sum()), 2), atol=1e-5)
        assert bool(known[:, 4:].all()) if q > 1 else bool(known[:, :4].all())
    assert bool(flow[3, 0][:, :2].isnan().all()), "16 pixels have come in from the left"
    assert bool(flow[0, 0][:, -1].isnan().all()), "8 pixels have gone"


def test_zooming_follows_the_formula_both_ways():
    """Everything moves away from the centre by 2 % a frame: p -> c + 1.02 (p - c)."""
    y, x = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
    centre = torch.tensor([(W - 1) / 2, (H - 1) / 2])
    away = torch.stack([x, y], -1) - centre
    forward = (0.02 * away).expand(T, H, W, 2)
    gone = list(tracks(forward, 0))[8]
    known = ~gone.isnan().any(-1)
    assert torch.allclose(gone[known], ((1.02**8 - 1) * away)[known], atol=1e-3)
    flow = latent_flow(forward, RATIO, SIZE, slice(1, 2))
    cells = torch.nn.functional.adaptive_avg_pool2d(away.movedim(-1, 0)[None], SIZE)[0].movedim(0, -1) / (W / SIZE[1])
    inner = (slice(1, -1), slice(1, -1))
    assert torch.allclose(flow[3, 0][inner], ((1.02**-8 - 1) * cells)[inner], atol=0.05)
    assert torch.allclose(flow[0, 0][inner], ((1.02**4 - 1) * cells)[inner], atol=0.02)


def test_where_two_things_land_on_one_pixel_the_one_that_moved_is_in_front():
    forward = torch.zeros(T, H, W, 2)
    for t in range(T):  # a part sliding to the right over a still rest
        forward[t, :, 4 * t : 4 * t + 16, 0] = 4.0
    flow = latent_flow(forward, RATIO, SIZE, slice(0, 1))[1, 0]  # 16 pixels later: at columns 16 to 32
    assert torch.allclose(flow[:, 2:4], torch.tensor([-2.0, 0.0]).expand(6, 2, 2), atol=0.3)
    assert torch.allclose(flow[:, 5:], torch.zeros(6, 3, 2), atol=1e-6) and bool(flow[:, :1].isnan().all())


def test_a_residual_follows_the_motion_and_is_averaged_over_the_frames_that_see_it():
    residual = torch.zeros(1, 1, 2, *SIZE, dtype=torch.float64)
    residual[..., 3, 3] = torch.tensor([1.0, 3.0], dtype=torch.float64)
    flow = torch.zeros(3, 2, *SIZE, 2)
    flow[1, :, :, :, 0] = -2.0  # frame 1 sees at column x what the shared frames have at x - 2
    flow[2, 1] = torch.nan
    moved = carry_along(residual, flow)
    assert moved.shape == (1, 1, 3, *SIZE)
    assert float(moved[0, 0, 0, 3, 3]) == 2.0 and float(moved[0, 0, 1, 3, 5]) == 2.0
    assert float(moved[0, 0, 2, 3, 3]) == 1.0 and float(moved.abs().sum()) == 5.0


def reference_correction(residual, flow):
    """InsV2V's motion-compensated correction, pixel by pixel: zeros around the picture, shares kept, 0.5 the threshold.

    residual (R, h, w), flow (R, h, w, 2): sum_r bilinear(residual_r) / sum_r bilinear(1) where the latter is above 0.5.
    """
    R, h, w = residual.shape
    total, seen = torch.zeros(2, h, w, dtype=torch.float64)
    for r in range(R):
        for y in range(h):
            for x in range(w):
                u, v = (float(part) for part in flow[r, y, x])
                if u != u or v != v:
                    continue
                left, top = math.floor(x + u), math.floor(y + v)
                for column in (left, left + 1):
                    for row in (top, top + 1):
                        share = (1 - abs(x + u - column)) * (1 - abs(y + v - row))
                        if 0 <= column < w and 0 <= row < h:
                            total[y, x] += share * residual[r, row, column]
                            seen[y, x] += share
    return torch.where(seen > 0.5, total / seen.clamp_min(0.5), 0.0)


@pytest.mark.parametrize("motion", ["pan", "zoom", "rough"])
def test_a_correction_is_that_of_a_zero_padded_reference(motion):
    """Half a cell over the edge counts half, as grid_sample with zeros has it, and not as nothing."""
    g = torch.Generator().manual_seed(0)
    residual = torch.randn(1, 2, 2, *SIZE, generator=g, dtype=torch.float64)
    y, x = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
    flow = {
        "pan": torch.tensor([0.3, -0.2]).expand(3, 2, *SIZE, 2),
        "zoom": 0.15 * torch.stack([x - 3.5, y - 2.5], -1).expand(3, 2, *SIZE, 2),
        "rough": 2 * torch.randn(3, 2, *SIZE, 2, generator=g),
    }[motion].clone()
    flow[2, 1, :2] = torch.nan
    flow[1, 0] = flow[1, 1] = torch.tensor([-0.4, 0.45])  # the corner is seen to .6 x .55
    ours = carry_along(residual, flow)
    for t in range(3):
        for c in range(2):
            expected = reference_correction(residual[0, c], flow[t].double())
            assert torch.allclose(ours[0, c, t], expected, atol=1e-5)
            if motion != "rough":  # the same by grid_sample, which is what the paper's code calls
                assert torch.allclose(ours[0, c, t], sampled_correction(residual[0, c], flow[t]), atol=1e-5)


def sampled_correction(residual, flow):
    h, w = SIZE
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    where = 2 * (torch.stack([x, y], -1) + flow) / torch.tensor([w - 1, h - 1]) - 1
    where = where.double().nan_to_num(-9.0)  # far outside: nothing is seen
    planes = torch.stack([residual, torch.ones_like(residual)], 1)
    fetched = torch.nn.functional.grid_sample(planes, where, padding_mode="zeros", align_corners=True)
    total, seen = fetched.sum(0)
    return torch.where(seen > 0.5, total / seen.clamp_min(0.5), 0.0)


@pytest.mark.parametrize("seed", [800_002, 800_004])
def test_true_flow_fetches_what_the_world_shows(seed):
    """A shared frame seen along the flow is nearer to the later frame than seen in place."""
    clip = render(make_scene(seed), 9, (48, 80))
    size = (12, 20)
    flow = latent_flow(clip.flow, RATIO, size, slice(0, 1))
    small = torch.nn.functional.adaptive_avg_pool2d(clip.rgb.movedim(-1, 1), size)[::RATIO].movedim(1, -1)
    fetched, seen = warp_back(small[:1], flow[2, :1])
    along, still = ((a[0][seen[0]] - small[2][seen[0]]).square().mean() for a in (fetched, small[:1]))
    assert float(seen.float().mean()) > 0.6 and float(along) < 0.7 * float(still)
