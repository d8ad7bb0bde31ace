"""Pixels that stay as they are: a screen display burnt into the frames, a bonnet, a watermark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..conditions.pictures import read_picture
from ..errors import UserError


def read_keep_mask(path: Path, size: tuple[int, int]) -> Tensor:
    """A picture as a mask (H, W) bool: what is lighter than mid-grey is kept.

    size: (height, width) of the clip. Raises UserError for a picture that cannot be read and one of another size.
    """
    picture = read_picture(path)
    most = np.iinfo(picture.dtype).max if picture.dtype.kind in "ui" else 1.0
    light = torch.from_numpy((picture / most).astype(np.float32))
    return keep_mask(light.mean(-1) if light.dim() == 3 else light, size)


def keep_mask(light: Tensor, size: tuple[int, int]) -> Tensor:
    """A mask (H, W) in [0, 1] as bool, true where it is at least a half; UserError unless it has the clip's size."""
    if tuple(light.shape) != tuple(size):
        came = "x".join(map(str, reversed(light.shape)))
        raise UserError(
            f"The keep mask came as {came} but the clip is {size[1]}x{size[0]}: give one mask of the clip's size to "
            "keep."
        )
    return light >= 0.5
