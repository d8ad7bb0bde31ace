"""Inversion against the analytic mixture: round trip, and the state against a fine ODE solution."""

import json
import math

import pytest
import torch

from pipeline_core.diffusion import (
    FLOW,
    VE,
    flow_from_ve,
    flow_sigmas,
    invert,
    karras_sigmas,
    log_sigmas,
    sample,
    truncate,
)
from pipeline_core.diffusion.inversion.exact import Form, best_form, gains
from pipeline_core.diffusion.inversion.report import noise_statistics, relative_error
from pipeline_core.diffusion.inversion.retrace import Retrace
from pipeline_core.errors import UserError

METHODS = ["exact", "euler", "heun", "midpoint", "fixed_point"]


def karras(interpolant, steps, low=0.02, high=80.0):
    ve = karras_sigmas(steps, low, high)
    return ve if interpolant is VE else flow_from_ve(ve)


def round_trip(mixture, x0, grid, interpolant, method, cfg=1.0, **kwargs):
    d = mixture.denoiser(interpolant, cfg)
    inversion = invert(d, x0, grid, interpolant, method, **kwargs)
    back = sample(d, inversion.noise, grid, interpolant, solver=inversion.solver, **kwargs)
    return inversion, relative_error(back, x0)


@pytest.fixture(scope="module")
def fine(mixture):
    """The inverted noise by a fourth-order reference: 600 Heun steps, Richardson-free but 1e-4 accurate."""
    x0 = mixture.draw(32)
    return x0, invert(mixture.denoiser(VE), x0, karras_sigmas(600), VE, "heun").noise


@pytest.mark.parametrize("state_dtype, bound", [(torch.float64, 1e-10), (torch.float32, 1e-6)])
def test_exact_is_exact_white_and_on_the_ode(mixture, counting, fine, interpolant, state_dtype, bound):
    x0, reference = fine
    grid = karras(interpolant, 35)
    d = counting(mixture.denoiser(interpolant))
    inversion = invert(d, x0.to(state_dtype), grid, interpolant, state_dtype=state_dtype)
    assert len(d.sigmas) == inversion.report.calls == 35
    back = sample(d, inversion.noise, grid, interpolant, solver=inversion.solver, state_dtype=state_dtype)
    assert len(d.sigmas) - 35 == inversion.report.calls_back == 34
    assert relative_error(back, x0) <= bound
    assert inversion.noise.shape == x0.shape and inversion.noise.dtype == state_dtype
    assert abs(float(inversion.noise.std()) - 1) < 0.05
    assert relative_error(inversion.noise, reference) < 0.05


@pytest.mark.parametrize("cfg", [1.0, 4.0])
@pytest.mark.parametrize(
    "grid",
    [flow_sigmas(20), flow_sigmas(20, 5.0), flow_from_ve(log_sigmas(20))]
    + [flow_sigmas(20, shift, power=2) for shift in (3.0, 8.0, 16.0)],
)
def test_exact_on_flow_grids(mixture, grid, cfg):
    """In VE form a flow grid round-trips as well, with a noise of std 2 to 20: only the ODE solution shows
    it."""
    x0 = mixture.draw(8)
    inversion, error = round_trip(mixture, x0, grid, FLOW, "exact", cfg)
    ratio = [FLOW.ve_sigma(float(s)) for s in (grid[-1], grid[0])]
    reference = invert(mixture.denoiser(VE, cfg), x0, log_sigmas(400, *ratio), VE, "heun").noise
    assert error < 1e-10
    assert relative_error(inversion.noise, reference) < (0.1 if cfg == 1.0 else 0.5)  # VE form: 1.5 and more
    assert float(inversion.noise.std() / reference.std()) == pytest.approx(1, abs=0.1)


def test_exact_walks_each_grid_in_a_variable_where_it_is_stable():
    """u = sigma / (a + w sigma). Equal steps (w = 1 / shift) have no gain either way: |y| runs from 1 to shift."""
    for shift in (1.0, 3.0, 5.0):
        grid = flow_sigmas(20, shift).tolist()
        assert math.prod(gains(grid, Form(FLOW, 1 / shift))) < 1.1 * 2 * shift
        up, down = gains(grid, best_form(grid, FLOW))
        assert 5 < up < 60 and down < 1.1 and 0 < best_form(grid, FLOW).w < 1 / shift
        assert gains(grid, Form(FLOW, 0.0))[0] > 500
    for grid in (karras_sigmas(20), log_sigmas(35), flow_from_ve(log_sigmas(35))):
        own = FLOW if grid[0] < 1 else VE
        assert (
            math.prod(gains(grid.tolist(), best_form(grid.tolist(), own)))
            < 0.5 * gains(grid.tolist(), Form(own, 0.0))[0]
        )


@pytest.mark.parametrize(
    "grid",
    [flow_sigmas(20), flow_sigmas(35), flow_sigmas(35, 5.0), flow_from_ve(karras_sigmas(20))]
    + [flow_sigmas(20, shift, power=2) for shift in (3.0, 8.0, 16.0)],
)
def test_retracing_under_another_prompt_follows_its_ode(mixture, grid):
    """What the enhancement does: the noise comes from one density, the sampling goes to another."""
    x0, other = mixture.draw(32), mixture.denoiser(FLOW, 1.7)
    inversion = invert(mixture.denoiser(FLOW), x0, grid, FLOW)
    ratio = [FLOW.ve_sigma(float(s)) for s in (grid[-1], grid[0])]
    fine = flow_from_ve(log_sigmas(400, *ratio))
    reference = sample(other, inversion.noise, fine, FLOW, x0=x0, solver="heun")
    out = sample(other, inversion.noise, grid, FLOW, solver=inversion.solver)
    errors = (out - reference).flatten(1).norm(dim=1) / reference.flatten(1).norm(dim=1)
    assert float(errors.median()) < 0.02
    assert float((reference - x0).norm() / x0.norm()) > 0.02  # the other density is another one


def test_exact_holds_for_any_denoiser_and_network_precision():
    """The algebra does not ask D to be a denoiser: a random nonlinear map in bfloat16 does as well."""
    g = torch.Generator().manual_seed(0)
    w = torch.randn(24, 24, generator=g) / 5

    def denoise(x, sigma):
        return torch.tanh(x.flatten(1) @ w.to(x) / (1 + sigma)).reshape(x.shape)

    x0 = torch.randn(2, 2, 3, 2, 2, generator=g).bfloat16()
    inversion = invert(denoise, x0, karras_sigmas(20), round_trip=True)
    assert inversion.report.round_trip < 1e-12 and inversion.noise.dtype == torch.float64
    assert sample(denoise, inversion.noise, karras_sigmas(20), solver=inversion.solver).dtype == torch.bfloat16


@pytest.mark.parametrize("steps", [10, 20, 35, 50])
@pytest.mark.parametrize("cfg", [1.0, 4.0])
def test_fixed_point_is_never_worse_than_euler_and_says_when_it_failed(mixture, steps, cfg):
    x0, grid = mixture.draw(16), karras_sigmas(steps)
    _, euler = round_trip(mixture, x0, grid, VE, "euler", cfg)
    inversion, error = round_trip(mixture, x0, grid, VE, "fixed_point", cfg)
    report = inversion.report
    assert error < euler
    assert len(report.residuals) == len(report.converged) == steps
    assert all(c == (r <= 1e-6) for c, r in zip(report.converged, report.residuals))
    assert report.calls <= 1 + 12 * steps
    if cfg == 1.0 and steps >= 35:
        assert all(report.converged) and error < 2e-5 and not report.notes
    if not all(report.converged):
        assert "did not converge" in report.notes[0]
    assert (cfg, all(report.converged)) != (4.0, True)  # the oracle is hard enough to make it fail


def test_fixed_point_step_keeps_euler_where_nothing_contracts():
    """D = -40 x at one level: slope of S is far below -1, no iterate may replace Euler's unless it is
    better."""

    def denoise(x, sigma):
        return -40 * torch.sign(x) * x.abs().sqrt()

    x0 = torch.full((1, 4), 0.5, dtype=torch.float64)
    grid = torch.tensor([8.0, 1.0])
    d = denoise
    euler = invert(d, x0, grid, method="euler", round_trip=True).report.round_trip
    fixed = invert(d, x0, grid, method="fixed_point", round_trip=True, max_iterations=3).report
    assert fixed.round_trip <= euler and not fixed.converged[0]


def test_second_order_methods_beat_euler_at_equal_calls(mixture, interpolant):
    x0 = mixture.draw(16)
    euler = round_trip(mixture, x0, karras(interpolant, 40), interpolant, "euler")[1]
    for method in ("heun", "midpoint"):
        assert round_trip(mixture, x0, karras(interpolant, 20), interpolant, method)[1] < 0.3 * euler


def test_euler_residual_is_the_one_step_round_trip(mixture):
    x0, grid = mixture.draw(4), karras_sigmas(6)
    report = invert(mixture.denoiser(), x0, grid, method="euler").report
    d, low, high = mixture.denoiser(), float(grid[-1]), float(grid[-2])
    y = x0 + (high - low) * (x0 - d(x0, low)) / low
    back = y + (low - high) * (y - d(y, high)) / high
    expected = float(((back - x0).flatten(1).norm(dim=1) / x0.flatten(1).norm(dim=1)).max())
    assert report.residuals[0] == pytest.approx(expected, rel=1e-9) and len(report.residuals) == 5


@pytest.mark.parametrize("method", METHODS)
def test_one_grid_both_ways_and_noise_is_relative_to_the_latent(mixture, counting, interpolant, method):
    x0, grid = mixture.draw(3), karras(interpolant, 8, high=8.0)
    d = counting(mixture.denoiser(interpolant))
    inversion = invert(d, x0, torch.cat([grid, torch.zeros(1)]), interpolant, method, round_trip=True)
    assert min(d.sigmas) == float(grid[-1]) or method == "exact" and min(d.sigmas) >= float(grid[-1])
    assert "trailing 0" in inversion.report.notes[0]
    explicit = sample(d, inversion.noise, grid, interpolant, x0=x0, solver=inversion.solver)
    implied = sample(d, inversion.noise, grid, interpolant, solver=inversion.solver)
    assert torch.equal(explicit, implied)
    assert inversion.report.round_trip == pytest.approx(relative_error(explicit, x0), rel=1e-6, abs=1e-15)
    json.dumps(inversion.report.to_dict(), allow_nan=False)


@pytest.mark.parametrize("method", METHODS)
def test_partial_inversion_stops_at_the_strength(mixture, interpolant, method):
    x0 = mixture.draw(8)
    grid = truncate(karras(interpolant, 30), 0.7, interpolant)
    inversion, error = round_trip(mixture, x0, grid, interpolant, method)
    assert interpolant.ve_sigma(inversion.report.sigma_max) == pytest.approx(0.7 / 0.3)
    assert error < {"exact": 1e-12, "fixed_point": 1e-5, "euler": 0.1}.get(method, 2e-3)


def test_retracing_part_of_the_grid_passes_through_the_states_of_the_whole_way_back(mixture, interpolant):
    """What SplitSigmas asks for: the part has to be walked in the inversion's own form, not in one of its own."""
    g = torch.Generator().manual_seed(0)
    w = torch.randn(64, 64, generator=g, dtype=torch.float64) / 16

    def nonlinear(x, sigma):
        return torch.tanh(x.flatten(1) @ w / (1 + sigma)).reshape(x.shape)

    x0 = mixture.draw(3).reshape(3, 4, 4, 4)
    grids = [karras(interpolant, 20)] + [flow_sigmas(20, shift) for shift in (1.0, 5.0) if interpolant is FLOW]
    for grid in grids:
        for denoise in (lambda x, sigma: 0.3 * x, nonlinear, mixture.denoiser(interpolant)):
            states = {}
            inversion = invert(denoise, x0, grid, interpolant)

            def watched(x, sigma, denoise=denoise, states=states):
                states[sigma] = x
                return denoise(x, sigma)

            sample(watched, inversion.noise, grid, interpolant, solver=inversion.solver)
            for steps in (2, 5, 10, 15):
                part = grid[: steps + 1]
                low = float(part[-1])
                stopped = sample(denoise, inversion.noise, part, interpolant, solver=inversion.solver)
                assert relative_error(stopped * interpolant.a(low), states[low]) <= 1e-12


def test_edited_noise_still_retraces_smoothly(mixture):
    """A small change of the noise changes the result a little: the carried state follows the noise."""
    x0, grid = mixture.draw(4), karras_sigmas(20)
    inversion = invert(mixture.denoiser(), x0, grid)
    push = torch.randn(x0.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    moved = sample(mixture.denoiser(), inversion.noise + 1e-4 * push, grid, solver=inversion.solver)
    plain = sample(mixture.denoiser(), inversion.noise + 1e-4 * push, grid, x0=x0, solver="res_2ab")
    assert 1e-7 < relative_error(moved, x0) < 1e-3
    assert relative_error(plain, x0) < 0.2


def test_storage_keeps_exactness_in_float32_and_is_refused_below(mixture):
    x0, grid = mixture.draw(4).float(), karras_sigmas(20)
    d = mixture.denoiser()
    inversion = invert(d, x0, grid)
    stored = {k: v.clone() if k == "sigmas" else v.float() for k, v in inversion.solver.to_tensors().items()}
    loaded = Retrace.from_tensors(stored, "exact", "VE")
    assert relative_error(sample(d, inversion.noise.float(), grid.float(), solver=loaded), x0) < 2e-6
    with pytest.raises(UserError, match="lost its second state"):
        Retrace.from_tensors({k: v for k, v in stored.items() if k != "carried"}, "exact", "VE")
    with pytest.raises(UserError, match="bfloat16"):
        Retrace.from_tensors({**stored, "carried": stored["carried"].bfloat16()}, "exact", "VE")
    with pytest.raises(UserError, match="noise of an exact inversion came as bfloat16"):
        sample(d, inversion.noise.bfloat16(), grid, solver=inversion.solver)
    with pytest.raises(UserError, match="same sigmas"):
        sample(d, inversion.noise, karras_sigmas(21), solver=inversion.solver)
    with pytest.raises(UserError, match="same interpolant"):
        sample(d, inversion.noise, flow_sigmas(20), FLOW, solver=inversion.solver)


def test_exact_refuses_grids_it_cannot_take(mixture):
    x0, d = mixture.draw(2), mixture.denoiser()
    for grid, interpolant, what in [
        (torch.linspace(80, 0.02, 36), VE, "wider than the latent's own spread"),
        (torch.tensor([10.0, 9.9, 8.0, 1.0, 0.1]), VE, "amplify rounding"),
        (torch.tensor([10.0, 0.02]), VE, "at least 2 steps"),
    ]:
        with pytest.raises(UserError, match=what):
            invert(d, x0, grid, interpolant)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_takes_flow_sigma_one(mixture, method):
    def denoise(x, s):
        if s == 1.0:
            return mixture.means[:4].mean(0).reshape(1, 4, 4, 4).expand_as(x).to(x)
        return mixture.denoiser(FLOW)(x, s)

    x0 = mixture.draw(4)
    inversion = invert(denoise, x0, flow_sigmas(30, sigma_max=1.0), FLOW, method, round_trip=True)
    assert torch.isfinite(inversion.noise).all() and inversion.report.round_trip < 0.3
    assert 0.8 < float(inversion.noise.std()) < 1.2


@pytest.mark.parametrize("method", METHODS)
def test_a_nan_names_the_step(mixture, method):
    def denoise(x, sigma):
        return mixture.denoiser()(x, sigma) * (float("nan") if sigma > 1 else 1.0)

    with pytest.raises(UserError, match=r"NaN or Inf at step \d+ of 12 \(sigma \d"):
        invert(denoise, mixture.draw(2), karras_sigmas(12), method=method)


@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (1, 2, 3, 4, 5), (3, 8)])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_shapes_dtypes_and_purity(gaussian, counting, interpolant, shape, dtype):
    x0 = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    before, state = x0.clone(), torch.random.get_rng_state()
    for method in METHODS:
        d, steps = counting(gaussian.denoiser(interpolant)), []
        inversion = invert(
            d,
            x0,
            karras(interpolant, 5),
            interpolant,
            method,
            callback=lambda i, n, x: steps.append((i, n, x.dtype)),
        )
        assert inversion.noise.shape == shape and set(d.dtypes) == {dtype}
        assert steps == [(i, 5, dtype) for i in range(5)]
        assert inversion.report.calls == len(d.sigmas)
    assert torch.equal(before, x0) and torch.equal(state, torch.random.get_rng_state())


def test_statistics_of_known_noises():
    g = torch.Generator().manual_seed(0)
    white = torch.randn(1, 3, 8, 32, 32, generator=g)
    s = noise_statistics(torch.stack([white[:, 0] * 2 + 1, white[:, 1], white[:, 2]], 1))
    assert s["mean"] == pytest.approx([1, 0, 0], abs=0.06) and s["std"] == pytest.approx([2, 1, 1], abs=0.04)
    assert s["excess_kurtosis"] == pytest.approx([0, 0, 0], abs=0.15)
    assert all(abs(v) < 0.03 for v in s["correlation"].values()) and set(s["correlation"]) == {"t", "y", "x"}
    # A [1, 1] / sqrt(2) blur of white noise along x has neighbour correlation 1/2 there and none elsewhere.
    blurred = (white[..., 1:] + white[..., :-1]) / 2**0.5
    assert noise_statistics(blurred)["correlation"] == pytest.approx({"x": 0.5, "y": 0, "t": 0}, abs=0.03)
    flat = noise_statistics((torch.rand(1, 1, 64, 64, generator=g) - 0.5) * 12**0.5)
    assert flat["excess_kurtosis"][0] == pytest.approx(-1.2, abs=0.1)


def test_notes_name_a_grid_that_ends_too_high(mixture):
    report = invert(mixture.denoiser(), mixture.draw(4), karras_sigmas(10, 0.5, 80.0), method="euler").report
    assert "end them near" in report.notes[0]


def test_bad_inputs(mixture):
    x0, grid = mixture.draw(2), karras_sigmas(5)
    for change, what in [
        (dict(method="ddim"), "one of exact"),
        (dict(x0=x0 * float("inf")), "x0 holds NaN or Inf"),
        (dict(sigmas=grid.flip(0)), "do not flip"),
        (dict(tolerance=0.0), "tolerance"),
        (dict(state_dtype=torch.bfloat16), "state_dtype"),
    ]:
        with pytest.raises(UserError, match=what):
            invert(**{"denoise": mixture.denoiser(), "x0": x0, "sigmas": grid, **change})
