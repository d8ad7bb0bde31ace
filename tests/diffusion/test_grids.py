"""Interpolants and sigma grids: identities of the one equation, and the edges of `as_grid`."""

import math

import pytest
import torch

from pipeline_core.diffusion import (
    FLOW,
    VE,
    flow_from_ve,
    flow_sigmas,
    karras_sigmas,
    log_sigmas,
    truncate,
)
from pipeline_core.diffusion.sigmas import as_grid
from pipeline_core.errors import UserError


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 2, 3, 4, 5), (2, 7)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_noise_and_state_are_inverse(interpolant, shape, dtype):
    x0, n = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)
    for sigma in (0.02, 0.5, 0.97):
        x = interpolant.add_noise(x0, n, sigma)
        assert x.dtype == dtype
        torch.testing.assert_close(interpolant.noise_from_state(x, x0, sigma), n, rtol=1e-4, atol=1e-4)


def test_flow_state_divided_by_signal_is_the_ve_state():
    x0, n = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for s in (0.05, 0.5, 0.95):
        ve = FLOW.ve_sigma(s)
        assert ve == pytest.approx(s / (1 - s), rel=1e-14) and FLOW.from_ve_sigma(ve) == pytest.approx(s, rel=1e-14)
        torch.testing.assert_close(FLOW.to_ve(FLOW.add_noise(x0, n, s), s), VE.add_noise(x0, n, ve))
        torch.testing.assert_close(FLOW.from_ve(VE.add_noise(x0, n, ve), s), FLOW.add_noise(x0, n, s))


def test_flow_at_one_is_pure_noise_and_has_no_ve_form():
    n = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(FLOW.add_noise(torch.ones(2, 3), n, 1.0), n)
    assert torch.equal(FLOW.noise_from_state(n, torch.ones(2, 3), 1.0), n)
    assert math.isinf(FLOW.ve_sigma(1.0)) and FLOW.from_ve_sigma(math.inf) == 1.0
    with pytest.raises(UserError, match="below 1"):
        FLOW.to_ve(n, 1.0)
    with pytest.raises(UserError, match="above 0"):
        VE.noise_from_state(n, n, 0.0)


def test_karras_matches_hand_values():
    """rho 7, 0.002..80, 2 steps: the middle is ((80^(1/7) + 0.002^(1/7)) / 2)^7."""
    grid = karras_sigmas(2, 0.002, 80.0)
    assert grid.tolist() == [
        80.0,
        pytest.approx(((80 ** (1 / 7) + 0.002 ** (1 / 7)) / 2) ** 7, rel=1e-12),
        0.002,
    ]


def test_karras_in_float32_is_the_grid_of_k_diffusion():
    """Its values, written out: linspace, ** and * of float32 tensors, powers of the ends in Python floats."""
    ramp = torch.linspace(0, 1, 21)
    wanted = (80.0 ** (1 / 7) + ramp * (0.02 ** (1 / 7) - 80.0 ** (1 / 7))) ** 7.0
    assert torch.equal(karras_sigmas(20, arithmetic=torch.float32).float(), wanted)
    torch.testing.assert_close(karras_sigmas(20, arithmetic=torch.float32), karras_sigmas(20), rtol=1e-5, atol=0)


def test_log_steps_have_one_ratio_and_flow_shift_scales_the_noise_to_signal_ratio():
    grid = log_sigmas(9, 0.01, 10.0)
    torch.testing.assert_close(grid[1:] / grid[:-1], torch.full((9,), 1e-3 ** (1 / 9), dtype=torch.float64))
    plain = flow_sigmas(10, 1.0, 0.1, 0.9)
    torch.testing.assert_close(plain.diff(), torch.full((10,), -0.08, dtype=torch.float64))
    # s = shift u / (1 + (shift - 1) u)  <=>  s / (1 - s) = shift u / (1 - u)
    shifted = flow_sigmas(10, 3.0, 0.1, 0.9)
    u = (shifted / (1 - shifted) / 3) / (1 + shifted / (1 - shifted) / 3)
    torch.testing.assert_close(u.diff(), u.diff().mean().expand(10))
    assert (shifted[0], shifted[-1]) == (0.9, 0.1)
    squared = flow_sigmas(10, 3.0, 0.1, 0.9, power=2)
    u = (squared / (1 - squared) / 3) / (1 + squared / (1 - squared) / 3)
    torch.testing.assert_close(u.sqrt().diff(), u.sqrt().diff().mean().expand(10))
    assert (squared[0], squared[-1]) == (0.9, 0.1) and squared[-2] < shifted[-2]


@pytest.mark.parametrize("name", ["shift", "power"])
def test_shift_and_power_are_above_zero(name):
    with pytest.raises(UserError, match=f"{name} is 0"):
        flow_sigmas(10, **{name: 0})


@pytest.mark.parametrize("make", [karras_sigmas, log_sigmas, flow_sigmas])
def test_grids_have_one_more_value_than_steps_and_fall(make):
    for steps in (1, 2, 35):
        grid = make(steps)
        assert grid.shape == (steps + 1,) and bool((grid.diff() < 0).all()) and grid[-1] > 0
    with pytest.raises(UserError, match="steps"):
        make(0)
    with pytest.raises(UserError, match="sigma_min"):
        make(5, sigma_min=0.5, sigma_max=0.2)


def test_flow_from_ve_keeps_the_ratios():
    ve = karras_sigmas(12)
    flow = flow_from_ve(ve)
    torch.testing.assert_close(flow / (1 - flow), ve)


@pytest.mark.parametrize(
    "bad, what",
    [
        ([1.0, 2.0, 3.0], "does not fall"),
        ([3.0, 3.0, 1.0], "does not fall"),
        ([3.0, float("nan"), 1.0], "not finite"),
        ([float("inf"), 1.0], "not finite"),
        ([3.0, 0.0, 0.0], "not finite and above 0"),
        ([3.0, 1.0, -1.0], "not finite and above 0"),
        ([3.0], "at least 2"),
        ([3.0, 0.0], "at least 2"),
        ([], "at least 2"),
        ([[3.0, 1.0]], "one row"),
    ],
)
def test_bad_grids_are_refused_in_one_sentence(bad, what):
    with pytest.raises(UserError, match=what):
        as_grid(torch.tensor(bad), VE)


def test_trailing_zero_is_dropped_once_and_flow_ends_at_one():
    assert as_grid(torch.tensor([2.0, 1.0, 0.0]), VE) == [2.0, 1.0]
    assert as_grid(torch.tensor([1.0, 0.5]), FLOW) == [1.0, 0.5]
    with pytest.raises(UserError, match="FLOW"):
        as_grid(torch.tensor([2.0, 0.5]), FLOW)


def test_truncate_starts_exactly_at_the_strength_and_keeps_the_spacing(interpolant):
    whole = log_sigmas(20) if interpolant is VE else flow_from_ve(log_sigmas(20))
    assert torch.equal(truncate(whole, 1.0, interpolant), whole)
    for strength in (0.1, 0.5, 0.8, 0.98):
        part = truncate(whole, strength, interpolant)
        first, last = (interpolant.ve_sigma(float(s)) for s in (part[0], part[-1]))
        assert first == pytest.approx(strength / (1 - strength), rel=1e-12) and part[-1] == whole[-1]
        # a log grid stays (very nearly, for FLOW) a log grid, with steps no coarser than before
        ve = torch.tensor([interpolant.ve_sigma(float(s)) for s in part])
        ratios = ve[1:] / ve[:-1]
        assert float(ratios.max() - ratios.min()) < 0.02
        assert len(part) - 1 == math.ceil(20 * math.log(first / last) / math.log(80 / 0.02) - 0.05)
    with pytest.raises(UserError, match="raise strength"):
        truncate(whole, 0.001, interpolant)
    for strength in (0.0, 1.5, float("nan")):
        with pytest.raises(UserError, match="strength"):
            truncate(whole, strength, interpolant)
