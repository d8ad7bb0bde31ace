"""Edge maps: the Canny operators that the edge controls of the model families were trained on."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import UserError
from .canny import canny, hysteresis

# Low and high thresholds of Cosmos-Transfer's presets, written as OpenCV takes them (for 8-bit pictures).
CANNY_PRESETS = {
    "very_low": (20 / 255, 50 / 255),
    "low": (50 / 255, 100 / 255),
    "medium": (100 / 255, 200 / 255),
    "high": (200 / 255, 300 / 255),
    "very_high": (300 / 255, 400 / 255),
}
# colour: cv2.Canny(frame, low, high), of Cosmos-Transfer1 and 2.5 and of Stable Diffusion's ControlNets. grey: the same
# on cv2.cvtColor's grey, of LTX-Video's IC-LoRA, Wan's Fun-Control and CARLA's Cosmos client. grey_l2: the Euclidean
# length on unrounded grey, of the embedded model. docs/models.md says where each was read.
COLOUR, GREY, GREY_L2 = EDGE_OPERATORS = ("colour", "grey", "grey_l2")
_GREY = (9798, 19235, 3735)  # BT.601 in 1/32768, as OpenCV rounds it
_CHUNK_PIXELS = 2_000_000


def edge_map(
    frames: Tensor,
    low: float = 100 / 255,
    high: float = 200 / 255,
    ignore: Tensor | None = None,
    operator: str = COLOUR,
) -> Tensor:
    """Canny edges of (T, H, W, 3) frames in [0, 1]; returns (T, H, W) float32, 1 on an edge and 0 elsewhere.

    `operator`: one of EDGE_OPERATORS, the one that the edge control was trained on. `low` and `high` are OpenCV's
    thresholds divided by 255 (`edge_map(frames, *CANNY_PRESETS["low"])`): they apply to the length of the unnormalised
    3x3 Sobel gradient, without smoothing. "colour" and "grey" round the frames to 8 bits and are then OpenCV's result
    bit for bit: |dx| + |dy|, in colour of the channel where that is largest. "grey_l2" is as `cv2.Canny(grey, ...,
    L2gradient=True)`, without rounding: the same for level and upright edges and up to 1.41 times less for slanting
    ones, a quarter fewer edge pixels than "colour" in a street scene.

    Give frames of the size that the model works at: edges that are resized are no longer one pixel wide.

    `ignore` is a bool mask (T, H, W) of regions that the edges must know nothing about, such as the lit
    faces of signal heads. They are blanked before detection and edges in them, or within one pixel of them,
    are erased after, so the result does not depend on the pixels inside.

    Raises UserError for other shapes, values outside [0, 1], NaN, thresholds not 0 < low <= high, or an unknown
    operator.
    """
    _check(frames, low, high, ignore, operator)
    T, H, W, _ = frames.shape
    edges = torch.zeros(T, H, W, device=frames.device)
    step = max(1, _CHUNK_PIXELS // max(1, H * W))
    for t in range(0, T, step):
        chunk = frames[t : t + step].float()
        lowest, highest = torch.stack(torch.aminmax(chunk)).tolist()
        if not (lowest >= 0 and highest <= 1):
            raise UserError(
                f"Frames with values from {lowest:.3g} to {highest:.3g} came for the edge map: give values in [0, 1]."
            )
        mask = None if ignore is None else ignore[t : t + step].bool().to(chunk.device)
        part = _euclidean(chunk, low, high, mask) if operator == GREY_L2 else _opencv(chunk, low, high, mask, operator)
        if mask is not None:
            part &= F.max_pool2d(mask[:, None].float(), 3, 1, 1)[:, 0] == 0
        edges[t : t + step] = part
    return edges


def _check(frames: Tensor, low: float, high: float, ignore: Tensor | None, operator: str) -> None:
    if frames.dim() != 4 or frames.shape[-1] != 3:
        raise UserError(f"Frames of shape {tuple(frames.shape)} came for the edge map: give (T, H, W, 3).")
    if not 0 < low <= high:
        raise UserError(f"Edge thresholds {low:g} and {high:g} came: give 0 < low <= high.")
    if ignore is not None and ignore.shape != frames.shape[:3]:
        raise UserError(
            f"An ignore mask of shape {tuple(ignore.shape)} came for frames {tuple(frames.shape)}: "
            "give one mask (H, W) per frame."
        )
    if operator not in EDGE_OPERATORS:
        raise UserError(f"The edge operator {operator!r} is unknown: choose one of {', '.join(EDGE_OPERATORS)}.")


def _opencv(frames: Tensor, low: float, high: float, mask: Tensor | None, operator: str) -> Tensor:
    """The operators "colour" and "grey" of frames (T, H, W, 3) in [0, 1]: bool (T, H, W)."""
    planes = (frames.movedim(-1, 1) * 255).round().to(torch.uint8)
    if operator == GREY:
        red, green, blue = (planes[:, channel].int() * weight for channel, weight in enumerate(_GREY))
        planes = ((red + green + blue + 16384) >> 15).to(torch.uint8)[:, None]
    if mask is not None:
        planes = planes.masked_fill(mask[:, None], 0)
    # OpenCV rounds its thresholds down; the division by 255 must not make 100 a 99.
    return canny(planes, *(math.floor(255 * value + 1e-6) for value in (low, high)))


def _euclidean(frames: Tensor, low: float, high: float, mask: Tensor | None) -> Tensor:
    """The operator "grey_l2" of frames (T, H, W, 3) in [0, 1]: bool (T, H, W)."""
    from kornia.filters import canny as kornia_canny

    grey = frames @ torch.tensor([0.299, 0.587, 0.114], device=frames.device)
    if mask is not None:
        grey = grey.masked_fill(mask, 0.0)
    # kornia's thresholds are in units of the Sobel sum too, but some of its releases refuse any above 1.
    # The gradient is linear, so a picture and thresholds divided by 8 alike give the same edges.
    graded = kornia_canny(grey[:, None] / 8, low / 8, high / 8, kernel_size=(1, 1), hysteresis=False, eps=1e-12)[1]
    padded = F.pad(graded[:, 0], (1, 1, 1, 1))  # 0.5 on weak edges, 1 on strong ones
    places = (padded > 0).flatten().nonzero()[:, 0]
    edges = torch.zeros(padded.shape, dtype=torch.bool, device=frames.device)
    edges.view(-1)[hysteresis(places, padded.flatten()[places] == 1, padded.shape)] = True
    return edges[:, 1:-1, 1:-1]
