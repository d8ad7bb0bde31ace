"""Implicit inversion of DDIM: at every step find the y that DDIM sampling would bring back to x.

Sampling goes S(y) = q y + (1 - q) D(y, sigma'), q = sigma / sigma'. Euler inversion guesses y with D taken at
x; the error it makes is f(y) = x - S(y), the one-step round-trip error. Here y <- y + p f(y) is iterated
(AIDI, ReNoise), with
- p = 1 / (q + (1 - q) J), J the slope of D for Gaussian data of the latent's own variance: Newton's method
  for that Gaussian, where plain iteration (p = 1) converges slowly at high sigma;
- Anderson acceleration over the last few iterates;
- per sample, the iterate with the smallest |f| kept. Where the map does not contract (few steps, high CFG) a
  sample that got worse goes back to its best iterate with half the step; if nothing beats Euler, Euler stays.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...devices import has_float64
from ..interpolants import Interpolant
from ..run import Run, rms
from ..solvers import towards

MEMORY = 3  # Anderson: differences kept; more buys nothing on a map this close to linear
STALL = 4  # calls without any sample's residual falling by a tenth: the network's own precision is reached


@dataclass(frozen=True)
class StepReport:
    """One inversion step: residuals are |x - S(y)| / |x| (RMS, worst sample of the batch)."""

    residual: float
    euler_residual: float
    calls: int
    converged: bool
    fell_back: bool


def invert_fixed_point(
    run: Run, x: Tensor, grid: list[float], interpolant: Interpolant, tolerance: float, max_iterations: int
) -> tuple[Tensor, list[StepReport]]:
    """Walk the rising `grid` from the state x at grid[0]: returns (x_N, one StepReport per step).

    One call at the start, then at most `max_iterations` per step: the last D of a step is the first of the
    next.
    """
    costs, numbers = [], []
    variance = float((x / interpolant.a(grid[0])).square().mean())
    x0 = run.denoise(x, grid[0])
    for sigma, sigma_next in zip(grid, grid[1:]):
        q = sigma / sigma_next
        a = interpolant.a(sigma_next)
        slope = a * variance / (a * a * variance + sigma_next**2)
        guess = towards(x, x0, sigma, sigma_next)
        p = 1 / (q + (1 - q) * slope)
        x, x0, cost, step_numbers = _solve(run, x, guess, (sigma, sigma_next), p, tolerance, max_iterations)
        costs.append(cost)
        numbers += step_numbers
        run.step_done(x0)
    numbers = run.read(*numbers)  # of all steps at once
    residuals, eulers, fell_back = numbers[::3], numbers[1::3], numbers[2::3]
    return x, [
        StepReport(residual, euler, calls, converged, bool(fell))
        for residual, euler, (calls, converged), fell in zip(residuals, eulers, costs, fell_back)
    ]


def _solve(
    run: Run,
    x: Tensor,
    guess: Tensor,
    sigmas: tuple[float, float],
    p: float,
    tolerance: float,
    max_iterations: int,
) -> tuple[Tensor, Tensor, tuple[int, bool], list[Tensor]]:
    """Find y with S(y) = x from `guess`: returns (y, D(y), cost, numbers), the best iterate of every sample.

    cost: calls and whether it converged. numbers: residual, Euler's residual and whether Euler's guess stayed, on the
    device. Every iteration reads once, because it has to know whether there is another.
    """
    sigma, sigma_next = sigmas
    scale = rms(x).clamp_min(torch.finfo(x.dtype).tiny)
    calls, stalled, base = 0, 0, None
    damping = torch.ones_like(scale)
    moves: list[tuple[Tensor, Tensor]] = []  # (change of y, change of p f) between successive iterates
    y = guess
    while True:
        x0 = run.denoise(y, sigma_next)
        calls += 1
        f = x - towards(y, x0, sigma_next, sigma)
        residual = rms(f) / scale
        now = (y, f, x0, residual)
        if base is None:
            euler, best = residual, now
            better, worse = torch.ones_like(residual, dtype=torch.bool), torch.zeros_like(residual, dtype=torch.bool)
        else:
            moves = [*moves, (y - base[0], p * (f - base[1]))][-MEMORY:]
            better, worse = residual < 0.9 * best[3], residual > best[3]
            best = tuple(_select(worse, old, new) for old, new in zip(best, now))
        done = best[3] <= tolerance
        converged, improved = run.read(done.all(), better.any())
        stalled = 0 if improved else stalled + 1
        if converged or calls >= max_iterations or stalled >= STALL:
            break
        # A sample that got worse starts again from its best iterate, more carefully and without its history.
        damping = torch.where(worse, damping / 2, damping)
        moves = [(_select(worse, torch.zeros_like(s), s), _select(worse, torch.zeros_like(t), t)) for s, t in moves]
        base = best
        y = _select(done, best[0], _anderson(best[0], p * best[1], moves, damping))
    fell_back = ((best[3] >= euler) & ~done).any()
    return best[0], best[2], (calls, bool(converged)), [best[3].max(), euler.max(), fell_back]


def _anderson(y: Tensor, f: Tensor, moves: list[tuple[Tensor, Tensor]], damping: Tensor) -> Tensor:
    """Anderson acceleration (Walker & Ni 2011, type II), per sample: y + b f - (dY + b dF) g, g minimal."""
    b = _like(damping, y)
    if not moves:
        return y + b * f
    d_y = torch.stack([s.flatten(1) for s, _ in moves], dim=2)
    d_f = torch.stack([t.flatten(1) for _, t in moves], dim=2)
    # The small system needs double precision: without it on the device, it is solved on the CPU.
    there = y.device if has_float64(y.device) else torch.device("cpu")
    gram = (d_f.mT @ d_f).to(there).double()
    right = (d_f.mT @ f.flatten(1).unsqueeze(2)).to(there).double()
    # Zeroed histories leave empty rows: a relative ridge plus a floor keeps it solvable, so its check is not asked for.
    ridge = 1e-12 * gram.diagonal(dim1=1, dim2=2).sum(1) + torch.finfo(torch.float64).tiny
    system = gram + ridge[:, None, None] * torch.eye(len(moves), dtype=gram.dtype, device=there)
    g = torch.linalg.solve_ex(system, right).result.to(y)
    step = ((d_y + damping[:, None, None] * d_f) @ g).squeeze(2)
    return y + b * f - step.reshape(y.shape)


def _like(per_sample: Tensor, x: Tensor) -> Tensor:
    return per_sample.reshape(-1, *[1] * (x.ndim - 1))


def _select(mask: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Per sample: `yes` where mask, else `no`."""
    return torch.where(_like(mask, yes), yes, no)
