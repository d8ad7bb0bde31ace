"""Solvers of dx/dsigma = (x - D(x, sigma)) / sigma, each a function (run, x, grid, interpolant) -> x.

`x` is the state at grid[0]; the result is the state at grid[-1]. Grids may rise (inversion) or fall
(sampling). Every step is written as x' = q x + (1 - q) D with q = sigma' / sigma wherever it can be: this
form is the same in VE and FLOW (dividing the state by 1 - sigma turns one into the other), has no division by
a = 0 at FLOW sigma 1, and solves the linear part exactly, so that only D has to be approximated. D hardly
moves at high sigma, which is why extrapolating D (multistep) is far more accurate there than extrapolating
the slope.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import UserError
from .interpolants import Interpolant
from .run import Run

Solver = Callable[[Run, Tensor, list[float], Interpolant], Tensor]


def towards(x: Tensor, x0: Tensor, sigma: float, sigma_next: float) -> Tensor:
    """x' = (sigma'/sigma) x + (1 - sigma'/sigma) x0: the DDIM step towards a given x0, VE and FLOW."""
    q = sigma_next / sigma
    return torch.add(q * x, x0, alpha=1 - q)


def ddim(run: Run, x: Tensor, grid: list[float], interpolant: Interpolant) -> Tensor:
    """DDIM, eq. 12 of Song 2020 at eta 0: Euler on the ODE. First order, N calls."""
    for sigma, sigma_next in zip(grid, grid[1:]):
        x0 = run.denoise(x, sigma)
        x = towards(x, x0, sigma, sigma_next)
        run.step_done(x0)
    return x


def stochastic_ddim(eta: float, draw: Callable[[Tensor], Tensor]) -> Solver:
    """DDIM, eq. 12 and 16 of Song 2020, with fresh noise in every step: eta 0 is `ddim`, 1 is DDPM. N calls.

    On the noise n of the state it is n' = sqrt(1 - d^2) n + d z with d = eta sqrt(1 - (sigma' / sigma)^2) in VE units,
    so that n keeps its standard deviation. draw: the state -> z of its shape, dtype and device, std 1. Raises UserError
    for eta outside [0, 1].
    """
    if not 0 <= eta <= 1:
        raise UserError(f"eta is {eta}, but it has to be from 0 (no fresh noise) to 1 (DDPM); change eta.")

    def walk(run: Run, x: Tensor, grid: list[float], interpolant: Interpolant) -> Tensor:
        for sigma, sigma_next in zip(grid, grid[1:]):
            x0 = run.denoise(x, sigma)
            fresh = eta * math.sqrt(1 - (interpolant.ve_sigma(sigma_next) / interpolant.ve_sigma(sigma)) ** 2)
            noise = interpolant.noise_from_state(x, x0, sigma)
            noise = math.sqrt(1 - fresh**2) * noise + fresh * draw(x)
            x = interpolant.add_noise(x0, noise, sigma_next)
            run.step_done(x0)
        return x

    return walk


def heun(run: Run, x: Tensor, grid: list[float], interpolant: Interpolant) -> Tensor:
    """Algorithm 1 of Karras 2022 (trapezoid on the slope in sigma). Second order, 2N calls."""
    for sigma, sigma_next in zip(grid, grid[1:]):
        x0 = run.denoise(x, sigma)
        slope = (x - x0) / sigma
        guess = x + (sigma_next - sigma) * slope
        slope_next = (guess - run.denoise(guess, sigma_next)) / sigma_next
        x = x + (sigma_next - sigma) * 0.5 * (slope + slope_next)
        run.step_done(x0)
    return x


def midpoint(run: Run, x: Tensor, grid: list[float], interpolant: Interpolant) -> Tensor:
    """x' = x + h f(x + h/2 f(x, sigma), sigma + h/2): explicit midpoint in sigma. Second order, 2N calls."""
    for sigma, sigma_next in zip(grid, grid[1:]):
        sigma_mid = 0.5 * (sigma + sigma_next)
        mid = towards(x, run.denoise(x, sigma), sigma, sigma_mid)
        x0 = run.denoise(mid, sigma_mid)
        x = x + (sigma_next - sigma) * (mid - x0) / sigma_mid
        run.step_done(x0)
    return x


def dpmpp_2m(run: Run, x: Tensor, grid: list[float], interpolant: Interpolant) -> Tensor:
    """DPM-Solver++(2M), Algorithm 2 of Lu 2022: D extrapolated by h / (2 h_prev). Second order, N calls."""
    return _multistep(run, x, grid, interpolant, lambda h, h_prev: h / (2 * h_prev))


def res_2ab(run: Run, x: Tensor, grid: list[float], interpolant: Interpolant) -> Tensor:
    """RES 2ab of Cosmos-Transfer1: b2 = phi2 / c2, b1 = phi1 - b2, c2 = -h_prev / h. Second order, N calls.

    x' = e^-h x + h (b1 D + b2 D_prev). As h (b1 + b2) = 1 - e^-h, that is the DDIM step towards
    D + w (D - D_prev) with w = -b2 / phi1. NVIDIA's extra call at sigma_min is left out: both passes end
    there.
    """

    def weight(h: float, h_prev: float) -> float:
        phi1 = -math.expm1(-h) / h
        phi2 = (1 - phi1) / h
        return phi2 / phi1 * h / h_prev

    return _multistep(run, x, grid, interpolant, weight)


def _multistep(
    run: Run, x: Tensor, grid: list[float], interpolant: Interpolant, weight: Callable[[float, float], float]
) -> Tensor:
    """x' = q x + (1 - q) (D + w (D - D_prev)), h = steps of -log sigma_ve; the first step is DDIM."""
    x0_prev, h_prev = None, 0.0
    for sigma, sigma_next in zip(grid, grid[1:]):
        x0 = run.denoise(x, sigma)
        h = math.log(interpolant.ve_sigma(sigma)) - math.log(interpolant.ve_sigma(sigma_next))
        aim = x0
        # From FLOW sigma 1 the step in log sigma is infinite: the previous D then carries no slope.
        if x0_prev is not None and math.isfinite(h_prev):
            aim = x0 + weight(h, h_prev) * (x0 - x0_prev)
        x = towards(x, aim, sigma, sigma_next)
        x0_prev, h_prev = x0, h
        run.step_done(x0)
    return x


SOLVERS = {"ddim": ddim, "heun": heun, "midpoint": midpoint, "dpmpp_2m": dpmpp_2m, "res_2ab": res_2ab}
