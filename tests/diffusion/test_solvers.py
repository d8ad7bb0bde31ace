"""Solvers against the closed-form Gaussian ODE: order, calls, dtypes, errors, progress."""

import math

import pytest
import torch

from pipeline_core.diffusion import FLOW, VE, flow_from_ve, flow_sigmas, karras_sigmas, sample, stochastic_ddim
from pipeline_core.diffusion.solvers import SOLVERS
from pipeline_core.errors import UserError


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def grid_for(interpolant, steps, low=0.02, high=20.0):
    ve = karras_sigmas(steps, low, high)
    return ve if interpolant is VE else flow_from_ve(ve)


def exact_sample(gaussian, n, grid, interpolant):
    high, low = (interpolant.ve_sigma(float(s)) for s in (grid[0], grid[-1]))
    start = interpolant.to_ve(interpolant.add_noise(0.0, n, float(grid[0])), float(grid[0]))
    return gaussian.flow_map(start, high, low)


@pytest.mark.parametrize(
    "solver, order, calls",
    [("ddim", 1, 1), ("heun", 2, 2), ("midpoint", 2, 2), ("dpmpp_2m", 2, 1), ("res_2ab", 2, 1)],
)
def test_order_and_calls_on_the_closed_form(gaussian, counting, interpolant, solver, order, calls):
    n, errors = noise(2, 3, 2, 2), []
    for steps in (80, 160, 320):
        grid = grid_for(interpolant, steps)
        denoise = counting(gaussian.denoiser(interpolant))
        out = sample(denoise, n, grid, interpolant, solver=solver)
        errors.append(float((out - exact_sample(gaussian, n, grid, interpolant)).norm()))
        assert len(denoise.sigmas) == calls * steps
    slopes = [math.log2(a / b) for a, b in zip(errors, errors[1:])]
    # midpoint happens to be third order on a Gaussian
    assert slopes[-1] == pytest.approx(3 if solver == "midpoint" else order, abs=0.2), (errors, slopes)
    assert errors[-1] < (0.03 if order == 1 else 0.002)


@pytest.mark.parametrize("solver", ["ddim", "dpmpp_2m", "res_2ab"])
def test_x0_form_solvers_are_the_same_in_ve_and_flow(mixture, solver):
    ve = karras_sigmas(12, 0.02, 20.0)
    flow = flow_from_ve(ve)
    n = noise(3, 4, 4, 4)
    # The same start in VE form: x_ve = x_flow / (1 - s), so the noises are equal at equal ratio.
    a = sample(mixture.denoiser(VE), n, ve, VE, solver=solver)
    b = sample(mixture.denoiser(FLOW), n, flow, FLOW, solver=solver)
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_res_2ab_matches_nvidias_formula(mixture):
    """x_n = e^-dt x_c + dt (b1 D_c + b2 D_p), written out as in the reference notation."""
    grid = karras_sigmas(8, 0.02, 20.0)
    n = noise(2, 4, 4, 4)
    denoise = mixture.denoiser(VE)
    x, d_p, s = grid[0] * n, None, [-math.log(v) for v in grid.tolist()]
    for i in range(8):
        d_c, dt = denoise(x, float(grid[i])), s[i + 1] - s[i]
        if d_p is None:
            x = grid[1] / grid[0] * x + (grid[0] - grid[1]) / grid[0] * d_c
        else:
            c2 = (s[i - 1] - s[i]) / dt
            phi1 = (math.exp(-dt) - 1) / (-dt)
            phi2 = (phi1 - 1) / (-dt)
            b2 = phi2 / c2
            x = math.exp(-dt) * x + dt * ((phi1 - b2) * d_c + b2 * d_p)
        d_p = d_c
    torch.testing.assert_close(sample(denoise, n, grid, solver="res_2ab"), x, rtol=1e-12, atol=1e-12)


def draws(seed):
    generator = torch.Generator().manual_seed(seed)
    return lambda x: torch.randn(x.shape, generator=generator, dtype=torch.float64)


def test_without_fresh_noise_stochastic_steps_are_ddim(mixture, interpolant):
    grid, n = grid_for(interpolant, 10), noise(2, 4, 4, 4)
    stochastic = sample(mixture.denoiser(interpolant), n, grid, interpolant, solver=stochastic_ddim(0.0, draws(1)))
    plain = sample(mixture.denoiser(interpolant), n, grid, interpolant, solver="ddim")
    torch.testing.assert_close(stochastic, plain, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("eta", [0.4, 1.0])
def test_stochastic_steps_are_those_of_algorithm_1(mixture, interpolant, eta):
    """x_{t-1} = sqrt(abar') x0 + sqrt(1 - abar' - s^2) eps + s z in variance-preserving form, s of DDIM's eq. 16."""
    ve, n, z = karras_sigmas(8, 0.02, 20.0), noise(2, 4, 4, 4), draws(1)
    abar = [1 / (1 + s**2) for s in ve.tolist()]
    x = math.sqrt(1 - abar[0]) * n
    for now, after in zip(abar, abar[1:]):
        sigma = math.sqrt(1 / now - 1)
        x0 = mixture.denoiser(VE)(x / math.sqrt(now), sigma)
        eps = (x - math.sqrt(now) * x0) / math.sqrt(1 - now)
        s = eta * math.sqrt((1 - after) / (1 - now)) * math.sqrt(1 - now / after)
        x = math.sqrt(after) * x0 + math.sqrt(1 - after - s**2) * eps + s * z(x)
    grid = ve if interpolant is VE else flow_from_ve(ve)
    walked = sample(mixture.denoiser(interpolant), n, grid, interpolant, solver=stochastic_ddim(eta, draws(1)))
    torch.testing.assert_close(walked, x / math.sqrt(abar[-1]), rtol=1e-10, atol=1e-10)
    with pytest.raises(UserError, match="from 0"):
        stochastic_ddim(1.5, draws(1))


@pytest.mark.parametrize("solver", SOLVERS)
def test_flow_may_start_at_one(gaussian, solver):
    grid = flow_sigmas(200, sigma_max=1.0)

    def denoise(x, s):
        if s == 1.0:  # pure noise says nothing about the data
            return torch.full_like(x, gaussian.mean)
        return gaussian.denoiser(FLOW)(x, s)

    n = noise(2, 5)
    low = FLOW.ve_sigma(float(grid[-1]))
    exact = gaussian.mean + math.sqrt(gaussian.variance + low**2) * n
    assert float((sample(denoise, n, grid, FLOW, solver=solver) - exact).abs().max()) < 0.02


def test_partial_start_and_trailing_zero(gaussian, interpolant):
    grid = grid_for(interpolant, 12, high=2.0).float()
    n, x0 = noise(2, 3, 2, 2, dtype=torch.float32), noise(2, 3, 2, 2, seed=1, dtype=torch.float32)
    seen = []

    def denoise(x, sigma):
        seen.append((x.clone(), sigma))
        return gaussian.denoiser(interpolant)(x, sigma)

    out = sample(denoise, n, torch.cat([grid, torch.zeros(1)]), interpolant, x0=x0)
    torch.testing.assert_close(seen[0][0], interpolant.add_noise(x0, n, float(grid[0])))
    assert len(seen) == 12 and seen[-1][1] == float(grid[-2])
    assert torch.equal(out, sample(gaussian.denoiser(interpolant), n, grid, interpolant, x0=x0))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_network_gets_the_latents_dtype_and_the_state_keeps_its_own(gaussian, counting, dtype):
    n = noise(2, 3, 2, 2, dtype=dtype)
    grid = grid_for(VE, 10)
    denoise = counting(gaussian.denoiser())
    out = sample(denoise, n, grid)
    assert out.dtype == dtype and set(denoise.dtypes) == {dtype}
    assert sample(gaussian.denoiser(), n, grid, model_dtype=torch.float32).dtype == torch.float32
    # state kept in float64: even a bfloat16 network's answer only errs by its own rounding
    full = sample(gaussian.denoiser(), n.double(), grid)
    tolerance = {torch.bfloat16: 2e-2, torch.float16: 3e-3, torch.float32: 1e-6, torch.float64: 1e-14}[dtype]
    assert float((out.double() - full).abs().max()) < tolerance


def test_inputs_and_global_rng_are_untouched(mixture):
    n, x0 = noise(2, 4, 4, 4), noise(2, 4, 4, 4, seed=1)
    grid = grid_for(VE, 6)
    before = [t.clone() for t in (n, x0, grid)]
    state = torch.random.get_rng_state()
    first = sample(mixture.denoiser(), n, grid, x0=x0)
    assert torch.equal(first, sample(mixture.denoiser(), n, grid, x0=x0))
    assert all(torch.equal(a, b) for a, b in zip(before, (n, x0, grid)))
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_nan_names_the_step_and_sigma(gaussian, solver, bad):
    grid = grid_for(VE, 6)
    at = float(grid[3])

    def denoise(x, sigma):
        x0 = gaussian.denoiser()(x, sigma)
        return x0 * bad if sigma <= at else x0

    # heun and midpoint look ahead within step 3
    step = 3 if solver == "heun" else 4
    with pytest.raises(UserError, match=rf"NaN or Inf at step {step} of 6 \(sigma {at:.4g}|step 4 of 6 \(sigma"):
        sample(denoise, noise(2, 3), grid, solver=solver)


def test_no_graph_is_built_through_the_network():
    w = torch.ones(3, requires_grad=True)
    out = sample(lambda x, s: x * 0.5 * w, noise(2, 3, dtype=torch.float32), grid_for(VE, 3))
    assert not out.requires_grad and torch.is_grad_enabled()


def test_callback_sees_every_step_and_cancels(gaussian):
    seen = []

    def callback(step, total, x0):
        seen.append((step, total, x0.shape, x0.dtype))
        if step == 2:
            raise KeyboardInterrupt

    grid = grid_for(VE, 5)
    with pytest.raises(KeyboardInterrupt):
        sample(gaussian.denoiser(), noise(1, 3, dtype=torch.float32), grid, callback=callback)
    assert seen == [(i, 5, (1, 3), torch.float32) for i in range(3)]


def test_bad_inputs_are_one_sentence(gaussian):
    grid, n = grid_for(VE, 4), noise(2, 3)
    d = gaussian.denoiser()
    cases = [
        (dict(noise=n * float("nan")), "noise holds NaN"),
        (dict(noise=n.long()), "noise is not a floating-point"),
        (dict(x0=noise(1, 3)), "have to match"),
        (dict(solver="euler_ancestral"), "one of ddim"),
        (dict(state_dtype=torch.float16), "state_dtype"),
        (dict(denoise=lambda x, s: x[:1]), "step 1 of 4"),
        (dict(denoise=lambda x, s: [x]), "returned list"),
    ]
    for change, what in cases:
        with pytest.raises(UserError, match=what):
            sample(**{"denoise": d, "noise": n, "sigmas": grid, **change})
