"""Noise edits: variances known in closed form, states known exactly."""

import pytest
import torch

from pipeline_core.diffusion import (
    FLOW,
    VE,
    blend_noise,
    flow_from_ve,
    fresh_noise,
    invert,
    karras_sigmas,
    renoise_low_sigmas,
    restore_high_frequencies,
    sample,
)
from pipeline_core.diffusion.frequency import low_pass
from pipeline_core.errors import UserError

BIG = torch.zeros(1, 4, 8, 32, 32)


def test_fresh_noise_depends_on_the_seed_alone():
    state = torch.random.get_rng_state()
    a = fresh_noise(BIG, 3)
    torch.manual_seed(99)
    assert torch.equal(a, fresh_noise(BIG, 3)) and not torch.equal(a, fresh_noise(BIG, 4))
    torch.random.set_rng_state(state)
    fresh_noise(BIG, 3)
    assert torch.equal(state, torch.random.get_rng_state())
    assert fresh_noise(BIG.bfloat16(), 3).dtype == torch.float32 and abs(float(a.std()) - 1) < 0.02


@pytest.mark.parametrize("std", [0.7, 1.0, 1.2])
def test_blend_has_the_stated_variance(std):
    structured, fresh = std * fresh_noise(BIG, 0), fresh_noise(BIG, 1)
    for share in (0.0, 0.3, 0.8, 1.0):
        variance = float(blend_noise(structured, fresh, share).var())
        assert variance == pytest.approx((1 - share) * std**2 + share, rel=0.03)
    assert torch.equal(blend_noise(structured, fresh, 0.0), structured)
    assert torch.equal(blend_noise(structured, fresh, 1.0), fresh)
    with pytest.raises(UserError, match="share"):
        blend_noise(structured, fresh, 1.1)
    with pytest.raises(UserError, match="change fresh"):
        blend_noise(structured, fresh[:, :2], 0.5)


def test_renoised_latent_is_the_noisy_state(mixture, interpolant):
    x0 = mixture.draw(4)
    fresh = fresh_noise(x0, 0)
    whole = karras_sigmas(20) if interpolant is VE else flow_from_ve(karras_sigmas(20))
    level = interpolant.from_ve_sigma(0.3)
    noisy, grid = renoise_low_sigmas(x0, fresh, whole, level, interpolant)
    at = float(grid[-1])
    assert at == min(s for s in whole.tolist() if s >= level) and torch.equal(grid, whole[: len(grid)])
    # `invert` starts from the state a x0' at the last sigma: x0 with the fresh noise, nothing else
    expected = interpolant.add_noise(x0, fresh, at)
    torch.testing.assert_close(interpolant.a(at) * noisy, expected)
    inversion = invert(mixture.denoiser(interpolant), noisy, grid, interpolant, round_trip=True)
    assert inversion.report.round_trip < 1e-10
    # and it samples on over the whole grid, near x0 as the noise only covered its details
    back = sample(mixture.denoiser(interpolant), inversion.noise, whole, interpolant, solver=inversion.solver)
    assert 1e-3 < float((back - x0).norm() / x0.norm()) < 0.5
    with pytest.raises(UserError, match="lower level"):
        renoise_low_sigmas(x0, fresh, whole, float(whole[0]), interpolant)


def test_restored_noise_is_white_above_the_cut_and_untouched_below():
    white = fresh_noise(BIG.double(), 0)
    dull = low_pass(white, 0.5, "symmetric")
    fresh = fresh_noise(BIG.double(), 1)
    full = restore_high_frequencies(dull, fresh, above=0.5)
    assert abs(float(full.var()) - 1) < 0.03 < abs(float(dull.var()) - 1)
    power = torch.fft.fft2(full, norm="ortho").abs().square().mean((0, 1, 2))
    radius = torch.hypot(*torch.meshgrid(*[2 * torch.fft.fftfreq(32)] * 2, indexing="ij"))
    for low in (0.0, 0.5, 0.75, 1.0):
        ring = power[(radius > low) & (radius <= low + 0.25)]
        assert float(ring.mean()) == pytest.approx(1, abs=0.1)
    change = torch.fft.fft2(full - dull, norm="ortho").abs()
    assert float(change[..., radius <= 0.5].max()) < 1e-12
    # white noise has nothing to restore, a frame-less latent works too
    assert float((restore_high_frequencies(white, fresh) - white).square().mean()) < 0.02
    assert restore_high_frequencies(dull[:, :, 0].float(), fresh[:, :, 0]).shape == (1, 4, 32, 32)


def test_edits_do_not_touch_their_inputs():
    a, b = fresh_noise(BIG, 0), fresh_noise(BIG, 1)
    copies = a.clone(), b.clone()
    blend_noise(a, b, 0.5)
    restore_high_frequencies(a, b)
    renoise_low_sigmas(a, b, flow_from_ve(karras_sigmas(8)), 0.3, FLOW)
    assert torch.equal(a, copies[0]) and torch.equal(b, copies[1])
    for bad in (dict(above=1.0), dict(bands=0), dict(noise=a[0, 0], fresh=b[0, 0])):
        with pytest.raises(UserError):
            restore_high_frequencies(**{"noise": a, "fresh": b, **bad})
