"""The one equation behind every model family: x = a(sigma) x0 + sigma n.

VE (also EPS, V and EDM models once their scaling is undone): a = 1, sigma in (0, inf).
FLOW (rectified flow): a = 1 - sigma, sigma in (0, 1].
In both, dx/dsigma = (x - D(x, sigma)) / sigma with D the predicted clean latent.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from ..errors import UserError


@dataclass(frozen=True)
class Interpolant:
    """x = a(sigma) x0 + sigma n; `linear_signal` says whether a falls as 1 - sigma (FLOW) or stays 1 (VE)."""

    name: str
    linear_signal: bool

    @property
    def sigma_limit(self) -> float:
        """Largest sigma that means anything: 1 for FLOW, unbounded for VE."""
        return 1.0 if self.linear_signal else math.inf

    def a(self, sigma: float) -> float:
        """a(sigma): the weight of the clean latent in the state."""
        return 1.0 - sigma if self.linear_signal else 1.0

    def add_noise(self, x0: Tensor | float, noise: Tensor, sigma: float) -> Tensor:
        """x = a x0 + sigma n. x0 and noise share one shape (x0 may be the number 0); returns the state."""
        return self.a(sigma) * x0 + sigma * noise

    def noise_from_state(self, x: Tensor, x0: Tensor | float, sigma: float) -> Tensor:
        """n = (x - a x0) / sigma: what, added to x0 at sigma, gives the state x. sigma must be above 0."""
        if not sigma > 0:
            raise UserError(f"sigma is {sigma}, but noise is defined only above 0; end the sigmas above 0.")
        return (x - self.a(sigma) * x0) / sigma

    def ve_sigma(self, sigma: float) -> float:
        """sigma_ve = sigma / a: the noise-to-signal ratio, one scale for both (inf at FLOW sigma 1)."""
        a = self.a(sigma)
        return sigma / a if a > 0 else math.inf

    def from_ve_sigma(self, sigma_ve: float) -> float:
        """Inverse of `ve_sigma`: sigma = sigma_ve / (1 + sigma_ve) for FLOW, sigma_ve itself for VE."""
        if not self.linear_signal:
            return sigma_ve
        return 1.0 if math.isinf(sigma_ve) else sigma_ve / (1.0 + sigma_ve)

    def to_ve(self, x: Tensor, sigma: float) -> Tensor:
        """x_ve = x / a: the state of the same latent and noise in VE form. a must be above 0."""
        a = self.a(sigma)
        if a <= 0:
            raise UserError("A flow state at sigma 1 has no VE form; start the sigmas below 1, for example at 0.99.")
        return x / a

    def from_ve(self, x_ve: Tensor, sigma: float) -> Tensor:
        """x = a x_ve, with `sigma` in this interpolant's own scale."""
        return self.a(sigma) * x_ve


VE = Interpolant("VE", linear_signal=False)
FLOW = Interpolant("FLOW", linear_signal=True)
