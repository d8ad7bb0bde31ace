"""Conflict damping: guidance that may restyle what the prompts decide, but not what the inverted noise carries."""

from dataclasses import dataclass

from torch import Tensor

from ..errors import UserError
from .guidance import Answers, Guidance, join_names


@dataclass(frozen=True)
class ConflictDamping:
    """D = D_inner - strength (1 - rho) g, rho = min(1, reach |u| / |g|).

    g = D_inner - D_base is what guidance adds to the plain conditional prediction, u = D_base - D_structure what the
    prompt changes by itself: predictions of one state, and |.| their length over the channels at every latent
    position. Under the inversion prompt a full inversion retraces to the source, so where u is short (a lit lamp, a
    white car, the edge of a house) the noise and the controls decide and the prompt does not: there guidance is held
    short as well. Where u is long the prompt is already repainting, and guidance may go further by the share `reach`
    of that way. Every position ends within (1 + reach) |u| of the structure whatever the scale of the inner guidance,
    so a scale of 7 neither erases a lamp nor burns out the sky.

    strength in [0, 1]: 0 is the inner guidance, 1 the whole bound. reach, at least 0: more is more guidance.
    with 0.1 a scale of 7 costs the embedded model neither PSNR nor colours, 0.25 costs 0.1 dB (guidance.py --tune).
    structure: the branch of the inversion prompt; costs one branch more. Raises UserError.
    """

    inner: Guidance
    strength: float = 1.0
    reach: float = 0.1
    base: str = "positive"
    structure: str = "inversion"

    def __post_init__(self):
        if not 0 <= self.strength <= 1:
            raise UserError(f"strength is {self.strength}, but it has to be between 0 and 1; change strength.")
        if not self.reach >= 0:
            raise UserError(f"reach is {self.reach}, but it has to be at least 0; change reach (0.1 is usual).")
        if self.structure == self.base:
            raise UserError(
                f"structure and base are both {self.base!r}, but damping compares two prompts; set structure to the "
                "branch of the inversion prompt."
            )

    def branches(self, sigma: float | None = None) -> tuple[str, ...]:
        """The inner guidance's branches; base and structure only where the inner one is more than the base."""
        inner = self.inner.branches(sigma)
        if self.strength == 0 or inner == (self.base,):
            return inner
        return join_names(inner, (self.base, self.structure))

    def combine(self, x0: Answers, sigma: float) -> Tensor:
        d = self.inner.combine(x0, sigma)
        if self.strength == 0 or self.inner.branches(sigma) == (self.base,):
            return d
        g, u = d - x0[self.base], x0[self.base] - x0[self.structure]
        rho = (self.reach * _length(u) / _length(g).clamp_min(1e-12)).clamp_max(1)
        return d - self.strength * (1 - rho) * g


def _length(x: Tensor) -> Tensor:
    """Over the channels, at every position: (B, 1, ...)."""
    return x.square().sum(1, keepdim=True).sqrt()
