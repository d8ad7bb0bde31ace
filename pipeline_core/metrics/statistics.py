"""Colour and texture statistics: how far hues and gradients of the output lie from a reference's, as distributions."""

from __future__ import annotations

import torch
from torch import Tensor

from .base import Figure, check_frames
from .frequency import gradient_magnitude

_HUES, _GRADIENTS = 360, 1024


def hue_and_chroma(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Hue of HSV in degrees [0, 360) and chroma max - min in [0, 1] of (..., 3) frames; hue 0 where chroma is 0."""
    r, g, b = frames.unbind(-1)
    high, low = torch.maximum(torch.maximum(r, g), b), torch.minimum(torch.minimum(r, g), b)
    chroma = high - low
    safe = chroma.clamp(min=1e-12)
    sector = torch.where(high == r, (g - b) / safe % 6, torch.where(high == g, (b - r) / safe + 2, (r - g) / safe + 4))
    return torch.where(chroma > 0, 60 * sector, 0.0) % 360, chroma


def circular_distance(a: Tensor, b: Tensor) -> float:
    """1-Wasserstein distance of two histograms on a circle, in turns: mean |D - median(D)|, D the CDFs' difference.

    Rabin, Delon and Gousseau 2011, "Transportation distances on the circle", equation 12. a, b: (bins,), sums above 0.
    """
    difference = (a.double() / a.double().sum() - b.double() / b.double().sum()).cumsum(0)
    return float((difference - difference.median()).abs().mean())


class ColourAndGradient:
    """Distances between the output's and a reference's statistics over the clips, which need not be aligned.

    `hue_distance`: 1-Wasserstein distance on the colour circle, in degrees, of hue histograms weighted by chroma;
    `chroma`: the output's mean chroma, and `chroma_ratio` to the reference's; `gradient_distance`: 1-Wasserstein
    distance of the distributions of the luma gradient's length (`gradient_magnitude`), in luma per pixel;
    `gradient_ratio`: mean gradient of the output over the reference's (below 1: smoother). A simulator render
    differs from photographs in both: saturated hues, and too many zero and too many hard gradients.
    """

    def __init__(self) -> None:
        self._hue = [torch.zeros(_HUES, dtype=torch.float64) for _ in range(2)]
        self._gradient = [torch.zeros(_GRADIENTS, dtype=torch.float64) for _ in range(2)]
        self._chroma, self._slope, self._pixels, self._slopes, self._frames = [0.0] * 2, [0.0] * 2, [0] * 2, [0] * 2, 0

    def update(self, output: Tensor) -> None:
        """output (T, H, W, 3) in [0, 1]."""
        self._add(0, check_frames(output, "output", self._frames))
        self._frames += len(output)

    def update_reference(self, reference: Tensor) -> None:
        """Frames (T, H, W, 3) in [0, 1] the output is to resemble, as many as wanted."""
        self._add(1, check_frames(reference, "reference"))

    def _add(self, side: int, frames: Tensor) -> None:
        for frame in frames.split(1):  # one by one: what one frame needs stays near the processor
            self._add_frame(side, frame)

    def _add_frame(self, side: int, frames: Tensor) -> None:
        hue, chroma = (v.flatten().cpu() for v in hue_and_chroma(frames.clamp(0, 1)))
        bins = (hue * (_HUES / 360)).long().clamp(max=_HUES - 1)
        self._hue[side] += torch.bincount(bins, chroma.double(), _HUES)
        self._chroma[side] += float(chroma.double().sum())
        self._pixels[side] += chroma.numel()
        gradient = gradient_magnitude(frames).flatten().cpu()
        bins = (gradient * (_GRADIENTS / 2**0.5)).long().clamp(max=_GRADIENTS - 1)
        self._gradient[side] += torch.bincount(bins, minlength=_GRADIENTS).double()
        self._slope[side] += float(gradient.double().sum())
        self._slopes[side] += gradient.numel()

    def compute(self) -> dict[str, Figure]:
        names = {"hue_distance": ("degrees", "lower"), "chroma": ("", ""), "chroma_ratio": ("", ""),
                 "gradient_distance": ("", "lower"), "gradient_ratio": ("", "")}  # fmt: skip
        values: dict[str, float | None] = dict.fromkeys(names)
        notes = dict.fromkeys(names, "no frames" if not self._pixels[0] else "no reference was given")
        if self._pixels[0]:
            values["chroma"], notes["chroma"] = self._chroma[0] / self._pixels[0], ""
        if all(self._pixels):
            means = [chroma / n for chroma, n in zip(self._chroma, self._pixels)]
            grey = [who for who, mean in zip(("output", "reference"), means) if mean < 1e-4]
            notes.update(dict.fromkeys(("hue_distance", "chroma_ratio"), f"no colour in the {' and the '.join(grey)}"))
            if not grey:
                values["hue_distance"], notes["hue_distance"] = 360 * circular_distance(*self._hue), ""
            if "reference" not in grey:
                values["chroma_ratio"], notes["chroma_ratio"] = means[0] / means[1], ""
            self._compare_gradients(values, notes)
        return {name: Figure(values[name], *what, notes[name]) for name, what in names.items()}

    def _compare_gradients(self, values: dict, notes: dict) -> None:
        notes.update(dict.fromkeys(("gradient_distance", "gradient_ratio"), "frames are one pixel wide or tall"))
        if all(self._slopes):
            a, b = (g / g.sum() for g in self._gradient)
            values["gradient_distance"] = float((a - b).cumsum(0).abs().sum()) * 2**0.5 / _GRADIENTS
            notes.update(gradient_distance="", gradient_ratio="no gradient in the reference")
            if self._slope[1]:
                values["gradient_ratio"] = self._slope[0] / self._slopes[0] / (self._slope[1] / self._slopes[1])
                notes["gradient_ratio"] = ""
