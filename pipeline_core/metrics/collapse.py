"""Frames that are no picture any more: flat or black ones, ones that repeat, and brightness that jumps between them.

All against the source, and nothing else is needed: no buffers, no flow, no network.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

import torch
from torch import Tensor

from .base import Figure, check_pair, luma, mean_figure

STILL = 1 / 255  # mean absolute change of a step in the source below which nothing moves in it to speak of
_REGIONS = 4  # jumps are looked at in a 4 x 4 grid of regions


class Collapse:
    """`contrast_least`: the lowest contrast of a frame, as a share of the source's; `motion_least`: the lowest change
    of a step, as a share of the source's; `jumps` and `jump_worst`: how brightness jumps from frame to frame.

    Contrast: standard deviation of the luma over the frame; 0 is a flat or black frame. Change: mean |frame_t -
    frame_{t-1}|; 0 is a frame that repeats the one before. Steps in which the source stands still (`STILL`) and frames
    of a flat source are left out. A jump: mean over a 4 x 4 grid of regions of the absolute regional mean of the luma
    of (output_t - output_{t-1}) - (source_t - source_{t-1}): motion is in both and falls out, noise averages out.
    `jumps` is the mean over all steps, which flicker raises; `jump_worst` the largest over the median, which a single
    seam raises and flicker does not.
    """

    def __init__(self) -> None:
        self._last: tuple[Tensor, Tensor] | None = None
        self._frames = 0
        self.series: dict[str, list] = {"contrast": [], "motion": [], "jumps": []}

    def update(self, output: Tensor, source: Tensor) -> None:
        """Both (T, H, W, 3) in [0, 1]."""
        output, source = check_pair(output, source, self._frames, "source")
        for ours, theirs in zip(output, source):
            lights = luma(ours), luma(theirs)
            self.series["contrast"].append(_share(*(float(light.std(correction=0)) for light in lights), 1e-3))
            motion = jump = None
            if self._last is not None:
                steps = ours - self._last[0], theirs - self._last[1]
                motion = _share(*(float(step.abs().mean()) for step in steps), STILL)
                jump = _regional(luma(steps[0] - steps[1]))
            self.series["motion"].append(motion)
            self.series["jumps"].append(jump)
            self._last = ours, theirs
        self._frames += len(output)

    def compute(self) -> dict[str, Figure]:
        jumps = _known(self.series["jumps"])
        short = "fewer than two frames"
        worst = Figure(None, "", "lower", short if not jumps else "nothing changes beyond the source")
        if jumps and median(jumps) > 0:
            worst = Figure(
                max(jumps) / median(jumps), "", "lower", f"at frame {self.series['jumps'].index(max(jumps))}"
            )
        return {
            "contrast_least": _least(self.series["contrast"], "no frame of the source has any contrast"),
            "motion_least": _least(self.series["motion"], "nothing moves in the source"),
            "jumps": mean_figure(jumps, "", "lower", short),
            "jump_worst": worst,
        }


def _share(ours: float, theirs: float, least: float) -> float | None:
    return ours / theirs if theirs >= least else None


def _regional(light: Tensor) -> float:
    """Mean over the regions of the absolute mean of each; regions of frames too small to have all are left out."""
    parts = [part for row in light.tensor_split(_REGIONS) for part in row.tensor_split(_REGIONS, 1) if part.numel()]
    return float(torch.stack([part.mean(dtype=torch.float64) for part in parts]).abs().mean())


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _least(values: list[float | None], absent: str) -> Figure:
    known = _known(values)
    if not known:
        return Figure(None, "", "higher", absent)
    return Figure(min(known), "", "higher", f"at frame {values.index(min(known))}")
