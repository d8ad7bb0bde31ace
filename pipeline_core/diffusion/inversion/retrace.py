"""The solver an inversion returns: it walks back the way the inversion came, and can be stored."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...errors import UserError
from ..interpolants import FLOW, VE, Interpolant
from ..run import Run
from ..solvers import SOLVERS
from .exact import best_form, retrace_exact

# Which sampling solver undoes which inversion method; "exact" needs the carried state instead.
MATCHING = {"euler": "ddim", "fixed_point": "ddim", "heun": "heun", "midpoint": "midpoint"}


@dataclass(frozen=True, eq=False)
class Retrace:
    """Solver of one inversion; pass it as `sample(..., solver=inversion.solver)`.

    method: the inversion's method; interpolant and grid (descending, no 0): what it was inverted on;
    x0: the latent that was inverted, to which the noise is relative; carried: the second state (exact only),
    as the clean latent of the first step back, see exact.py. Blended or edited noise is welcome: the carried
    latent does not depend on it.
    """

    method: str
    interpolant: Interpolant
    grid: tuple[float, ...]
    x0: Tensor
    carried: Tensor | None = None

    def to(self, device: torch.device | str) -> "Retrace":
        """The same solver with its tensors on `device`."""
        carried = None if self.carried is None else self.carried.to(device)
        return replace(self, x0=self.x0.to(device), carried=carried)

    def __call__(self, run: Run, x: Tensor, grid: list[float], interpolant: Interpolant) -> Tensor:
        """State at grid[0] -> state at grid[-1]. The exact method needs its own grid, or its first steps. UserError."""
        if interpolant != self.interpolant:
            raise UserError(
                f"This solver retraces a {self.interpolant.name} inversion, but interpolant is "
                f"{interpolant.name}; use the same interpolant in both passes."
            )
        if self.carried is None:
            return SOLVERS[MATCHING[self.method]](run, x, grid, interpolant)
        # float32 copies of the grid are the same grid; the stored values make the way back exact.
        same = len(grid) >= 2 and all(abs(s - t) <= 1e-5 * t for s, t in zip(grid, self.grid))
        if not same:
            raise UserError(
                f"This solver retraces the {len(self.grid) - 1} steps it was inverted on (sigma "
                f"{self.grid[0]:.4g} to {self.grid[-1]:.4g}), but other sigmas came; give both passes the "
                "same sigmas."
            )
        walk = [*self.grid[: len(grid)], *grid[len(self.grid) :]]
        # A part of the grid is walked in the form of the whole, in which its states were made.
        return retrace_exact(run, x, self.carried.to(x), walk, best_form(list(self.grid), interpolant))

    def to_tensors(self) -> dict[str, Tensor]:
        """Everything but the noise as named tensors, ready for a safetensors file beside the noise."""
        tensors = {"x0": self.x0, "sigmas": torch.tensor(self.grid, dtype=torch.float64)}
        return tensors if self.carried is None else {**tensors, "carried": self.carried}

    @staticmethod
    def from_tensors(tensors: dict[str, Tensor], method: str, interpolant: str) -> "Retrace":
        """Inverse of `to_tensors`; refuses an exact inversion whose second state is missing or below
        float32."""
        carried = tensors.get("carried")
        if method == "exact":
            if carried is None:
                raise UserError(
                    "The stored exact inversion has lost its second state ('carried'), and one state alone "
                    "misses the latent by about 0.3; store every tensor of to_tensors, or invert with "
                    "method fixed_point."
                )
            check_stored(carried, "carried")
        elif method not in MATCHING:
            raise UserError(f"method is {method!r}, but one of {['exact', *MATCHING]} is needed; change method.")
        names = {"VE": VE, "FLOW": FLOW}
        if interpolant not in names:
            raise UserError(f"interpolant is {interpolant!r}, but VE or FLOW is needed; change interpolant.")
        grid = tuple(tensors["sigmas"].double().tolist())
        return Retrace(method, names[interpolant], grid, tensors["x0"], carried if method == "exact" else None)


def check_stored(state: Tensor, name: str) -> None:
    """An exact inversion survives storage in float32 (2e-7) but not below (bfloat16 costs 1e-3). Raises
    UserError."""
    if state.dtype not in (torch.float32, torch.float64):
        raise UserError(
            f"{name} of an exact inversion came as {str(state.dtype).removeprefix('torch.')}, which costs a "
            f"round-trip error of about 1e-3; keep {name} in float32 or float64, or invert with method "
            "fixed_point."
        )
