"""Frames as the model wants them: floats, at a size it can work at, and back at the clip's own."""

import torch
import torch.nn.functional as F
from torch import Tensor

LONGEST = 8  # the longer side of a working size by the shorter


def working_size(size: tuple[int, int], trained: tuple[int, int], multiple: int) -> tuple[int, int]:
    """The size (height, width) the model works at: multiples of `multiple`, about the area it was trained at, and
    the clip's own shape as nearly as that allows, up to LONGEST: models have no place for longer ones."""
    area = trained[0] * trained[1]
    best = None
    for height in range(multiple, 8 * trained[0], multiple):
        for width in range(multiple, 8 * trained[1], multiple):
            if 0.8 * area <= height * width <= 1.2 * area and max(height, width) <= LONGEST * min(height, width):
                stretch = abs(torch.log(torch.tensor(width / height * size[0] / size[1])).item())
                off = abs(height * width / area - 1)
                if best is None or (round(stretch, 6), off) < best[0]:
                    best = ((round(stretch, 6), off), (height, width))
    return best[1]


def as_floats(frames: Tensor) -> Tensor:
    """uint8 frames to [0, 1]; floats as they are, half precision (see colour.to_rgb) as single."""
    if frames.dtype == torch.uint8:
        return frames.float() / 255
    return frames.float() if frames.dtype == torch.float16 else frames


def area_resize(clip: Tensor, size: tuple[int, int]) -> Tensor:
    """(T, H, W, 3) in [0, 1] to another (height, width), every pixel the mean of what it covers: OpenCV's INTER_AREA.

    Enlarged pixels stay blocks with blended seams.
    """
    if tuple(clip.shape[1:3]) == tuple(size):
        return clip
    rows, columns = (_coverage(old, new, clip) for old, new in zip(clip.shape[1:3], size))
    return torch.einsum("yh,thwc,xw->tyxc", rows, clip, columns)


def _coverage(old: int, new: int, like: Tensor) -> Tensor:
    """(new, old): the share of each new pixel that an old one covers, along an axis."""
    ends = torch.arange(new + 1, dtype=torch.float64) * (old / new)
    pixels = torch.arange(old, dtype=torch.float64)
    overlap = torch.minimum(ends[1:, None], pixels + 1) - torch.maximum(ends[:-1, None], pixels)
    return (overlap.clamp(min=0) * (new / old)).to(like.device, like.dtype)


def resize(clip: Tensor, size: tuple[int, int]) -> Tensor:
    """(T, H, W, 3) to another (height, width), bicubic with antialiasing, as Cosmos-Transfer2.5 was trained; unchanged
    if it fits."""
    if tuple(clip.shape[1:3]) == tuple(size):
        return clip
    planes = F.interpolate(clip.permute(0, 3, 1, 2), size=tuple(size), mode="bicubic", antialias=True)
    return planes.clamp(0, 1).permute(0, 2, 3, 1)


def middle_pixels(old: int, new: int) -> Tensor:
    """Which of `old` pixels along an axis stands at the middle of each of `new` ones, (new,) int64: for codes, which
    cannot be averaged."""
    return ((torch.arange(new) + 0.5) * (old / new)).long().clamp(max=old - 1)
