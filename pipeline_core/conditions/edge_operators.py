"""The edge operators a network can have been trained on, by the name its preset and its training run know them by."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ..errors import UserError
from .edges import edge_map

# name -> (frames (T, H, W, 3) in [0, 1], ignore mask (T, H, W) or None) -> edges (T, H, W) in {0, 1}
EDGE_OPERATORS: dict[str, Callable[[Tensor, Tensor | None], Tensor]] = {
    "canny-grey-l2": lambda frames, ignore: edge_map(frames, ignore=ignore),
}
DEFAULT_EDGES = "canny-grey-l2"


def edges_by(operator: str, frames: Tensor, ignore: Tensor | None = None) -> Tensor:
    """Edges (T, H, W) of frames (T, H, W, 3) by a named operator; UserError for a name that is not in the table."""
    if operator not in EDGE_OPERATORS:
        raise UserError(f"The edge operator {operator!r} is unknown: choose one of {', '.join(EDGE_OPERATORS)}.")
    return EDGE_OPERATORS[operator](frames, ignore)
