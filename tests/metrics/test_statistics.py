"""Oracles: colorsys, scipy's Wasserstein distance, hues turned and contrasts scaled by known amounts."""

import colorsys

import pytest
import torch
from scipy.stats import wasserstein_distance

from pipeline_core.metrics.frequency import gradient_magnitude
from pipeline_core.metrics.statistics import ColourAndGradient, circular_distance, hue_and_chroma


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def run(output, reference=None, chunk=100):
    metric = ColourAndGradient()
    for part in output.split(chunk):
        metric.update(part)
    for part in () if reference is None else reference.split(chunk):
        metric.update_reference(part)
    return metric.compute()


def painted(hues, saturation=0.8, value=0.9):
    colours = torch.tensor([colorsys.hsv_to_rgb(h % 360 / 360, saturation, value) for h in hues])
    return colours.repeat(2, 4, 1, 1)


def test_hue_is_colorsys_s():
    frames = torch.cat([noise(200, 3), torch.eye(3), torch.full((1, 3), 0.4)])
    hue, chroma = hue_and_chroma(frames)
    for (r, g, b), h, c in zip(frames.tolist(), hue.tolist(), chroma.tolist()):
        assert (h / 360 - colorsys.rgb_to_hsv(r, g, b)[0] + 0.5) % 1 == pytest.approx(0.5, abs=1e-4)
        assert c == pytest.approx(max(r, g, b) - min(r, g, b), abs=1e-6)


def test_turning_all_hues_is_that_angle_also_across_red():
    hues = [200 + 3 * i + 0.5 for i in range(20)]
    for turn in (20, 100, -120):
        figure = run(painted([h + turn for h in hues]), painted(hues))["hue_distance"]
        assert figure.value == pytest.approx(abs(turn), abs=1.0) and figure.unit == "degrees"
    assert run(painted(hues), painted(hues))["hue_distance"].value == 0


def test_circular_distance_is_the_line_s_where_nothing_goes_round():
    a, b = torch.zeros(60), torch.zeros(60)
    a[20:26], b[22:32] = noise(6), noise(10, seed=1)
    bins = torch.arange(60.0)
    expected = wasserstein_distance(bins, bins, a, b) / 60
    assert circular_distance(a, b) == pytest.approx(expected, rel=1e-5)
    assert circular_distance(a.roll(33), b.roll(33)) == pytest.approx(expected, rel=1e-5)


def test_gradient_distance_is_scipy_s_and_scales_with_contrast():
    clip, other = noise(2, 20, 24, 3), 0.3 + 0.5 * noise(2, 20, 24, 3, seed=1)
    expected = wasserstein_distance(gradient_magnitude(other).flatten(), gradient_magnitude(clip).flatten())
    figures = run(other, clip)
    assert figures["gradient_distance"].value == pytest.approx(expected, abs=1.5e-3) and expected > 0.1
    half = run(0.5 * clip, clip)
    assert half["gradient_ratio"].value == pytest.approx(0.5, rel=1e-5)
    assert half["gradient_distance"].value == pytest.approx(0.5 * gradient_magnitude(clip).mean().item(), abs=1.5e-3)
    assert half["chroma_ratio"].value == pytest.approx(0.5, rel=1e-5)


def test_streaming_and_order_do_not_matter():
    clip, other = noise(5, 9, 8, 3), noise(5, 9, 8, 3, seed=1) ** 2
    whole, pieces = run(other, clip), run(other.flip(0), clip, 2)
    for name, figure in whole.items():
        assert pieces[name].value == pytest.approx(figure.value, rel=1e-9)


def test_what_is_undefined_says_why():
    clip, grey = noise(2, 6, 6, 3), noise(2, 6, 6, 1).expand(2, 6, 6, 3)
    alone = run(clip)
    assert alone["chroma"].value > 0 and alone["hue_distance"].value is None
    assert "no reference" in alone["gradient_distance"].note
    bleached = run(grey, clip)
    assert bleached["hue_distance"].value is None and "output" in bleached["hue_distance"].note
    assert bleached["chroma_ratio"].value == 0
    coloured = run(clip, grey)
    assert coloured["chroma_ratio"].value is None and "reference" in coloured["chroma_ratio"].note
    flat = run(clip, clip * 0 + 0.5)
    assert flat["gradient_ratio"].value is None and flat["gradient_distance"].value > 0
    assert ColourAndGradient().compute()["chroma"].value is None
    assert run(clip[:, :1], clip)["gradient_distance"].value is None
