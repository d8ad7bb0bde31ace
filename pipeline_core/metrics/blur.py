"""Blur SSIM as PAI-Bench defines it: both clips through one bilateral filter, then SSIM.

Definition read in SHI-Labs/physical-ai-bench, transfer/benchmark_pipelines/scores/transfer_bench; written anew.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..conditions.bilateral import bilateral
from .base import Figure, check_pair, mean_figure

# Cosmos-Transfer's "medium" blur control, for 8-bit pictures.
FILTER = {"diameter": 30, "sigma_colour": 150.0, "sigma_space": 100.0}


def uniform_ssim(x: Tensor, y: Tensor, data_range: float) -> Tensor:
    """SSIM of Wang et al. 2004, equation 13, over 7 x 7 boxes with sample covariance, mirrored at the border.

    x, y: (C, H, W) float64; returns the map (C, H, W). This is scikit-image's structural_similarity as it comes.
    """

    def mean(v: Tensor) -> Tensor:
        # scipy's "reflect": the edge pixel is repeated, which torch has no padding mode for.
        v = torch.cat([v[..., :3].flip(-1), v, v[..., -3:].flip(-1)], -1)
        v = torch.cat([v[..., :3, :].flip(-2), v, v[..., -3:, :].flip(-2)], -2)
        return F.avg_pool2d(v[None], 7, 1)[0]

    mx, my = mean(x), mean(y)
    sample = 49 / 48
    vx, vy, vxy = (sample * (mean(a * b) - p * q) for a, b, p, q in ((x, x, mx, mx), (y, y, my, my), (x, y, mx, my)))
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    return (2 * mx * my + c1) * (2 * vxy + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))


class BlurSSIM:
    """`blur_ssim`: mean over frames of `uniform_ssim` of the two `bilateral` pictures, the data range being that of
    the source's blurred frame; a frame whose blurred source is one flat value is left out."""

    def __init__(self) -> None:
        self._frames = 0
        self.series: dict[str, list] = {"blur_ssim": []}

    def update(self, output: Tensor, source: Tensor) -> None:
        """Both (T, H, W, 3) in [0, 1]."""
        output, source = check_pair(output, source, self._frames, "source")
        small = len(output) > 0 and min(output.shape[1:3]) <= FILTER["diameter"] // 2
        for ours, theirs in zip(output, source):
            value = None
            if not small:
                blurred = bilateral(torch.stack([ours, theirs]), **FILTER)
                a, b = (blurred * 255).round().permute(0, 3, 1, 2).double()
                spread = float(b.max() - b.min())
                value = float(uniform_ssim(b, a, spread).mean()) if spread else None
            self.series["blur_ssim"].append(value)
        self._frames += len(output)

    def compute(self) -> dict[str, Figure]:
        absent = "the blurred source is flat, or smaller than 16 x 16" if self._frames else "no frames"
        return {"blur_ssim": mean_figure(self.series["blur_ssim"], "", "higher", absent, "PAI-Bench")}
