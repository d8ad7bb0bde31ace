"""Instance control: a colour per object that stays the same in every frame, chunk and clip."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import torch
from torch import Tensor

from ..errors import UserError

# Powers of the reciprocal of the root of x^4 = x + 1, the sequence that fills a cube evenly (Roberts 2018).
_STEPS = (0.8191725133961645, 0.6710436067037893, 0.5497004779019703)


def instance_colours(ids: Tensor) -> Tensor:
    """Colours (N, 3) float32 in [0, 1] of integer ids (N,): a pure function of the id, black for 0.

    Ids step through hue, saturation (0.45 to 1) and value (0.5 to 1) by irrational shares, so that any run of
    neighbouring ids gets colours that lie far apart.
    """
    numbers = ids.cpu().double()  # few, and exact only in double precision
    hue, saturation, value = (numbers * step % 1 for step in _STEPS)
    saturation, value = 0.45 + 0.55 * saturation, 0.5 + 0.5 * value
    # HSV to R'G'B' in one formula: channel = v - v s max(0, min(k, 4 - k, 1)), k = (n + 6 h) mod 6, n = 5, 3, 1.
    k = (torch.tensor([5.0, 3.0, 1.0], dtype=torch.float64) + 6 * hue[:, None]) % 6
    colours = value[:, None] * (1 - saturation[:, None] * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.where(numbers[:, None] == 0, 0.0, colours).float().to(ids.device)


def largest_instances(instances: Iterable[Tensor], most: int = 100) -> Tensor:
    """Ids (N,) int64 of the objects with the most pixels in a clip, at most `most` of them: what Cosmos-Transfer's
    segmentation control was trained on. instances: chunks (T, H, W) of integers, 0 for none, which does not count."""
    areas: Counter[int] = Counter()
    for chunk in instances:
        ids, counts = chunk.long().unique(return_counts=True)
        areas.update(dict(zip(ids.tolist(), counts.tolist())))
    areas.pop(0, None)
    return torch.tensor(sorted(areas, key=lambda id: (-areas[id], id))[:most], dtype=torch.int64)


def instance_map(instances: Tensor, keep: Tensor | None = None) -> Tensor:
    """Paint instance ids: (T, H, W) integers, 0 for none, to (T, H, W, 3) float32 R'G'B' in [0, 1].

    keep: the ids (N,) that are painted, black for the others; default all. Cosmos-Transfer's segmentation control has
    distinct colours per object, drawn at random and the larger objects under the smaller; here no two overlap, and a
    colour belongs to the id, so cutting a clip into windows or losing an object changes no other object's colour.
    """
    if instances.is_floating_point() or instances.dim() != 3:
        raise UserError(
            f"Instances of shape {tuple(instances.shape)} and type {instances.dtype} came: give integers (T, H, W)."
        )
    ids, index = instances.long().unique(return_inverse=True)
    colours = instance_colours(ids)
    if keep is not None:
        colours[~torch.isin(ids, keep.to(ids.device))] = 0
    return colours[index]
