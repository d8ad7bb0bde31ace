"""Conflict damping: text guidance that may restyle but not erase what the inverted noise carries."""

from dataclasses import dataclass

from torch import Tensor

from ..errors import UserError
from .frequency import low_pass
from .guidance import Answers, Guidance, join_names


@dataclass(frozen=True)
class ConflictDamping:
    """D = D_base + L(g) + H(g) - strength min(0, <H(g), s>) s, with g = D_inner - D_base, s = H(D_structure)
    / |.|.

    g is what guidance adds to the plain conditional prediction. Its low frequencies L(g) are look (exposure,
    hue, haze) and pass. Its local part H(g) is compared, at every latent position over the channels, with the
    local detail the structure branch sees in the same state: under the inversion prompt a full inversion
    retraces to the source, so that branch knows where a lit lamp or a white car is. Where guidance points
    against that detail (a negative inner
    product: it would fade or invert it), the opposing component is taken out; what adds to the detail or
    stands across it (new texture) passes. strength 1 removes all of the opposing component, 0 is the inner
    guidance.

    structure: a branch name; "inversion" costs one more branch, "positive" none. nu: the cut between look and
    detail as a share of Nyquist (symmetric filter).
    """

    inner: Guidance
    strength: float = 1.0
    nu: float = 0.25
    base: str = "positive"
    structure: str = "inversion"

    def __post_init__(self):
        if not 0 <= self.strength <= 1:
            raise UserError(f"strength is {self.strength}, but it has to be between 0 and 1; change strength.")

    def branches(self, sigma: float | None = None) -> tuple[str, ...]:
        """The inner guidance's branches; base and structure only where the inner one is more than the
        base."""
        inner = self.inner.branches(sigma)
        if self.strength == 0 or inner == (self.base,):
            return inner
        return join_names(inner, (self.base, self.structure))

    def combine(self, x0: Answers, sigma: float) -> Tensor:
        d = self.inner.combine(x0, sigma)
        if self.strength == 0 or self.inner.branches(sigma) == (self.base,):
            return d
        structure = x0[self.structure]
        detail = structure - low_pass(structure, self.nu, "symmetric")
        g = d - x0[self.base]
        local = g - low_pass(g, self.nu, "symmetric")
        length = detail.square().sum(1, keepdim=True).clamp_min(1e-12)
        against = ((local * detail).sum(1, keepdim=True) / length).clamp_max(0)
        return d - self.strength * against * detail
