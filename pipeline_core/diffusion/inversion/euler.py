"""DDIM inversion: Euler upwards, with D taken at the wrong end of every step."""

from torch import Tensor

from ..run import Run, rms
from ..solvers import towards


def invert_euler(run: Run, x: Tensor, grid: list[float]) -> tuple[Tensor, list[float]]:
    """x_{k+1} = x_k + (sigma_{k+1} - sigma_k) eps(x_k, sigma_k) along the rising `grid`. N calls.

    Returns (x_N, residuals): |x_k - S(x_{k+1})| / |x_k| with S the DDIM sampling step, the error of going up
    and back one step. The next step's own call reveals it, so every step has one but the last.
    """
    residuals: list[Tensor] = []
    previous = None
    for sigma, sigma_next in zip(grid, grid[1:]):
        x0 = run.denoise(x, sigma)
        if previous is not None:
            x_prev, sigma_prev = previous
            gap = x_prev - towards(x, x0, sigma, sigma_prev)
            residuals.append((rms(gap) / rms(x_prev).clamp_min(1e-30)).max())
        previous = (x, sigma)
        x = towards(x, x0, sigma, sigma_next)
        run.step_done(x0)
    return x, run.read(*residuals) if residuals else []
