"""The source's detail in the result's colours: a local affine colour map, fitted small and applied at full size.

He and Sun, "Fast Guided Filter" (arXiv 1505.00996), with a colour guide, of the change from source to result: around
every pixel k of the small frames

    d = result - source ~ A_k^T source + b_k
    A_k = (cov(source) + eps 1)^-1 cov(source, d),  b_k = E[d] - A_k^T E[source]

over a (2 radius + 1)^2 window; the maps of all windows that see a pixel are averaged, enlarged smoothly, and applied to
the full-size source, to which the change is added. Edges and texture of the source come back at its own resolution, in
the result's light and colour. Of the change, not of the result: texture too fine or too faint for the small source
(asphalt, grass) leaves nothing to fit, and so it stays as it is in place of being smoothed away.
Where the model changed what is there (rain, lamps at night) no such map exists: what it leaves unexplained,

    u = E[|d - A^T source - b|^2],

takes the detail back, by exp(-u / trust^2), and the model's own pixels are shown. Continuous in both clips, so a steady
source and a steady result give a steady frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

RADIUS, EPS = 4, 3e-4  # pixels of the small frames; squared brightness
TRUST = 0.3  # what a map may leave unexplained, root mean square over the channels, before 1 - 1/e of its say is gone
_STRIP = 2**15  # full-size pixels worked on at once: what the maps take of them fits a processor's cache


@dataclass(frozen=True, eq=False)
class ColourMap:
    """A map per pixel of a small frame, from source to result. matrix (9, h, w): 1 + A^T row by row; offset (3, h, w):
    b; trust (1, h, w) in [0, 1]: how far the frame around the pixel is explained by it."""

    matrix: Tensor
    offset: Tensor
    trust: Tensor


def fit_colour_map(source: Tensor, result: Tensor, radius: int = RADIUS, eps: float = EPS) -> ColourMap:
    """The map from a small source frame (h, w, 3) to the small result (h, w, 3), both in [0, 1]."""
    guide, target = (frame.movedim(-1, 0).float() for frame in (source, result - source))
    mean = _box(torch.cat([guide, target]), radius)
    first, second = torch.triu_indices(3, 3)
    products = torch.cat([guide[first] * guide[second], *(guide * channel for channel in target), target * target])
    spread = _box(products, radius)
    covariance = spread[:6] - mean[first] * mean[second]
    shared = torch.stack([spread[6 + 3 * c : 9 + 3 * c] - mean[:3] * mean[3 + c] for c in range(3)])  # (change, source)
    own = spread[15:] - mean[3:].square()
    rows = torch.stack([_solved(covariance, eps, row) for row in shared])  # (change, source, h, w)
    offset = mean[3:] - (rows * mean[:3]).sum(1)
    unexplained = (own - (rows * shared).sum(1)).clamp_min(0).sum(0, keepdim=True)
    parts = _box(torch.cat([rows.flatten(0, 1), offset, unexplained]), radius)
    identity = torch.eye(3, device=parts.device).reshape(9, 1, 1)
    return ColourMap(identity + parts[:9], parts[9:12], torch.exp(-parts[12:] / TRUST**2))


def with_detail(full: Tensor, source: Tensor, result: Tensor, detail: float) -> Tensor:
    """A small result at the source's size with the source's detail: (H, W, 3) in [0, 1], on the result's device.

    full (H, W, 3): the source frame at its own size, in [0, 1] or uint8. source, result (h, w, 3): what the model saw
    and made of it. detail in [0, 1]: share of the map against plain enlargement; 0 is the enlargement alone.
    """
    size = tuple(full.shape[:2])
    planes = _enlarged(result.movedim(-1, 0).float(), size)
    if detail > 0:
        colour_map = fit_colour_map(source, result)
        maps = torch.cat([colour_map.matrix, colour_map.offset, detail * colour_map.trust])
        rows = max(1, _STRIP // size[1])
        for top in range(0, size[0], rows):
            strip = slice(top, min(size[0], top + rows))
            light = full[strip].to(result.device).movedim(-1, 0)
            light = light.float() / 255 if light.dtype == torch.uint8 else light.float()
            at = _rows(maps, strip, size)
            mapped = torch.stack([_applied(at[3 * c : 3 * c + 3], at[9 + c], light) for c in range(3)])
            planes[:, strip] = planes[:, strip].lerp(mapped, at[12])
    return planes.clamp_(0, 1).movedim(0, -1)


def _applied(row: Tensor, offset: Tensor, light: Tensor) -> Tensor:
    """One channel of A^T light + b."""
    value = torch.addcmul(offset, row[0], light[0])
    return value.addcmul_(row[1], light[1]).addcmul_(row[2], light[2])


def _box(planes: Tensor, radius: int) -> Tensor:
    """Mean over the window of every pixel, (C, h, w); beyond the border there is nothing to count."""
    return F.avg_pool2d(planes[None], 2 * radius + 1, 1, radius, count_include_pad=False)[0]


def _solved(covariance: Tensor, eps: float, right: Tensor) -> Tensor:
    """(S + eps 1)^-1 right for symmetric S as its 6 upper entries (6, h, w) and right (3, h, w): Cramer's rule."""
    xx, xy, xz, yy, yz, zz = covariance
    xx, yy, zz = xx + eps, yy + eps, zz + eps
    a, b, c = yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy
    d, e, f = xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy
    determinant = xx * a + xy * b + xz * c
    x, y, z = right
    return torch.stack([a * x + b * y + c * z, b * x + d * y + e * z, c * x + e * y + f * z]) / determinant


def _enlarged(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """(C, h, w) at another size, a new tensor."""
    if tuple(planes.shape[1:]) == size:
        return planes.clone()
    return F.interpolate(planes[None], size=size, mode="bicubic", antialias=True)[0].clamp_(0, 1)


def _rows(planes: Tensor, rows: slice, size: tuple[int, int]) -> Tensor:
    """Some rows of the planes (C, h, w) enlarged bilinearly to `size`."""
    height, width = planes.shape[1:]
    centres = (torch.arange(rows.start, rows.stop, device=planes.device) + 0.5) * (height / size[0]) - 0.5
    lower = centres.floor()
    share = (centres - lower)[:, None]
    above, below = (index.clamp(0, height - 1).long() for index in (lower, lower + 1))
    between = planes[:, above].lerp(planes[:, below], share)
    return F.interpolate(between[None], size=(len(centres), size[1]), mode="bilinear", align_corners=False)[0]
