"""Canny edges exactly as OpenCV finds them (aperture 3, L1 length), in integers, on any device; and its hysteresis.

Canny 1986, with OpenCV's choices: Sobel sums over a replicated border, |dx| + |dy| for the length, of several channels
the one where that is largest, thinning between four directions that are told apart by a fixed-point tan(22.5 degrees),
nothing beyond the border, and weak edges kept where they reach a strong one over the 8 neighbours.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_TAN = 13573  # tan(22.5 degrees) * 2**15, as OpenCV rounds it; tan(67.5) is that of 22.5 plus 2
_ROUNDS = 4  # of joining between two looks at whether anything changed: a look makes a GPU wait


def canny(planes: Tensor, low: int, high: int) -> Tensor:
    """Edges (T, H, W) bool of 8-bit planes (T, C, H, W) uint8, bit for bit `cv2.Canny(frame, low, high)`.

    low, high: thresholds on |dx| + |dy| of the unnormalised 3x3 Sobel sums, up to 2040; a pixel counts above them.
    """
    dx, dy, length = _strongest(*_sobel(planes))
    # A free row above and below and a free column at both sides: no pixel has a neighbour in another row or frame.
    around = F.pad(length, (1, 1, 1, 1))
    places = (around > low).flatten().nonzero()[:, 0]
    places = places[_peaks(dx, dy, around, places)]
    strong = around.flatten()[places] > high
    edges = torch.zeros(around.shape, dtype=torch.bool, device=planes.device)
    edges.view(-1)[hysteresis(places, strong, around.shape)] = True
    return edges[:, 1:-1, 1:-1]


def _sobel(planes: Tensor) -> tuple[Tensor, Tensor]:
    """Unnormalised Sobel sums dx, dy (T, C, H, W) int16, of planes whose outermost pixels are repeated."""
    p = torch.cat([planes[:, :, :1], planes, planes[:, :, -1:]], 2)
    p = torch.cat([p[..., :1], p, p[..., -1:]], 3).to(torch.int16)
    rows = p[:, :, :-1] + p[:, :, 1:]  # the weights 1, 2, 1 are two sums of neighbours
    columns = p[..., :-1] + p[..., 1:]
    down, across = rows[:, :, :-1] + rows[:, :, 1:], columns[..., :-1] + columns[..., 1:]
    return down[..., 2:] - down[..., :-2], across[:, :, 2:] - across[:, :, :-2]


def _strongest(dx: Tensor, dy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """dx, dy and their length (T, H, W) of the channel where it is largest, of equal ones the first."""
    length = dx.abs() + dy.abs()
    best = [each[:, 0] for each in (dx, dy, length)]
    for channel in range(1, dx.shape[1]):
        longer = length[:, channel] > best[2]
        best = [torch.where(longer, each[:, channel], old) for each, old in zip((dx, dy, length), best)]
    return tuple(best)


def _peaks(dx: Tensor, dy: Tensor, around: Tensor, places: Tensor) -> Tensor:
    """Whether the length at `places` of `around` (T, H + 2, W + 2) is a peak along the gradient: bool (N,)."""
    pitch = around.shape[2]
    x, y = (F.pad(each, (1, 1, 1, 1)).flatten()[places].int() for each in (dx, dy))
    falling = (x ^ y) < 0  # the signs differ
    x, y = x.abs(), y.abs() << 15
    tangent = x * _TAN
    level, upright = y < tangent, y > tangent + (x << 16)
    step = torch.where(falling, pitch - 1, pitch + 1).masked_fill(upright, pitch).masked_fill(level, 1)
    lengths = around.flatten()
    here, before, after = lengths[places], lengths[places - step], lengths[places + step]
    return (here > before) & ((here > after) | (here == after) & (level | upright))


def hysteresis(places: Tensor, strong: Tensor, shape: torch.Size) -> Tensor:
    """Those of `places` that reach a strong one over 8-neighbours, each of which is among them too.

    places: ascending flat indices (N,) into frames of `shape` (T, H, W) whose outermost pixels are not among them;
    strong: bool (N,). Labels the connected parts by their first pixel: every label is replaced by its neighbours' least
    and then by that label's own, so that long lines take few rounds (Shiloach and Vishkin 1982).
    """
    if len(places) == 0:
        return places
    index = torch.full((shape.numel(),), -1, dtype=torch.int32, device=places.device)
    own = torch.arange(len(places), device=places.device)
    index[places] = own.int()
    width, neighbours = shape[2], []
    for step in (-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1):
        there = index[places + step].long()
        neighbours.append(torch.where(there < 0, own, there))
    label, settled = own, None
    while settled is None or not torch.equal(label, settled):
        settled = label
        for _ in range(_ROUNDS):
            least = label
            for there in neighbours:
                least = torch.minimum(least, label[there])
            label = torch.minimum(label.scatter_reduce(0, label, least, "amin"), least)
            label = label[label]
    reaching = torch.zeros_like(strong)
    reaching[label[strong]] = True
    return places[reaching[label]]
