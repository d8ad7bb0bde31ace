"""Several controls at once: Cosmos-Transfer1's weight rule w_i / max(1, sum of w), at every site."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UserError, shown

CONTROLS = ("edge", "depth", "segmentation")
_ALIASES = {"seg": "segmentation"}


def control_name(name: str) -> str:
    """The full name of a control ("seg" is "segmentation"); UserError naming the known ones if there is no
    such."""
    name = name.strip().lower()
    name = _ALIASES.get(name, name)
    if name not in CONTROLS:
        raise UserError(f"The control {shown(name)} is unknown: choose from {', '.join(CONTROLS)}.")
    return name


def parse_controls(text: str) -> dict[str, float]:
    """Read "edge=1,depth=1,seg=0.5" as {control: weight}; "none" is no control at all.

    Raises UserError for an unknown or repeated control, and a weight that is missing, negative or no number.
    """
    weights: dict[str, float] = {}
    if text.strip().lower() == "none":
        return weights
    for part in text.split(","):
        name, _, value = part.partition("=")
        name = control_name(name)
        try:
            weight = float(value)
        except ValueError:
            weight = math.nan
        if not 0 <= weight < math.inf:
            raise UserError(f"The control {shown(part.strip())} has no weight of 0 or more: write it as {name}=1.")
        if name in weights:
            raise UserError(f"The control {name} is given twice: give it one weight.")
        weights[name] = weight
    return weights


def normalise_weights(weights: Mapping[str, float | Tensor]) -> dict[str, float | Tensor]:
    """w_i / max(1, sum over i of w_i), the rule of Cosmos-Transfer1, for scalars and maps alike.

    A weight is a number or a map whose shape broadcasts with the others', (T, H, W) for one. The rule holds
    at every site by itself: weights that sum to at most 1 stay as they are. Numbers alone give numbers; as
    soon as one weight is a map, all come back as maps of the common shape, in float32 (float64 if one was):
    a weight of 0.45 in bfloat16 would be 0.4492. Raises UserError for weights that are negative, infinite,
    NaN, or do not broadcast.
    """
    for name, weight in weights.items():
        value = torch.as_tensor(weight)
        if not bool(((value >= 0) & value.isfinite()).all()):
            raise UserError(f"The weight of the control {name} is negative or not finite: give 0 or more.")
    maps = [w for w in weights.values() if isinstance(w, Tensor)]
    if not maps:
        scale = max(1.0, sum(weights.values()))
        return {name: weight / scale for name, weight in weights.items()}
    dtype = torch.float64 if any(w.dtype == torch.float64 for w in maps) else torch.float32
    values = [torch.as_tensor(w, dtype=dtype, device=maps[0].device) for w in weights.values()]
    try:
        values = torch.broadcast_tensors(*values)
    except RuntimeError as error:
        shapes = ", ".join(f"{name} {tuple(v.shape)}" for name, v in zip(weights, values))
        raise UserError(f"Weight maps of shapes {shapes} came: give all of them one (T, H, W).") from error
    scale = torch.stack(values).sum(0).clamp(min=1)
    return {name: value / scale for name, value in zip(weights, values)}


def masked_weights(
    weights: Sequence[float], masks: Sequence[Tensor | None], size: tuple[int, int]
) -> Iterator[list[Tensor]]:
    """w_i m_i / max(1, sum over i of w_i m_i), frame by frame: one list of (H, W) maps for each frame.

    masks: (T, H, W) or (1, H, W) in [0, 1], one for each weight, None for everywhere; each is resized to `size`
    (H, W). A frame at a time, because a clip's maps together may not fit into memory. Raises UserError for masks
    of different lengths and for weights that `normalise_weights` refuses.
    """
    lengths = {len(mask) for mask in masks if mask is not None}
    if len(lengths - {1}) > 1:
        raise UserError(f"The weight masks have {sorted(lengths)} frames: give all of them the same number, or one.")
    for frame in range(max(lengths, default=1)):
        maps = {
            str(i): weight if mask is None else weight * _frame_of(mask, frame, size)
            for i, (weight, mask) in enumerate(zip(weights, masks), start=1)
        }
        values = normalise_weights(maps).values()
        yield [value if isinstance(value, Tensor) else torch.full(size, value) for value in values]


def _frame_of(mask: Tensor, frame: int, size: tuple[int, int]) -> Tensor:
    plane = mask[frame if len(mask) > 1 else 0].float()
    if tuple(plane.shape) == tuple(size):
        return plane
    return F.interpolate(plane[None, None], size=tuple(size), mode="area")[0, 0]
