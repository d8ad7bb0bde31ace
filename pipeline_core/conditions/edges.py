"""Canny edge maps, the edge control of Cosmos-Transfer1 (its five threshold presets)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import UserError

# Low and high thresholds of Cosmos-Transfer1's presets, written as OpenCV takes them (for 8-bit pictures).
CANNY_PRESETS = {
    "very_low": (20 / 255, 50 / 255),
    "low": (50 / 255, 100 / 255),
    "medium": (100 / 255, 200 / 255),
    "high": (200 / 255, 300 / 255),
    "very_high": (300 / 255, 400 / 255),
}
_CHUNK_PIXELS = 4_000_000


def edge_map(frames: Tensor, low: float = 100 / 255, high: float = 200 / 255, ignore: Tensor | None = None) -> Tensor:
    """Canny edges of (T, H, W, 3) frames in [0, 1]; returns (T, H, W) float32, 1 on an edge and 0 elsewhere.

    `low` and `high` are OpenCV's thresholds divided by 255 (`edge_map(frames, *CANNY_PRESETS["low"])`):
    they apply to the Euclidean length of the unnormalised 3x3 Sobel gradient of the grey picture (BT.601
    weights), without smoothing, as in `cv2.Canny(grey, 255 * low, 255 * high, L2gradient=True)`. OpenCV's
    default sums the absolute parts instead, which is the same for level and upright edges and up to 1.41
    times more for slanting ones.

    `ignore` is a bool mask (T, H, W) of regions that the edges must know nothing about, such as the lit
    faces of signal heads. They are blanked before detection and edges in them, or within one pixel of them,
    are erased after, so the result does not depend on the pixels inside.

    Raises UserError for other shapes, values outside [0, 1], NaN, or thresholds not 0 < low <= high.
    """
    from kornia.filters import canny

    if frames.dim() != 4 or frames.shape[-1] != 3:
        raise UserError(f"Frames of shape {tuple(frames.shape)} came for the edge map: give (T, H, W, 3).")
    if not 0 < low <= high:
        raise UserError(f"Edge thresholds {low:g} and {high:g} came: give 0 < low <= high.")
    if ignore is not None and ignore.shape != frames.shape[:3]:
        raise UserError(
            f"An ignore mask of shape {tuple(ignore.shape)} came for frames {tuple(frames.shape)}: "
            "give one mask (H, W) per frame."
        )
    T, H, W, _ = frames.shape
    edges = torch.zeros(T, H, W, device=frames.device)
    step = max(1, _CHUNK_PIXELS // max(1, H * W))
    for t in range(0, T, step):
        chunk = frames[t : t + step].float()
        lowest, highest = (float(v) for v in torch.aminmax(chunk))
        if not (lowest >= 0 and highest <= 1):
            raise UserError(
                f"Frames with values from {lowest:.3g} to {highest:.3g} came for the edge map: give values in [0, 1]."
            )
        grey = chunk @ torch.tensor([0.299, 0.587, 0.114], device=chunk.device)
        mask = None if ignore is None else ignore[t : t + step].bool()
        if mask is not None:
            grey = grey.masked_fill(mask, 0.0)
        # kornia's thresholds are in units of the Sobel sum too, but some of its releases refuse any above 1.
        # The gradient is linear, so a picture and thresholds divided by 8 alike give the same edges.
        graded = canny(grey[:, None] / 8, low / 8, high / 8, kernel_size=(1, 1), hysteresis=False, eps=1e-12)[1]
        found = _connect(graded)
        if mask is not None:
            found = found.masked_fill(F.max_pool2d(mask[:, None].float(), 3, 1, 1) > 0, 0.0)
        edges[t : t + step] = found[:, 0]
    return edges


def _connect(graded: Tensor) -> Tensor:
    """Hysteresis: weak edges (0.5) that touch a strong one (1), directly or through weak ones, become edges.

    The same as kornia's own, which looks at every pixel again in every round; here only the edges' newest ends are.
    """
    padded = F.pad(graded, (1, 1, 1, 1))  # so that no pixel has a neighbour beyond the border
    width = padded.shape[-1]
    waiting, found = (padded > 0).flatten(), (padded == 1).flatten()
    waiting &= ~found
    steps = torch.tensor([-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1], device=graded.device)
    ends = found.nonzero()
    while len(ends):
        near = (ends + steps).flatten()
        ends = near[waiting[near]].unique()[:, None]
        waiting[ends] = False
        found[ends] = True
    return found.view(padded.shape)[..., 1:-1, 1:-1].float()
