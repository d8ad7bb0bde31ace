"""Is there something in the output that the source does not have, by what the source's buffers say: no detector."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from .base import Figure, check_masks, check_pair
from .shown import explained, squares, worst_region

_ROWS = 48  # of the frames that are looked at: texture is finer, an object of a hundredth of the frame is not
_SIDE = 12  # pixels along the side of a region of these


class Invented:
    """`invented_most`: what the output shows in a region of the frame that the source does not explain (root mean
    square of the residual of `explained`, over the clip), of the region that has most.

    What explains it, in each region an affine map of the source's colours and of which class is where: a class may be
    painted as it likes. Frames are averaged down to 48 rows first, or to half of fewer, which takes away what texture a
    photoreal picture adds to a render. Objects of the source (of `tags`), with a pixel around, are left out: whether
    they are as they should be is asked elsewhere. Regions are squares of a quarter of the frame's height that overlap
    by half.
    """

    def __init__(self, tags: Iterable[int]) -> None:
        self.tags = tuple(tags)
        self._rest: Tensor | None = None
        self._frames = 0

    def update(self, output: Tensor, source: Tensor, classes: Tensor, instances: Tensor) -> None:
        """output, source (T, H, W, 3) in [0, 1]; classes, instances (T, H, W) integers of the source."""
        output, source = check_pair(output, source, self._frames, "source")
        check_masks(output, classes, instances)
        for ours, theirs, codes in zip(output.cpu(), source.cpu(), classes.cpu().long()):
            rest, _ = explained(*_regions(ours, theirs, codes, self.tags))
            self._rest = rest if self._rest is None else self._rest + rest
        self._frames += len(output)

    def compute(self) -> dict[str, Figure]:
        return {"invented_most": worst_region(self._rest, self._frames)}


def _regions(ours: Tensor, theirs: Tensor, codes: Tensor, tags: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """By regions (R, N, ...): what may explain a frame `ours` (H, W, 3), its colours, and the weights of its pixels."""
    layers = (codes[..., None] == codes.unique()).float()
    objects = torch.isin(codes, torch.tensor(tags, dtype=torch.long))[..., None].float()
    height, width = codes.shape
    rows = max(1, min(_ROWS, height // 2))  # a codec halves the colours of small frames, and errs by the pixel
    size = rows, max(1, round(width * rows / height))
    colours, ours, layers, objects = (_small(values, size) for values in (theirs, ours, layers, objects))
    free = 1 - F.max_pool2d((objects > 0).float(), 3, 1, 1)
    seen = torch.cat([colours, layers], 1)
    return tuple(squares(values[0], _SIDE) for values in (seen, ours, free))


def _small(values: Tensor, size: tuple[int, int]) -> Tensor:
    """(H, W, C) averaged to (1, C, *size)."""
    return F.interpolate(values.movedim(-1, 0)[None], size=size, mode="area")
