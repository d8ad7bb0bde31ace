"""The exactly reversible two-state scheme: O-BELM (Wang 2024), in a family of time variables.

In VE form, with previous state P, current state C, signed steps h = sigma_next - sigma_cur, k = sigma_cur -
sigma_prev and r = h / k:

    next = r^2 P + (1 - r^2) C + (1 + r) h (C - D(C, sigma_cur)) / sigma_cur

The same line on the reversed grid undoes itself algebraically, whatever D is, at one call per step. It needs
*two* states to start, so an inversion ends with two: x_N at sigma_N and x_{N-1} at sigma_{N-1}. x_N leaves as
the structured noise. x_{N-1} leaves as the clean latent d towards which one DDIM step leads from x_N to
x_{N-1}:

    x_{N-1} = q x_N + (1 - q) d,   q = sigma_{N-1} / sigma_N

Carried like this the second state is an ordinary latent in size, is the same in VE and FLOW, follows x_N when
the noise is edited, and saves the first call of the way back.

The line above holds unchanged in any variables u = sigma / (a + w sigma), y = x / (a + w sigma): w = 0 is VE, w = 1
is FLOW, w = 1/shift the variable in which a shifted flow grid has equal steps. They differ in stability. The scheme
has a parasitic mode multiplied by -r^2 at every step, so over a stretch of grid it grows with the square of the step
length in u, against a state of size |y|. Growth upwards spoils the noise while the round trip stays exact (a flow
grid walked in VE form: noise std 2 to 20). Growth downwards amplifies rounding; and where the mode does not decay
downwards, sampling under another prompt than the inversion's sets it ringing. `best_form` picks w from the inversion's
whole grid, for both passes: a part of the grid would have a best form of its own, and leave the trajectory.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from ...errors import UserError
from ..interpolants import Interpolant
from ..run import Run
from ..solvers import towards

CANDIDATES = (0.0, *(10 ** (i / 8) for i in range(-16, 9)))  # w = 0 and 0.01 .. 10
DECAY = 30.0  # parasitic decay over a sampling pass that is worth having: more only costs noise accuracy
MAX_GAIN_DOWN = 100.0  # beyond it a float32 state ends above 1e-6


@dataclass(frozen=True)
class Form:
    """Variables u = sigma / m, y = x / m with m(sigma) = a + w sigma, for one interpolant."""

    interpolant: Interpolant
    w: float

    def m(self, sigma: float) -> float:
        return self.interpolant.a(sigma) + self.w * sigma


def gains(grid: list[float], form: Form) -> tuple[float, float]:
    """Largest growth of the parasitic mode, relative to the state, walking the falling `grid` (up, down)."""
    u = [s / form.m(s) if form.m(s) > 0 else math.inf for s in grid]
    if math.isinf(u[0]):
        return math.inf, math.inf
    logs = []
    for sigma, sigma_next, du in zip(grid, grid[1:], (c - n for c, n in zip(u, u[1:]))):
        middle = 0.5 * (sigma + sigma_next)
        size = math.hypot(form.interpolant.a(middle), middle) / form.m(middle)
        logs.append(2 * math.log(du) - math.log(size))
    up = max(early - late for i, early in enumerate(logs) for late in logs[i:])
    down = max(late - early for i, early in enumerate(logs) for late in logs[i:])
    return math.exp(up), math.exp(down)


def best_form(grid: list[float], interpolant: Interpolant) -> Form:
    """The form with the smallest gain up times gain down on the falling `grid`, gains up to DECAY counting as DECAY.

    Upward gain is downward decay, so the first form to reach DECAY (the smallest w) is kept on flow grids: equal
    steps in u (w = 1/shift) would have no gain, and no decay either. Karras and log grids come out near w = 0.02.
    """
    forms = [Form(interpolant, w) for w in CANDIDATES]

    def cost(form: Form) -> float:
        up, down = gains(grid, form)
        return max(up, DECAY) * down

    return min(forms, key=cost)


def check_grid(grid: list[float], interpolant: Interpolant, spread: float) -> None:
    """Refuse, with the reason, a falling grid on which the scheme is undefined, unstable or blind.

    spread: the latent's own standard deviation.
    """
    if len(grid) < 3:
        raise UserError(
            f"sigmas has {len(grid) - 1} step, but the exact method carries two states and needs at least 2 "
            "steps; raise the steps."
        )
    lowest = interpolant.ve_sigma(grid[-2]) - interpolant.ve_sigma(grid[-1])
    if lowest > spread > 0:
        raise UserError(
            f"The lowest step of the sigmas, {grid[-1]:.3g} to {grid[-2]:.3g}, is wider than the latent's "
            f"own spread ({spread:.3g}), so the two states of the exact method start off the trajectory and "
            "the noise would be meaningless; raise the steps, or take sigmas with shorter low steps (Model "
            "Preset, KarrasScheduler; in Python karras_sigmas, log_sigmas, or flow_sigmas with power=2)."
        )
    down = gains(grid, best_form(grid, interpolant))[1]
    if down > MAX_GAIN_DOWN:
        raise UserError(
            "The steps of the sigmas grow towards low sigma so much that the exact method would amplify "
            f"rounding {down:.3g} times; use karras_sigmas, log_sigmas or flow_sigmas, or set method to "
            "midpoint."
        )


def _step(states: tuple[Tensor, Tensor], x0: Tensor, sigmas: tuple[float, float, float], form: Form) -> Tensor:
    """next = r^2 P + (1 - r^2) C + (1 + r) h (y - D) / u in y, for native states (P, C) and three sigmas.

    Gathered into one factor for each of P, C and D, so that a long latent costs one new tensor a step and not six.
    """
    (previous, current), (m_p, m_c, m_n) = states, (form.m(s) for s in sigmas)
    u_p, u_c, u_n = (s / m for s, m in zip(sigmas, (m_p, m_c, m_n)))
    h = u_n - u_c
    r = h / (u_c - u_p)
    pull = (1 + r) * h / u_c
    stepped = previous * (m_n * r * r / m_p)
    stepped.add_(current, alpha=m_n * (1 - r * r + pull) / m_c)
    return stepped.add_(x0, alpha=-m_n * pull)


def invert_exact(run: Run, x: Tensor, grid: list[float], interpolant: Interpolant) -> tuple[Tensor, Tensor]:
    """Walk the rising `grid` from the state x at grid[0]: returns (x_N at grid[-1], carried latent d). N
    calls.

    The first step is Euler; after it the two states are on the trajectory and the scheme is second order.
    """
    form = best_form(grid[::-1], interpolant)
    x0 = run.denoise(x, grid[0])
    previous, current = x, towards(x, x0, grid[0], grid[1])
    run.step_done(x0)
    for sigmas in zip(grid, grid[1:], grid[2:]):
        x0 = run.denoise(current, sigmas[1])
        previous, current = current, _step((previous, current), x0, sigmas, form)
        run.step_done(x0)
    q = grid[-2] / grid[-1]
    return current, (previous - q * current) / (1 - q)


def retrace_exact(run: Run, x: Tensor, carried: Tensor, grid: list[float], form: Form) -> Tensor:
    """Walk the falling `grid` back from the state x at grid[0] and the carried latent: N - 1 calls.

    form: the inversion's own, `best_form` of its whole grid, also where `grid` is only the first steps of that one.
    """
    previous, current = x, towards(x, carried, grid[0], grid[1])
    run.step_done(carried)
    for sigmas in zip(grid, grid[1:], grid[2:]):
        x0 = run.denoise(current, sigmas[1])
        previous, current = current, _step((previous, current), x0, sigmas, form)
        run.step_done(x0)
    return current
