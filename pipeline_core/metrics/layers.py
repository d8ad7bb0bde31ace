"""Layers: is the background one plain colour, and the foreground where its true alpha says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..doors import open_picture
from ..errors import UserError
from .base import Figure, check_frames, mean_figure

PLAIN, SOLID = 0.06, 0.18  # distances from the background's colour at which a pixel begins and ends to be foreground
EMPTY = 1 / 255  # alpha up to which a pixel is background
_NEEDED = "give the alpha folder of render-cg: 000000.png and so on, a grey picture of every frame"


def read_alpha(folder: Path, start: int, stop: int, size: tuple[int, int]) -> Tensor:
    """Frames start .. stop - 1 of alpha pictures, (T, H, W) in [0, 1]. UserError for what are none of that size."""
    planes = []
    for frame in range(start, stop):
        path = folder / f"{frame:06d}.png"
        if not path.is_file():
            raise UserError(f"{path} does not exist: {_NEEDED}.")
        with open_picture(path, _NEEDED) as picture:
            values = np.asarray(picture)
        if values.shape != tuple(size) or values.dtype != np.uint8:
            raise UserError(f"{path} is no 8-bit grey picture of {size[0]}x{size[1]}: {_NEEDED}.")
        planes.append(torch.from_numpy(values.copy()).float() / 255)
    return torch.stack(planes)


class Layers:
    """`background_spread` and `alpha_error` of an output whose true alpha is known.

    The background's colour is the median over all pixels that are empty in the frame's alpha. The spread is the root
    mean square of their distances from it, in R'G'B' of [0, 1], largest when anything of a scene shows through. The
    error is the mean over the whole frame of |a - alpha|, where a rises from 0 to 1 with a pixel's distance from that
    colour, between .06 and .18: a matte by difference. Foregrounds of the background's own colour are holes in it.
    """

    def __init__(self) -> None:
        self._frames = 0
        self.series: dict[str, list] = {"background_spread": [], "alpha_error": []}

    def update(self, output: Tensor, alpha: Tensor) -> None:
        """output (T, H, W, 3) in [0, 1]; alpha (T, H, W) in [0, 1], of the same frames and size."""
        output = check_frames(output, "output", self._frames)
        if alpha.shape != output.shape[:3]:
            raise UserError(
                f"Alpha {tuple(alpha.shape)} came for an output {tuple(output.shape)}: give (T, H, W) of the same "
                "frames and size."
            )
        for frame, plane in zip(output.cpu(), alpha.cpu(), strict=True):
            spread = error = None
            empty = plane <= EMPTY
            if empty.any():
                plain = frame[empty].median(dim=0).values
                apart = (frame - plain).norm(dim=-1)
                spread = float(apart[empty].square().mean().sqrt())
                matte = ((apart - PLAIN) / (SOLID - PLAIN)).clamp(0, 1)
                error = float((matte - plane).abs().mean())
            self.series["background_spread"].append(spread)
            self.series["alpha_error"].append(error)
            self._frames += 1

    def compute(self) -> dict[str, Figure]:
        full = "the foreground fills every frame"
        return {name: mean_figure(values, "", "lower", full) for name, values in self.series.items()}
