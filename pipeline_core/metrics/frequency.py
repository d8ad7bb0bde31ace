"""How much fine detail a clip has: spatial frequency, and how far it is from a reference's."""

from __future__ import annotations

import torch
from torch import Tensor

from .base import Figure, check_pair, luma, mean_figure


def spatial_frequency(frames: Tensor) -> Tensor:
    """SF = sqrt(RF^2 + CF^2) (Eskicioglu and Fisher 1995, equations 1 to 3) of the luma of (T, H, W, 3) frames.

    RF and CF are the root mean square differences of neighbours along rows and along columns, each mean over the
    differences there are. Frames in [0, 1]; returns (T,) float64 in [0, 1.42], NaN for frames one pixel wide or tall.
    """
    return detail(luma(frames))


def detail(grey: Tensor) -> Tensor:
    """`spatial_frequency` of frames whose luma (T, H, W) is known."""
    squares = []
    for axis in (1, 2):
        steps = grey.diff(dim=axis)
        count = steps[0].numel() if len(steps) else 1
        # Single precision along a line only, double from there.
        lines = torch.linalg.vector_norm(steps, dim=2).double()
        squares.append(lines.square().sum(1) / count if count else torch.full_like(lines.sum(1), torch.nan))
    return (squares[0] + squares[1]).sqrt()


class SpatialFrequency:
    """`spatial_frequency` of the output, and D_SF = SF(output) - SF(reference), both mean over the frames.

    Noise Calibration (2407.10285) reports a D_SF without an equation in what we could read; the difference is our
    reading of it. Positive: the output has more fine detail or noise than the reference. Neither is better as such.
    """

    def __init__(self) -> None:
        self._frames = 0
        self.series: dict[str, list] = {"spatial_frequency": [], "d_sf": []}

    def update(self, output: Tensor, reference: Tensor) -> None:
        """Both (T, H, W, 3) in [0, 1]."""
        output, reference = check_pair(output, reference, self._frames)
        ours, theirs = spatial_frequency(output), spatial_frequency(reference)
        for name, values in (("spatial_frequency", ours), ("d_sf", ours - theirs)):
            self.series[name] += [v if v == v else None for v in values.tolist()]
        self._frames += len(output)

    def compute(self) -> dict[str, Figure]:
        absent = "frames are one pixel wide or tall" if self._frames else "no frames"
        return {name: mean_figure(values, "", "", absent) for name, values in self.series.items()}


def gradient_magnitude(frames: Tensor) -> Tensor:
    """Length of the luma's forward difference (along x and y) of (T, H, W, 3) frames: (T, H - 1, W - 1)."""
    grey = luma(frames)
    return torch.hypot(grey[:, :-1, 1:] - grey[:, :-1, :-1], grey[:, 1:, :-1] - grey[:, :-1, :-1])
