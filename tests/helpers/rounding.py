"""Units in which two computations of one thing may differ. To the bit they agree only on the same machine with the same
shapes, threads and versions: sums are taken in another order otherwise (docs/determinism.md)."""

import torch
from torch import Tensor


def roundings(found: Tensor, wanted: Tensor, dtype: torch.dtype | None = None) -> float:
    """The largest difference in units of rounding: eps of `dtype` (default: wanted's) times the largest value."""
    eps = torch.finfo(dtype or wanted.dtype).eps
    return float((found - wanted).abs().max() / wanted.abs().max()) / eps


def share_of_others(found: Tensor, wanted: Tensor) -> float:
    """Share of values that are not the same, where a threshold or an argmax decides: rounding tips the close ones."""
    return float((found != wanted).float().mean())
