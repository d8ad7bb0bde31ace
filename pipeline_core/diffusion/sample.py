"""Sampling: from a noise, fresh or structured, down the sigmas to a clean latent."""

import torch
from torch import Tensor

from ..errors import UserError
from .interpolants import VE, Interpolant
from .inversion.retrace import Retrace, check_stored
from .run import Callback, Denoise, Run, check_latents, state_dtype_of
from .sigmas import as_grid
from .solvers import SOLVERS, Solver


@torch.no_grad()
def sample(
    denoise: Denoise,
    noise: Tensor,
    sigmas: Tensor,
    interpolant: Interpolant = VE,
    x0: Tensor | None = None,
    solver: str | Solver = "ddim",
    *,
    callback: Callback | None = None,
    state_dtype: torch.dtype | None = None,
    model_dtype: torch.dtype | None = None,
) -> Tensor:
    """Solve dx/dsigma = (x - D) / sigma from x = a x0 + sigma n at sigmas[0] down to the clean latent.

    denoise(x, sigma) -> x0 with every condition bound inside. noise (B, C, T, H, W) or (B, C, H, W): std 1
    for pure noise, or an Inversion's or Calibration's. sigmas: 1-D descending; a trailing 0 is dropped, so
    that inversion and sampling share one grid. The clean latent stands at the last value: the state there,
    divided by a, is returned (inversion puts a x0 there). For pure noise let the grid end near 0.02, as the
    makers here do: what noise is left at the last value stays in the result.
    x0: the latent under the noise (partial starts, SDEdit), None for none; an Inversion.solver brings the
    latent its noise belongs to, so there x0 may be left out. solver: ddim, heun, midpoint, dpmpp_2m, res_2ab,
    an Inversion.solver or a `stochastic_ddim`. callback(step, total, x0) after every step; cancel by raising in it.
    The state is held in `state_dtype` (float64 or float32; None is the finest the device has); the denoiser gets, and
    the result has, `model_dtype`: by default the dtype of x0, or else of the noise. Raises UserError: bad input, NaN or
    Inf from the network.
    """
    retrace = solver if isinstance(solver, Retrace) else None
    if retrace is not None and x0 is None:
        x0 = retrace.x0
    run = Run(
        denoise,
        len(as_grid(sigmas, interpolant)) - 1,
        model_dtype or (noise if x0 is None else x0).dtype,
        callback,
    )
    return walk_down(run, noise, sigmas, interpolant, x0, solver, state_dtype).to(run.model_dtype)


def walk_down(
    run: Run,
    noise: Tensor,
    sigmas: Tensor,
    interpolant: Interpolant,
    x0: Tensor | None,
    solver: str | Solver,
    state_dtype: torch.dtype | None,
) -> Tensor:
    """The body of `sample` for a given run: returns the clean latent in `state_dtype`."""
    check_latents(noise=noise, **({} if x0 is None else {"x0": x0}))
    state_dtype = state_dtype_of(state_dtype, noise.device)
    if x0 is not None and x0.shape != noise.shape:
        raise UserError(
            f"x0 is {tuple(x0.shape)} and noise is {tuple(noise.shape)}, but they have to match; change x0 or the "
            "noise."
        )
    if callable(solver):
        walk = solver
        if isinstance(solver, Retrace) and solver.carried is not None:
            check_stored(noise, "noise")
    elif solver in SOLVERS:
        walk = SOLVERS[solver]
    else:
        raise UserError(
            f"solver is {solver!r}, but one of {', '.join(SOLVERS)} or the solver of an inversion is needed; "
            "change solver."
        )
    grid = as_grid(sigmas, interpolant)
    base = 0.0 if x0 is None else x0.to(state_dtype)
    x = interpolant.add_noise(base, noise.to(state_dtype), grid[0])
    return walk(run, x, grid, interpolant) / interpolant.a(grid[-1])
