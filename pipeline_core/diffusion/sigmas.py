"""Sigma grids: 1-D, descending, N + 1 values for N steps, ending at sigma_min above 0.

Inversion and sampling walk the same grid in opposite directions, so no grid made here ends in 0: a last jump
from sigma_min to 0 is taken differently up and down and costs about 3e-3 of round-trip error by itself. Given
grids may end in one 0 (ComfyUI's do); `as_grid` drops it for both passes. The clean latent stands at the last
value that is left, so that value should be small: about 0.02 of the data's spread or less.
"""

import math

import torch
from torch import Tensor

from ..errors import UserError
from .interpolants import FLOW, VE, Interpolant


def _check_range(steps: int, sigma_min: float, sigma_max: float, limit: float = math.inf) -> None:
    if not (isinstance(steps, int) and steps >= 1):
        raise UserError(f"steps is {steps!r}, but a sigma grid needs a whole number of at least 1; change steps.")
    if not (0 < sigma_min < sigma_max <= limit and math.isfinite(sigma_max)):
        raise UserError(
            f"sigma_min {sigma_min} and sigma_max {sigma_max} came, but 0 < sigma_min < sigma_max <= {limit} "
            "is needed; change sigma_min or sigma_max."
        )


def karras_sigmas(
    steps: int,
    sigma_min: float = 0.02,
    sigma_max: float = 80.0,
    rho: float = 7.0,
    arithmetic: torch.dtype = torch.float64,
) -> Tensor:
    """sigma_i = (sigma_max^(1/rho) + i/N (sigma_min^(1/rho) - sigma_max^(1/rho)))^rho (Karras 2022, eq. 5).

    VE scale. Returns float64 (steps + 1,), descending from sigma_max to sigma_min. Raises UserError.
    arithmetic: float32 gives, to the bit, what ComfyUI's KarrasScheduler gives for steps + 1 without its last 0; the
    ends are then an ulp or two off.
    """
    _check_range(steps, sigma_min, sigma_max)
    if not rho > 0:
        raise UserError(f"rho is {rho}, but it has to be above 0; change rho (7 is usual).")
    ramp = torch.linspace(0, 1, steps + 1, dtype=arithmetic)
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    values = ((high + ramp * (low - high)) ** rho).double()
    return values if arithmetic == torch.float32 else _pin_ends(values, sigma_max, sigma_min)


def log_sigmas(steps: int, sigma_min: float = 0.02, sigma_max: float = 80.0) -> Tensor:
    """sigma_i = sigma_max (sigma_min / sigma_max)^(i/N): equal steps of log sigma, VE scale.

    Returns float64 (steps + 1,), descending. Raises UserError.
    """
    _check_range(steps, sigma_min, sigma_max)
    ramp = torch.linspace(math.log(sigma_max), math.log(sigma_min), steps + 1, dtype=torch.float64)
    return _pin_ends(ramp.exp(), sigma_max, sigma_min)


def flow_sigmas(
    steps: int, shift: float = 1.0, sigma_min: float = 0.02, sigma_max: float = 0.99, power: float = 1.0
) -> Tensor:
    """sigma = shift u / (1 + (shift - 1) u) (rectified flow, SD3 time shift), u = v^power with v uniform.

    FLOW scale: 0 < sigma_min < sigma_max <= 1; the ends hold after the shift. Pure noise starts well at 1;
    the default 0.99 keeps sigma / (1 - sigma) finite. power 1 is the usual grid, whose lowest step grows with the
    shift until the exact method cannot start from it; 2 makes the steps near sigma_min short. Returns float64
    (steps + 1,). Raises UserError.
    """
    _check_range(steps, sigma_min, sigma_max, limit=1.0)
    for name, value in (("shift", shift), ("power", power)):
        if not value > 0:
            raise UserError(f"{name} is {value}, but it has to be above 0; change {name} (1 is none).")
    high, low = ((s / (shift - (shift - 1) * s)) ** (1 / power) for s in (sigma_max, sigma_min))
    u = torch.linspace(high, low, steps + 1, dtype=torch.float64) ** power
    return _pin_ends(shift * u / (1 + (shift - 1) * u), sigma_max, sigma_min)


def flow_from_ve(sigmas: Tensor) -> Tensor:
    """sigma_flow = sigma / (1 + sigma): a VE grid (Karras, log) for a flow model, same ratios."""
    grid = as_grid(sigmas, VE)
    return torch.tensor([FLOW.from_ve_sigma(s) for s in grid], dtype=torch.float64)


def truncate(sigmas: Tensor, strength: float, interpolant: Interpolant = VE) -> Tensor:
    """The part of a grid at or below the level sigma / (a + sigma) = strength, starting exactly there.

    strength in (0, 1] is the share of noise in the start, on the flow scale for both interpolants (VE sigma =
    strength / (1 - strength)), so it means the same for every model and step count; 1 keeps the whole grid.
    The kept steps are spread again along the grid's own spacing (linear in log sigma between its values): a
    short first step in front of a long one would make the exact scheme grow. Returns float64. Raises
    UserError.
    """
    grid = as_grid(sigmas, interpolant)
    if not 0 < strength <= 1:
        raise UserError(f"strength is {strength}, but it has to be above 0 and at most 1; change strength.")
    level = interpolant.from_ve_sigma(strength / (1 - strength) if strength < 1 else math.inf)
    if level >= grid[0]:
        return torch.tensor(grid, dtype=torch.float64)
    if level <= grid[-1]:
        raise UserError(
            f"strength {strength} starts at sigma {level:.4g}, but the sigmas end at {grid[-1]:.4g}; raise strength."
        )
    logs = [math.log(s) for s in grid]
    above = max(i for i, s in enumerate(grid) if s >= level)
    start = above + (logs[above] - math.log(level)) / (logs[above] - logs[above + 1])
    last = len(grid) - 1
    steps = math.ceil(last - start - 1e-9)
    out = []
    for position in (start + (last - start) * i / steps for i in range(steps + 1)):
        left = min(int(position), last - 1)
        out.append(math.exp(logs[left] + (position - left) * (logs[left + 1] - logs[left])))
    return _pin_ends(torch.tensor(out, dtype=torch.float64), level, grid[-1])


def end_above_zero(sigmas: Tensor, interpolant: Interpolant, end: float = 0.02, low: float = 0.05) -> Tensor:
    """A given grid (a scheduler's) whose last value a clean latent can stand at: no 0, and nothing far above it.

    A trailing 0 is dropped where the value before it is low already (at most `low`, VE scale), as inversion and
    sampling would do themselves; where it is not, the 0 becomes `end` (VE scale), so that no step is lost. A grid
    without a 0 stays as it is. Returns float64. Raises UserError as `as_grid` does.
    """
    grid = as_grid(sigmas, interpolant)
    if len(grid) < len(sigmas) and interpolant.ve_sigma(grid[-1]) > low:
        grid.append(interpolant.from_ve_sigma(end))
    return torch.tensor(grid, dtype=torch.float64)


def as_grid(sigmas: Tensor, interpolant: Interpolant) -> list[float]:
    """Checked copy of `sigmas` as Python floats: finite, descending, above 0, one trailing 0 dropped.

    Both passes call this, so both walk the same values. Raises UserError naming what is wrong.
    """
    values = torch.as_tensor(sigmas).detach().cpu().double()
    if values.ndim != 1:
        raise UserError(f"sigmas has shape {tuple(values.shape)}, but one row of values is needed; change sigmas.")
    grid = values.tolist()
    if grid and grid[-1] == 0:
        grid = grid[:-1]
    if len(grid) < 2:
        raise UserError(f"sigmas has {len(grid)} value(s) above 0, but at least 2 are needed; raise the steps.")
    if not all(math.isfinite(s) and s > 0 for s in grid):
        raise UserError(f"sigmas {_brief(grid)} has values that are not finite and above 0; change sigmas.")
    if any(nxt >= cur for cur, nxt in zip(grid, grid[1:])):
        raise UserError(
            f"sigmas {_brief(grid)} does not fall at every step; give the sampling grid, from high to low, "
            "to both passes (do not flip it for inversion)."
        )
    if grid[0] > interpolant.sigma_limit:
        raise UserError(
            f"sigmas starts at {grid[0]:.4g}, but {interpolant.name} sigmas end at "
            f"{interpolant.sigma_limit:g}; give a flow grid, or set the interpolant to VE."
        )
    return grid


def _pin_ends(values: Tensor, first: float, last: float) -> Tensor:
    """Powers and logs miss the ends by an ulp; callers compare against the numbers they asked for."""
    values[0], values[-1] = first, last
    return values


def _brief(grid: list[float]) -> str:
    shown = ", ".join(f"{s:.4g}" for s in grid[:6])
    return f"[{shown}{', ...' if len(grid) > 6 else ''}]"
