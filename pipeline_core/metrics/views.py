"""Views of objects: an instance as it stands in one frame, its mask and where that lies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor


def views(classes: Tensor, instances: Tensor, tags: Iterable[int], fewest: float) -> Iterator[tuple[int, Tensor]]:
    """(id, mask (H, W) bool) of every instance (not 0) among `tags` with at least `fewest` pixels, by ascending id.

    classes, instances: of one frame, (H, W) integers on one device, where the masks are too.
    """
    wanted = torch.isin(classes.long(), torch.tensor(tuple(tags), dtype=torch.long, device=classes.device))
    ids, counts = instances[wanted].unique(return_counts=True)
    for name in ids[(counts >= fewest) & (ids != 0)].tolist():
        yield name, (instances == name) & wanted


def extent(mask: Tensor) -> list[range]:
    """The rows and the columns from the first to the last that a mask (H, W), not empty, has a pixel in."""
    places = [mask.any(1 - axis).nonzero().flatten() for axis in range(2)]
    return [range(int(along[0]), int(along[-1]) + 1) for along in places]


def box(spans: Iterable[range], margins: Iterable[int]) -> tuple[slice, ...]:
    """The part of a frame that these rows and columns and a margin around each take, as far as there is frame."""
    return tuple(slice(max(0, span.start - margin), span.stop + margin) for span, margin in zip(spans, margins))
