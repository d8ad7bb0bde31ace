"""How each model family's control maps were made in its training: one row a family, named by its preset.

Where each was read is said in docs/models.md, "Control maps".
"""

from __future__ import annotations

from typing import NamedTuple

from ..errors import UserError
from .blur import TRANSFER1_BLUR, TRANSFER25_BLUR, Blur
from .depth import MIN_MAX, QUANTILES
from .edges import COLOUR, GREY, GREY_L2


class MapConvention(NamedTuple):
    """edges: one of EDGE_OPERATORS; depth: one of DEPTH_SCALES; blur: strength -> Blur."""

    edges: str
    depth: str
    blur: dict[str, Blur]


EMBEDDED = "embedded"
CONVENTIONS = {
    "cosmos_transfer1": MapConvention(COLOUR, MIN_MAX, TRANSFER1_BLUR),
    "cosmos_transfer25": MapConvention(COLOUR, MIN_MAX, TRANSFER25_BLUR),
    "wan": MapConvention(GREY, MIN_MAX, TRANSFER25_BLUR),
    "ltxv": MapConvention(GREY, MIN_MAX, TRANSFER25_BLUR),
    "sd15": MapConvention(COLOUR, MIN_MAX, TRANSFER25_BLUR),
    EMBEDDED: MapConvention(GREY_L2, QUANTILES, TRANSFER1_BLUR),
}


def map_convention(name: str) -> MapConvention:
    """The row of that name; UserError for an unknown one."""
    if name not in CONVENTIONS:
        raise UserError(f"The map convention {name!r} is unknown: choose one of {', '.join(CONVENTIONS)}.")
    return CONVENTIONS[name]
