"""Oracles: scipy's assignment, numpy's medians, scikit-image's SSIM."""

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from skimage.metrics import structural_similarity

from pipeline_core.errors import UserError
from pipeline_core.metrics.agreement import DepthRMSE, MaskIoU, assign
from pipeline_core.metrics.blur import BlurSSIM, uniform_ssim
from pipeline_core.world import make_scene, render_styles


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_uniform_ssim_is_scikit_image_s():
    a, b = (noise(20, 23, 3, seed=s).double() for s in (0, 1))
    b = 0.7 * a + 0.3 * b
    _, expected = structural_similarity(a.numpy(), b.numpy(), data_range=0.9, channel_axis=2, full=True)
    made = uniform_ssim(a.permute(2, 0, 1), b.permute(2, 0, 1), 0.9).permute(1, 2, 0)
    assert np.abs(made.numpy() - expected).max() < 1e-10


def test_blur_ssim_forgives_fine_noise_and_not_a_moved_block():
    clip = torch.full((2, 24, 32, 3), 0.2)
    clip[:, 4:16, 4:16] = torch.tensor([0.9, 0.6, 0.1])
    grain = (clip + 0.05 * (noise(*clip.shape) - 0.5)).clamp(0, 1)

    def score(output, source):
        metric = BlurSSIM()
        for t in range(len(output)):
            metric.update(output[t : t + 1], source[t : t + 1])
        return metric.compute()["blur_ssim"]

    assert score(clip, clip).value == pytest.approx(1, abs=1e-12)
    assert score(grain, clip).value > 0.95 > 0.8 > score(clip.roll(10, 2), clip).value
    assert score(clip, clip * 0 + 0.5).value is None and "flat" in score(clip, clip * 0 + 0.5).note
    assert score(clip[:, :10], clip[:, :10]).value is None


def test_depth_si_rmse_is_numpy_s():
    a, b = 1 + 9 * noise(4, 6, 7), 2 + 20 * noise(4, 6, 7, seed=1)
    a[0, 0], b[1, 2] = 0, torch.inf
    a[3], b[2, 0, 0] = -1, torch.nan
    expected = []
    for x, y in zip(a.double().numpy(), b.double().numpy()):
        valid = (x > 0) & (y > 0) & np.isfinite(y)
        if valid.any():
            expected.append(np.sqrt(np.mean((y[valid] - x[valid] * np.median(y[valid]) / np.median(x[valid])) ** 2)))
    metric = DepthRMSE("m")
    metric.update(a[:3], b[:3])
    metric.update(a[3:], b[3:])
    figure = metric.compute()["depth_si_rmse"]
    assert metric.series["depth_si_rmse"][:3] == pytest.approx(expected, rel=1e-6)
    assert metric.series["depth_si_rmse"][3] is None
    assert figure.value == pytest.approx(np.mean(expected), rel=1e-6)
    assert figure.unit == "m" and "3 of 4 frames" in figure.note


def test_depth_si_rmse_knows_no_scale_and_sees_other_geometry():
    scene = render_styles(make_scene(3), 2, (32, 48))["synthetic"]
    scaled, other = DepthRMSE(), DepthRMSE()
    scaled.update(scene.depth * 3.7, scene.depth)
    other.update(scene.depth.flip(2), scene.depth)
    assert scaled.compute()["depth_si_rmse"].value < 1e-4 < 1 < other.compute()["depth_si_rmse"].value
    nothing = DepthRMSE()
    nothing.update(scene.depth * 0, scene.depth)
    assert nothing.compute()["depth_si_rmse"].value is None
    with pytest.raises(UserError, match="one shape"):
        nothing.update(scene.depth, scene.depth[:1])


@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (3, 6), (7, 2), (5, 5)])
def test_assignment_is_scipy_s(shape):
    for seed in range(8):
        gain = noise(*shape, seed=seed).double().numpy()
        rows, columns = linear_sum_assignment(-gain)
        pairs = assign(gain.tolist())
        assert len(pairs) == min(shape) and len({i for i, _ in pairs}) == len({j for _, j in pairs}) == min(shape)
        assert sum(gain[i, j] for i, j in pairs) == pytest.approx(gain[rows, columns].sum())


def test_mask_miou_by_hand_and_over_chunks():
    source = torch.zeros(3, 8, 10, dtype=torch.int32)
    source[:, :4, :5], source[:, 4:, :] = 2, 7
    output = torch.zeros_like(source)
    output[:, :4, 1:6], output[:, 4:, :5], output[2, 0, 9] = 9, 2, 3  # other names, a shift, a stray pixel
    whole, pieces = MaskIoU(), MaskIoU()
    whole.update(output, source)
    for t in range(3):
        pieces.update(output[t : t + 1], source[t : t + 1])
    figures = whole.compute()
    assert pieces.compute() == figures
    assert figures["mask_miou"].value == pytest.approx((16 / 24 + 20 / 40) / 2) and figures["mask_recall"].value == 1
    for made, value in ((source, 1.0), (source * 0, None)):
        metric = MaskIoU()
        metric.update(made, source)
        assert metric.compute()["mask_miou"].value == value
        assert metric.compute()["mask_recall"].value == (1.0 if value else 0.0)
    empty = MaskIoU()
    empty.update(source, source * 0)
    assert all(f.value is None and "no masks" in f.note for f in empty.compute().values())
    with pytest.raises(UserError, match="integer"):
        empty.update(source.float(), source)
