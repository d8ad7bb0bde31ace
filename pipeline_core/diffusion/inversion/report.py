"""What an inversion says about itself: cost, residuals, round trip, and how white the noise is."""

from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from ...devices import finest_dtype


@dataclass(frozen=True)
class InversionReport:
    """Numbers of one inversion; every field is plain Python, `to_dict` is ready for JSON.

    calls: network calls of the inversion (a batch of guidance branches counts once);
    calls_back: network calls the matching solver needs;
    residuals: one-step round-trip error |x - S(y)| / |x| of every step, worst sample, where the method solves
    for it (fixed_point) or shows it for free (euler: all but the last step); empty for the others (0 by
    algebra for exact);
    converged: per step, fixed_point only; fell_back: indices of steps where Euler's guess could not be
    improved;
    round_trip: relative L2 error |sample(invert(x0)) - x0| / |x0| over the batch, None unless asked for;
    statistics: see `noise_statistics`; notes: one sentence each for what was dropped or did not converge.
    """

    method: str
    interpolant: str
    steps: int
    sigma_min: float
    sigma_max: float
    calls: int
    calls_back: int
    residuals: list[float] = field(default_factory=list)
    converged: list[bool] = field(default_factory=list)
    fell_back: list[int] = field(default_factory=list)
    round_trip: float | None = None
    statistics: dict = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict:
        """All fields as JSON-ready Python values."""
        return asdict(self)


def noise_statistics(noise: Tensor) -> dict:
    """Per-channel moments of a noise (B, C, ...): white noise has mean 0, std 1, excess kurtosis 0,
    correlations 0.

    Keys: mean, std, excess_kurtosis: lists over channels (dim 1). correlation: neighbour correlation along
    each further axis, named t, y, x from the end, averaged over channels; axes of length 1 are left out.
    std_all: the std over everything. Half-precision input is measured in float32.
    """
    n = noise.detach()
    n = n if n.dtype == torch.float64 else n.float()
    means, variances, kurtosis = [], [], []
    products: dict[str, list[Tensor]] = {}
    for channel in n.unbind(1):  # one at a time: copies of a long clip's noise are large
        mean = channel.mean()
        centred = channel - mean
        variance = centred.square().mean().clamp_min(torch.finfo(n.dtype).tiny)
        means.append(mean)
        variances.append(variance)
        kurtosis.append(centred.pow(4).mean() / variance.square() - 3)
        for name, axis in zip(("x", "y", "t"), range(centred.ndim - 1, 0, -1)):
            size = centred.shape[axis]
            if size > 1:
                pairs = centred.narrow(axis, 0, size - 1) * centred.narrow(axis, 1, size - 1)
                products.setdefault(name, []).append(pairs.mean() / variance)
    mean, variance = torch.stack(means), torch.stack(variances)
    spread = variance.mean() + (mean - mean.mean()).square().mean()  # within the channels and between them
    correlations = [torch.stack(values).mean() for values in products.values()]
    numbers = torch.cat([mean, variance.sqrt(), torch.stack(kurtosis), torch.stack([*correlations, spread.sqrt()])])
    numbers, count = numbers.tolist(), len(mean)  # all of them read at once
    return {
        "mean": numbers[:count],
        "std": numbers[count : 2 * count],
        "excess_kurtosis": numbers[2 * count : 3 * count],
        "correlation": dict(zip(products, numbers[3 * count :])),
        "std_all": numbers[-1],
    }


def spread_of(x: Tensor) -> float:
    """Standard deviation over everything, in the finest precision of the device."""
    return float(x.to(finest_dtype(x.device)).std(correction=0))


def relative_error(x: Tensor, reference: Tensor) -> float:
    """|x - reference| / |reference|, L2 over everything, in the finest precision of the device."""
    dtype = finest_dtype(reference.device)
    reference = reference.to(dtype)
    scale = reference.norm().clamp_min(torch.finfo(dtype).tiny)
    return float((x.to(dtype) - reference).norm() / scale)
