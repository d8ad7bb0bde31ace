"""Inversion: the noise that sampling would turn back into a given latent."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import UserError
from .interpolants import VE, Interpolant
from .inversion.euler import invert_euler
from .inversion.exact import check_grid, invert_exact
from .inversion.fixed_point import invert_fixed_point
from .inversion.report import InversionReport, noise_statistics, relative_error, spread_of
from .inversion.retrace import MATCHING, Retrace
from .run import Callback, Denoise, Run, check_latents, state_dtype_of
from .sample import walk_down
from .sigmas import as_grid
from .solvers import SOLVERS

METHODS = ("exact", *MATCHING)
CALLS_BACK = {"exact": -1, "euler": 0, "fixed_point": 0}  # beyond one per step; the others need two per step


@dataclass(frozen=True, eq=False)
class Inversion:
    """noise: shaped like x0, in the state's dtype; what, added to x0 at sigmas[0], gives the inverted state.
    solver: hand it to `sample` to retrace. report: what it cost and how well it went."""

    noise: Tensor
    solver: Retrace
    report: InversionReport


@torch.no_grad()
def invert(
    denoise: Denoise,
    x0: Tensor,
    sigmas: Tensor,
    interpolant: Interpolant = VE,
    method: str = "exact",
    *,
    callback: Callback | None = None,
    round_trip: bool = False,
    tolerance: float = 1e-6,
    max_iterations: int = 12,
    state_dtype: torch.dtype | None = None,
) -> Inversion:
    """Solve dx/dsigma = (x - D) / sigma upwards from the clean latent to sigmas[0]; n = (x - a x0) / sigma.

    denoise(x, sigma) -> x0 with every condition bound inside; x comes in x0's dtype. x0 (B, C, T, H, W) or
    (B, C, H, W), model space. sigmas: the *sampling* grid, 1-D descending (a trailing 0 is dropped); the
    clean latent stands at its last value as the state a x0. To invert only up to a strength, truncate the
    sigmas.
    method: exact (N calls, reversible by algebra), euler (N calls, DDIM inversion), heun and midpoint (2N
    calls, second order), fixed_point (DDIM solved backwards to `tolerance`, at most `max_iterations` calls a
    step). callback(step, total, x0) after every step; cancel by raising in it. round_trip=True samples back
    and reports the relative L2 error. The noise is returned in `state_dtype` (float64 or float32; None is the finest
    the device has): rounding it would cost the exact method its exactness. Raises UserError: bad input, a grid the
    method cannot take, NaN or Inf from the network.
    """
    check_latents(x0=x0)
    state_dtype = state_dtype_of(state_dtype, x0.device)
    if method not in METHODS:
        raise UserError(f"method is {method!r}, but one of {', '.join(METHODS)} is needed; change method.")
    if not (tolerance > 0 and max_iterations >= 1):
        raise UserError(
            f"tolerance {tolerance} and max_iterations {max_iterations} came, but a tolerance above 0 and at "
            "least 1 iteration are needed; change them."
        )
    grid = as_grid(sigmas, interpolant)
    steps = len(grid) - 1
    rising = grid[::-1]
    source = x0.detach()
    x = interpolant.a(grid[-1]) * source.to(state_dtype)
    run = Run(denoise, steps, x0.dtype, callback)
    spread = spread_of(source)
    carried, details, notes = None, {}, _grid_notes(sigmas, grid, interpolant, spread)
    if method == "exact":
        check_grid(grid, interpolant, spread)
        x, carried = invert_exact(run, x, rising, interpolant)
    elif method == "euler":
        x, residuals = invert_euler(run, x, rising)
        details = {"residuals": residuals}
    elif method == "fixed_point":
        x, solved = invert_fixed_point(run, x, rising, interpolant, tolerance, max_iterations)
        details = {
            "residuals": [s.residual for s in solved],
            "converged": [s.converged for s in solved],
            "fell_back": [i for i, s in enumerate(solved) if s.fell_back],
        }
        missed = [s.residual for s in solved if not s.converged]
        if missed:
            notes.append(
                f"The fixed point did not converge in {len(missed)} of {steps} steps (worst residual "
                f"{max(missed):.2g}, wanted {tolerance:.2g}); raise the steps, lower the inversion CFG, or "
                "set method to exact."
            )
    else:
        x = SOLVERS[MATCHING[method]](run, x, rising, interpolant)
    noise = interpolant.noise_from_state(x, source.to(state_dtype), grid[0])
    solver = Retrace(method, interpolant, tuple(grid), source, carried)
    error = None
    if round_trip:
        back = Run(denoise, steps, x0.dtype, None)
        error = relative_error(walk_down(back, noise, sigmas, interpolant, source, solver, state_dtype), source)
    report = InversionReport(
        method=method,
        interpolant=interpolant.name,
        steps=steps,
        sigma_min=grid[-1],
        sigma_max=grid[0],
        calls=run.calls,
        calls_back=steps + CALLS_BACK.get(method, steps),
        round_trip=error,
        statistics=noise_statistics(noise),
        notes=notes,
        **details,
    )
    return Inversion(noise, solver, report)


def _grid_notes(sigmas: Tensor, grid: list[float], interpolant: Interpolant, spread: float) -> list[str]:
    """Say what the grid does to the clean latent of that standard deviation: a dropped 0, or an end far above it."""
    notes = []
    if len(grid) < len(sigmas):
        notes.append(f"The trailing 0 of the sigmas was dropped; the clean latent stands at sigma {grid[-1]:.4g}.")
    end = interpolant.ve_sigma(grid[-1])
    if end > 0.1 * spread > 0:
        notes.append(
            f"The sigmas end at {end / spread:.2g} times the latent's own spread, where the model expects "
            "visible noise on it; end them near 0.02 times the spread."
        )
    return notes
