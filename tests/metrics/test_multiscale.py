"""Oracles: MS-SSIM written with scipy's Gaussian filter and numpy; spatial frequency of waves in closed form."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from pipeline_core.metrics import fidelity
from pipeline_core.metrics.fidelity import MS_WEIGHTS, SSIM, ssim_means
from pipeline_core.metrics.frequency import SpatialFrequency, gradient_magnitude, spatial_frequency


def pair(height=180, width=203, frames=2):
    g = torch.Generator().manual_seed(0)
    clip = torch.rand(frames, 3, 9, 9, generator=g)
    clip = torch.nn.functional.interpolate(clip, (height, width), mode="bicubic").permute(0, 2, 3, 1).clamp(0, 1)
    clip[:, :70, :80] = 0.9
    return (clip * 0.9 + 0.02 + 0.05 * torch.randn(clip.shape, generator=g)).clamp(0, 1), clip.contiguous()


def by_scipy(a, b):
    def smooth(v):
        return gaussian_filter(v, 1.5, truncate=3.5)[5:-5, 5:-5]

    value = 1.0
    for scale, weight in enumerate(MS_WEIGHTS):
        ma, mb = smooth(a), smooth(b)
        va, vb, vab = smooth(a * a) - ma**2, smooth(b * b) - mb**2, smooth(a * b) - ma * mb
        term = (2 * vab + 9e-4) / (va + vb + 9e-4)
        if scale == 4:
            term = term * (2 * ma * mb + 1e-4) / (ma**2 + mb**2 + 1e-4)
        value *= term.mean() ** weight
        h, w = (n // 2 * 2 for n in a.shape)
        a, b = (v[:h, :w].reshape(h // 2, 2, w // 2, 2).mean((1, 3)) for v in (a, b))
    return value


def test_ms_ssim_is_the_paper_s():
    output, clip = pair()
    metric = SSIM()
    for i in (0, 1):
        metric.update(output[i : i + 1], clip[i : i + 1])
    a, b = output.double().numpy(), clip.double().numpy()
    expected = [np.mean([by_scipy(a[t, ..., c], b[t, ..., c]) for c in range(3)]) for t in range(2)]
    assert metric.series["ms_ssim"] == pytest.approx(expected, abs=1e-5) and 0.3 < expected[0] < 0.99
    assert metric.compute()["ms_ssim"].value == pytest.approx(np.mean(expected), abs=1e-5)


@pytest.mark.parametrize("rows", [4, 12, 64, 128])
def test_strips_of_any_height_give_the_same_means(monkeypatch, rows):
    """Strips with a short last one, and one strip that is taller than the picture."""
    x, y = (clip[0].permute(2, 0, 1) for clip in pair(75, 61))
    whole = ssim_means(x.double(), y.double())
    monkeypatch.setattr(fidelity, "_ROWS", rows)
    for made, expected in zip(ssim_means(x, y), whole):
        assert torch.allclose(made, expected, atol=1e-6) and made.shape == (3,) and expected.std() > 1e-3


def test_ms_ssim_of_equal_and_opposite_and_small_clips():
    _, clip = pair(frames=1)
    for other, value in ((clip, 1.0), (1 - clip, 0.0)):
        metric = SSIM()
        metric.update(other, clip)
        assert metric.compute()["ms_ssim"].value == pytest.approx(value, abs=1e-5)
    metric = SSIM()
    metric.update(clip[:, :175], clip[:, :175])
    figure = metric.compute()["ms_ssim"]
    assert figure.value is None and "176" in figure.note
    assert SSIM().compute()["ms_ssim"].note == "no frames"


def test_spatial_frequency_of_a_wave_in_closed_form():
    """A cos(w x) has neighbour differences -2 A sin(w / 2) sin(...), of mean square 2 A^2 sin^2(w / 2)."""
    x = torch.arange(65.0, dtype=torch.float64)
    for axis in (1, 2):
        wave = 0.5 + 0.3 * torch.cos(2 * torch.pi * 4 * x / 64)
        clip = wave.view(-1, 1) if axis == 1 else wave.view(1, -1)
        clip = clip.expand(65, 65)[None, ..., None].repeat(2, 1, 1, 3)
        expected = 2**0.5 * 0.3 * np.sin(np.pi * 4 / 64)
        assert spatial_frequency(clip).tolist() == pytest.approx([expected] * 2, rel=1e-5)


def test_d_sf_is_signed_and_streams():
    output, clip = pair(40, 50, 5)
    whole, pieces = SpatialFrequency(), SpatialFrequency()
    whole.update(output, clip)
    for start, stop in ((0, 2), (2, 3), (3, 5)):
        pieces.update(output[start:stop], clip[start:stop])
    values = [{name: figure.value for name, figure in metric.compute().items()} for metric in (pieces, whole)]
    assert values[0] == pytest.approx(values[1], rel=8 * torch.finfo(torch.float32).eps)
    more = whole.compute()["d_sf"].value
    back = SpatialFrequency()
    back.update(clip, output)
    assert more > 0.01 and back.compute()["d_sf"].value == pytest.approx(-more)
    thin = SpatialFrequency()
    thin.update(clip[:, :1], clip[:, :1])
    assert thin.compute()["d_sf"].value is None and "one pixel" in thin.compute()["d_sf"].note


def test_gradient_of_a_plane():
    y, x = torch.meshgrid(torch.arange(6.0), torch.arange(7.0), indexing="ij")
    plane = (0.03 * x + 0.04 * y)[None, ..., None].repeat(1, 1, 1, 3)
    assert torch.allclose(gradient_magnitude(plane), torch.full((1, 5, 6), 0.05), atol=1e-6)
