"""Guidance: several clean predictions of one state, combined into the one a solver steps towards.

`predict(x, sigma, branches) -> [x0 per branch]` answers several conditions in one batched forward. A guidance
object says which branches it needs at a sigma (`branches`) and combines the answers (`combine`); `guided`
binds the two into a denoiser. Everything is in x0 space. Sums of predictions whose weights add up to 1 (CFG, VideoText)
are there what they are in epsilon or velocity space; what measures a prediction's own size (Rescale's std, SimDrop's
cap) is not, and means the clean prediction here. Objects wrap one another; a branch used twice is computed once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ..errors import UserError
from .frequency import low_pass
from .run import Denoise

Predict = Callable[[Tensor, float, list[str]], list[Tensor]]
Answers = dict[str, Tensor]


class Guidance(Protocol):
    """What every guidance object can do."""

    def branches(self, sigma: float | None = None) -> tuple[str, ...]:
        """Names of the branches it needs at sigma, without repeats; for None, all it may ever need."""

    def combine(self, x0: Answers, sigma: float) -> Tensor:
        """The guided x0 from the answers of (at least) those branches, each shaped like the state."""


def guided(predict: Predict, guidance: Guidance) -> Denoise:
    """denoise(x, sigma): one `predict` call with exactly the branches needed at sigma, combined. Raises
    UserError when predict returns another number of answers."""

    def denoise(x: Tensor, sigma: float) -> Tensor:
        branches = list(guidance.branches(sigma))
        answers = predict(x, sigma, branches)
        if len(answers) != len(branches):
            raise UserError(
                f"predict returned {len(answers)} answers for the branches {branches}; change predict to "
                "return one each."
            )
        return guidance.combine(dict(zip(branches, answers)), sigma)

    return denoise


def join_names(*names: tuple[str, ...]) -> tuple[str, ...]:
    """Branch names of several objects, each once, in order."""
    return tuple(dict.fromkeys(n for group in names for n in group))


def _weighted(weights: dict[str, float], x0: Answers) -> Tensor:
    terms = [x0[name] if w == 1 else w * x0[name] for name, w in weights.items() if w != 0]
    return sum(terms[1:], terms[0])


@dataclass(frozen=True)
class Only:
    """D = D_branch: one condition, no guidance; what an inversion uses."""

    branch: str

    def branches(self, sigma: float | None = None) -> tuple[str, ...]:
        return (self.branch,)

    def combine(self, x0: Answers, sigma: float) -> Tensor:
        return x0[self.branch]


class _Linear:
    """Shared by guidance that is a weighted sum: branches with weight 0 are not computed."""

    def weights(self) -> dict[str, float]:
        raise NotImplementedError

    def branches(self, sigma: float | None = None) -> tuple[str, ...]:
        return tuple(name for name, w in self.weights().items() if w != 0)

    def combine(self, x0: Answers, sigma: float) -> Tensor:
        return _weighted(self.weights(), x0)


@dataclass(frozen=True)
class CFG(_Linear):
    """D = D_neg + scale (D_pos - D_neg) (Ho 2022, the usual scale s; 1 is off and costs one branch).

    NVIDIA's D_pos + g (D_pos - D_neg) is scale = 1 + g.
    """

    scale: float
    positive: str = "positive"
    negative: str = "negative"

    def weights(self) -> dict[str, float]:
        return {self.positive: self.scale, self.negative: 1 - self.scale}


@dataclass(frozen=True)
class VideoText(_Linear):
    """D = D_u + s_V (D_v - D_u) + s_T (D_vt - D_v): InsV2V's three terms (arXiv 2311.00213).

    Branches: uncond (neither), video (source video only), video_text (both).
    """

    video_scale: float = 1.2
    text_scale: float = 7.5
    uncond: str = "uncond"
    video: str = "video"
    video_text: str = "video_text"

    def weights(self) -> dict[str, float]:
        return {
            self.video_text: self.text_scale,
            self.video: self.video_scale - self.text_scale,
            self.uncond: 1 - self.video_scale,
        }


@dataclass(frozen=True)
class Interval:
    """`inner` for sigma_low <= sigma <= sigma_high, outside it the `outside` guidance (Kynkaanniemi 2024).

    Sigmas in the interpolant's own scale.
    """

    inner: Guidance
    sigma_low: float
    sigma_high: float
    outside: Guidance = Only("positive")

    def __post_init__(self):
        if not 0 <= self.sigma_low <= self.sigma_high:
            raise UserError(
                f"sigma_low {self.sigma_low} and sigma_high {self.sigma_high} came, but 0 <= sigma_low <= "
                "sigma_high is needed; change them."
            )

    def _active(self, sigma: float) -> Guidance:
        return self.inner if self.sigma_low <= sigma <= self.sigma_high else self.outside

    def branches(self, sigma: float | None = None) -> tuple[str, ...]:
        if sigma is None:
            return join_names(self.inner.branches(), self.outside.branches())
        return self._active(sigma).branches(sigma)

    def combine(self, x0: Answers, sigma: float) -> Tensor:
        return self._active(sigma).combine(x0, sigma)


@dataclass(frozen=True)
class Rescale:
    """D = share (D_inner std(D_base) / std(D_inner)) + (1 - share) D_inner, std per sample (Lin 2023, eq. 15-16).

    Keeps high guidance from over-saturating. Lin rescales what the network answers (there v); this is on the clean
    prediction, another thing for the same share. Base is the conditional prediction (InsV2V's code takes the
    unconditional one by mistake).
    """

    inner: Guidance
    share: float = 0.7
    base: str = "positive"

    def __post_init__(self):
        if not 0 <= self.share <= 1:
            raise UserError(f"share is {self.share}, but it has to be between 0 and 1; change share.")

    def branches(self, sigma: float | None = None) -> tuple[str, ...]:
        inner = self.inner.branches(sigma)
        return inner if self.share == 0 else join_names(inner, (self.base,))

    def combine(self, x0: Answers, sigma: float) -> Tensor:
        d = self.inner.combine(x0, sigma)
        if self.share == 0:
            return d
        ratio = per_sample_std(x0[self.base]) / per_sample_std(d).clamp_min(1e-12)
        return d * (self.share * ratio + 1 - self.share)


@dataclass(frozen=True)
class SimDrop:
    """D = D_inner + T, T = weight (D_pos - D_ref), |T| held to cap |D_pos| per sample (RMS; SimDrop,
    2503.20822); then `rescale` of the way back to D_inner's std per sample (Lin 2023, eq. 15-16).

    Pushes away from what a reference says a simulator looks like: a reference model, a LoRA or a prompt that names the
    synthetic look. D_pos - D_ref is far longer than a text direction (as the CFG negative it turned pictures nearly
    black at scale 2), hence its own weight and bound. weight 0 is off and costs nothing. rescale in [0, 1]: 0 leaves
    what the push adds to contrast. low in [0, 1]: share of Nyquist up to which T is left out, frame by frame, so that
    brightness and broad colours stay where D_inner has them; 0 leaves out nothing.
    """

    inner: Guidance
    weight: float
    cap: float = 0.1
    reference: str = "reference"
    positive: str = "positive"
    rescale: float = 0.0
    low: float = 0.0

    def __post_init__(self):
        if not 0 <= self.low <= 1:
            raise UserError(f"low is {self.low}, but it has to be between 0 and 1; change low.")
        if not 0 <= self.rescale <= 1:
            raise UserError(f"rescale is {self.rescale}, but it has to be between 0 and 1; change rescale.")
        if not self.cap > 0:
            raise UserError(f"cap is {self.cap}, but it has to be above 0; change cap (weight 0 switches SimDrop off).")

    def branches(self, sigma: float | None = None) -> tuple[str, ...]:
        inner = self.inner.branches(sigma)
        return inner if self.weight == 0 else join_names(inner, (self.positive, self.reference))

    def combine(self, x0: Answers, sigma: float) -> Tensor:
        d = self.inner.combine(x0, sigma)
        if self.weight == 0:
            return d
        term = self.weight * (x0[self.positive] - x0[self.reference])
        if self.low:
            term = term - low_pass(term, self.low, "symmetric")
        bound = self.cap * per_sample_rms(x0[self.positive]) / per_sample_rms(term).clamp_min(1e-12)
        pushed = d + term * bound.clamp_max(1.0)
        if self.rescale == 0:
            return pushed
        ratio = per_sample_std(d) / per_sample_std(pushed).clamp_min(1e-12)
        return pushed * (self.rescale * ratio + 1 - self.rescale)


def per_sample_std(x: Tensor) -> Tensor:
    return x.flatten(1).std(1, correction=0).reshape(-1, *[1] * (x.ndim - 1))


def per_sample_rms(x: Tensor) -> Tensor:
    return x.flatten(1).square().mean(1).sqrt().reshape(-1, *[1] * (x.ndim - 1))
