"""Noise calibration against the paper's own high-pass form, its fixed point, and the degenerate cases."""

import json
import math

import numpy as np
import pytest
import torch

from pipeline_core.diffusion import FLOW, VE, calibrate_noise, invert, karras_sigmas, sample, truncate
from pipeline_core.diffusion.frequency import low_pass, radial_frequency
from pipeline_core.errors import UserError

SHAPES = [(2, 3, 8, 8), (1, 2, 3, 8, 6), (1, 2, 2, 7, 9)]


def randn(shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def reference_low_pass(x, nu):
    """The published snippet in numpy: fftshift, box crow -/+ int(crow nu) with an open upper end, real
    part."""
    spectrum = np.fft.fftshift(np.fft.fft2(x.numpy()), axes=(-2, -1))
    crow, ccol = x.shape[-2] // 2, x.shape[-1] // 2
    mask = np.zeros(x.shape[-2:])
    mask[crow - int(crow * nu) : crow + int(crow * nu), ccol - int(ccol * nu) : ccol + int(ccol * nu)] = 1
    return torch.from_numpy(np.fft.ifft2(np.fft.ifftshift(spectrum * mask, axes=(-2, -1))).real)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("nu", [0.4, 0.5, 0.8, 1.0])
def test_box_is_the_published_filter(shape, nu):
    x = randn(shape)
    torch.testing.assert_close(low_pass(x, nu, "box"), reference_low_pass(x, nu), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_symmetric_is_a_projection_and_the_box_is_not(shape):
    x = randn(shape)
    for nu in (0.1, 0.3, 0.5, 0.8):
        once = low_pass(x, nu, "symmetric")
        torch.testing.assert_close(low_pass(once, nu, "symmetric"), once, rtol=1e-12, atol=1e-12)
        # low- and high-pass are orthogonal, so their energies add up
        high = x - once
        assert float(once.norm() ** 2 + high.norm() ** 2) == pytest.approx(float(x.norm() ** 2), rel=1e-12)
    torch.testing.assert_close(low_pass(x, 1.0, "symmetric"), x, rtol=1e-12, atol=1e-12)
    box = low_pass(x, 0.5, "box")
    assert float((low_pass(box, 0.5, "box") - box).norm() / box.norm()) > 0.05


def test_filter_keeps_what_it_should():
    """Plane waves of k cycles on 16 pixels: m = int(8 nu); symmetric keeps k <= m, the box halves k = m."""
    i = torch.arange(16, dtype=torch.float64)
    for k in range(8):
        wave = torch.cos(2 * math.pi * k * i / 16).expand(1, 1, 16, 16)
        box, symmetric = (low_pass(wave, 0.5, kind) for kind in ("box", "symmetric"))
        gain = 1.0 if k < 4 else 0.5 if k == 4 else 0.0
        torch.testing.assert_close(box, gain * wave, rtol=0, atol=1e-12)
        torch.testing.assert_close(symmetric, (k <= 4) * wave, rtol=0, atol=1e-12)
    assert float(low_pass(wave + 3, 0.01, "symmetric").sub(3).abs().max()) < 1e-12
    assert radial_frequency(16, 16)[0, 8] == 1 and low_pass(wave.bfloat16(), 0.5).dtype == torch.bfloat16


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("nu, kind", [(0.5, "box"), (0.8, "box"), (1.0, "box"), (0.5, "symmetric")])
def test_rounds_match_the_papers_high_pass_form(gaussian, interpolant, shape, nu, kind):
    """e <- eps + sqrt(a)/sqrt(1-a) (HP(x0_hat) - HP(x_ref)), in the paper's own VP notation and order."""
    x_ref, e, sigma = randn(shape), randn(shape, 1), interpolant.from_ve_sigma(1.3)
    denoise = gaussian.denoiser(interpolant)
    abar = 1 / (1 + 1.3**2)
    filtered = reference_low_pass if kind == "box" else lambda x, n: low_pass(x, n, "symmetric")
    result = calibrate_noise(denoise, x_ref, e, sigma, interpolant, rounds=3, nu=nu, filter=kind)
    for _ in range(3):
        x = math.sqrt(abar) * x_ref + math.sqrt(1 - abar) * e
        x0_hat = denoise(interpolant.from_ve(x / math.sqrt(abar), sigma), sigma)
        eps = (x - math.sqrt(abar) * x0_hat) / math.sqrt(1 - abar)
        high = (x0_hat - filtered(x0_hat, nu)) - (x_ref - filtered(x_ref, nu))
        e = eps + math.sqrt(abar / (1 - abar)) * high
    torch.testing.assert_close(result.noise, e, rtol=1e-12, atol=1e-12)


def test_residual_is_reported_and_reaches_the_fixed_point(gaussian, counting, interpolant):
    x_ref, e, sigma = randn((2, 3, 8, 8)), randn((2, 3, 8, 8), 1), interpolant.from_ve_sigma(0.6)
    d = counting(gaussian.denoiser(interpolant))
    result = calibrate_noise(d, x_ref, e, sigma, interpolant, rounds=60, nu=0.5, filter="symmetric")
    assert len(d.sigmas) == result.report.calls == 61 and set(d.sigmas) == {sigma}
    residuals = result.report.residuals
    assert len(residuals) == 61 and all(b < a or b < 1e-12 for a, b in zip(residuals, residuals[1:]))
    final = gaussian.denoiser(interpolant)(interpolant.add_noise(x_ref, result.noise, sigma), sigma)
    assert float(low_pass(final - x_ref, 0.5, "symmetric").abs().max()) < 1e-10
    first = gaussian.denoiser(interpolant)(interpolant.add_noise(x_ref, e, sigma), sigma)
    gap = low_pass(x_ref - first, 0.5, "symmetric").norm() / low_pass(x_ref, 0.5, "symmetric").norm()
    assert residuals[0] == pytest.approx(float(gap), rel=1e-12)
    # only the band below nu was touched
    assert float(((result.noise - e) - low_pass(result.noise - e, 0.5, "symmetric")).abs().max()) < 1e-12
    json.dumps(result.report.to_dict(), allow_nan=False)


@pytest.mark.parametrize("kind, shape", [("box", (2, 3, 8, 6)), ("symmetric", (2, 3, 7, 9))])
def test_at_nu_one_it_is_fixed_point_inversion_at_one_level(interpolant, kind, shape):
    """Both solve x = a x_ref + sigma eps(x), here for a nonlinear D that is no denoiser of anything."""
    size = shape[1] * shape[2] * shape[3]
    w = randn((size, size), 3) / size

    def denoise(x, sigma):
        y = interpolant.to_ve(x, sigma)
        return 0.5 * y + 0.2 * torch.tanh(y.flatten(1) @ w).reshape(y.shape) + 0.3

    x_ref, sigma = randn(shape), interpolant.from_ve_sigma(1.5)
    result = calibrate_noise(denoise, x_ref, randn(shape, 1), sigma, interpolant, rounds=60, nu=1.0, filter=kind)
    x = interpolant.add_noise(x_ref, result.noise, sigma)
    eps = (x - interpolant.a(sigma) * denoise(x, sigma)) / sigma
    torch.testing.assert_close(result.noise, eps, rtol=1e-12, atol=1e-12)
    grid = torch.tensor([sigma, interpolant.from_ve_sigma(1e-9)], dtype=torch.float64)
    inverted = invert(denoise, x_ref, grid, interpolant, "fixed_point", tolerance=1e-13, max_iterations=99).noise
    torch.testing.assert_close(result.noise, inverted, rtol=1e-6, atol=1e-6)
    one = calibrate_noise(denoise, x_ref, randn(shape, 1), sigma, interpolant, rounds=1, nu=1.0, filter=kind).noise
    x = interpolant.add_noise(x_ref, randn(shape, 1), sigma)
    torch.testing.assert_close(one, (x - interpolant.a(sigma) * denoise(x, sigma)) / sigma, rtol=1e-12, atol=1e-12)


def test_it_pulls_the_result_towards_the_reference(mixture):
    """SDEdit of a latent the model finds unlikely: calibrated noise keeps its low frequencies better."""
    x_ref = mixture.draw(16) + 0.6
    grid = truncate(karras_sigmas(20), 0.6)
    noise = randn(x_ref.shape, 2)
    calibrated = calibrate_noise(mixture.denoiser(), x_ref, noise, float(grid[0]), nu=0.5, rounds=1).noise
    plain, kept = (sample(mixture.denoiser(), n, grid, x0=x_ref) for n in (noise, calibrated))
    error = [float(low_pass(out - x_ref, 0.5).square().mean()) for out in (plain, kept)]
    assert error[1] < 0.8 * error[0]


def test_low_leaves_the_lowest_frequencies_alone(gaussian):
    x_ref, e = randn((1, 2, 16, 16)), randn((1, 2, 16, 16), 1)
    result = calibrate_noise(gaussian.denoiser(), x_ref, e, 1.0, nu=0.75, low=0.25, filter="symmetric")
    change = result.noise - e
    assert float(change.norm()) > 0.1
    assert float(low_pass(change, 0.25, "symmetric").abs().max()) < 1e-12
    assert float((change - low_pass(change, 0.75, "symmetric")).abs().max()) < 1e-12


def test_guard_holds_the_noise_std_and_says_so():
    """D = -x pushes the noise up without end; the guard stops it per sample and leaves quiet samples alone."""

    def denoise(x, sigma):
        return torch.cat([-x[:1], x[1:] * 0 + x_ref[1:]])

    x_ref, e = randn((2, 3, 8, 8)), randn((2, 3, 8, 8), 1)
    free = calibrate_noise(denoise, x_ref, e, 1.0, rounds=4)
    held = calibrate_noise(denoise, x_ref, e, 1.0, rounds=4, max_std=1.05)
    assert float(free.noise[0].std()) > 5 and not free.report.guarded and "residual grew" in free.report.notes[0]
    ratio = held.noise[0].std(correction=0) / e[0].std(correction=0)
    assert float(ratio) == pytest.approx(1.05, rel=1e-9) and held.report.guarded == [0, 1, 2, 3]
    torch.testing.assert_close(held.noise[1], e[1])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_dtypes_purity_and_global_rng(gaussian, counting, interpolant, dtype):
    x_ref, e = randn((1, 2, 3, 4, 4)).to(dtype), randn((1, 2, 3, 4, 4), 1).to(dtype)
    before, state = (x_ref.clone(), e.clone()), torch.random.get_rng_state()
    d = counting(gaussian.denoiser(interpolant))
    result = calibrate_noise(d, x_ref, e, 0.7, interpolant)
    assert result.noise.dtype == dtype and set(d.dtypes) == {dtype} and result.noise.shape == e.shape
    assert torch.equal(before[0], x_ref) and torch.equal(before[1], e)
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize(
    "change, what",
    [
        (dict(nu=0.2), "leaves the box filter empty"),
        (dict(nu=0.9, low=0.2), "leaves the box filter empty"),
        (dict(nu=0.0), "nu is 0"),
        (dict(nu=1.2), "nu is 1.2"),
        (dict(filter="gauss"), "one of box"),
        (dict(rounds=0), "rounds"),
        (dict(sigma=0.0), "sigma is 0"),
        (dict(sigma=1.0, interpolant=FLOW), "below 1"),
        (dict(low=0.9, nu=0.5), "low is 0.9"),
        (dict(nu=float("nan")), "nu is nan"),
        (dict(max_std=0.5), "max_std"),
        (dict(noise=torch.zeros(1, 2, 4, 4)), "have to match"),
        (dict(x_ref=torch.zeros(2, 8), noise=torch.zeros(2, 8)), "is needed"),
        (dict(denoise=lambda x, s: x * float("nan")), "NaN or Inf at step 1 of 4"),
    ],
)
def test_bad_inputs(gaussian, change, what):
    good = {"denoise": gaussian.denoiser(), "x_ref": randn((1, 2, 8, 8)), "noise": randn((1, 2, 8, 8)), "sigma": 0.5}
    with pytest.raises(UserError, match=what):
        calibrate_noise(**{**good, "interpolant": VE, **change})


def test_the_last_residual_is_optional_and_costs_one_call(gaussian):
    x_ref, e = randn((2, 3, 8, 8)), randn((2, 3, 8, 8), 1)
    calls = []

    def denoise(x, sigma):
        calls.append(sigma)
        return gaussian.denoiser(VE)(x, sigma)

    full = calibrate_noise(denoise, x_ref, e, 1.3, rounds=2)
    assert len(calls) == full.report.calls == 3 and len(full.report.residuals) == 3
    calls.clear()
    short = calibrate_noise(denoise, x_ref, e, 1.3, rounds=2, check=False)
    assert len(calls) == short.report.calls == 2 and short.report.residuals == full.report.residuals[:2]
    assert torch.equal(short.noise, full.noise) and short.report.std == full.report.std


def test_under_the_sources_prompt_a_difference_of_look_is_left_alone():
    """A denoiser that shrinks towards its prompt's mean: the published form spends the noise on that mean."""

    def prompt(mean):
        return lambda x, sigma: mean + (x - mean) / (1 + sigma**2)

    layout, sigma = randn((1, 2, 8, 8)), 1.5
    x_ref, e = layout + 3.0, randn((1, 2, 8, 8), 1)
    target, source = prompt(0.0), prompt(3.0)
    published = calibrate_noise(target, x_ref, e, sigma, rounds=1, nu=1.0).noise
    style_free = calibrate_noise(source, x_ref, e, sigma, rounds=1, nu=1.0).noise
    shift = (published - style_free).mean()
    # the looks differ by 3, of which a share sigma^2 / (1 + sigma^2) is missing from D, over sigma
    assert float(shift) == pytest.approx(3.0 * sigma**2 / (1 + sigma**2) / sigma, rel=1e-12)
    same = calibrate_noise(prompt(0.0), layout, e, sigma, rounds=1, nu=1.0).noise
    torch.testing.assert_close(style_free, same, rtol=1e-9, atol=1e-9)
