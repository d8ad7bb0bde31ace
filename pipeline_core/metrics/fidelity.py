"""Nearness to a reference clip, pixel by pixel: PSNR, SSIM and the low-frequency error MSE_l."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from .base import Figure, check_pair, mean_figure

_STRIP = 1 << 17  # pixels that are worked on at once


class PSNR:
    """10 log10(1 / MSE) in dB; the mean square is over all pixels, channels and frames of the clip."""

    def __init__(self) -> None:
        self._sum, self._count, self._frames = 0.0, 0, 0
        self.series: dict[str, list] = {"psnr": []}

    def update(self, output: Tensor, reference: Tensor) -> None:
        """Both (T, H, W, 3) in [0, 1]."""
        output, reference = check_pair(output, reference, self._frames)
        per_frame = (output - reference).double().square().flatten(1).sum(1).tolist()
        pixels = output[0].numel() if len(output) else 0
        self.series["psnr"] += [10 * math.log10(pixels / error) if error else None for error in per_frame]
        self._sum += math.fsum(per_frame)
        self._count += output.numel()
        self._frames += len(output)

    def compute(self) -> dict[str, Figure]:
        if self._count == 0:
            return {"psnr": Figure(None, "dB", "higher", "no frames")}
        if self._sum == 0:
            return {"psnr": Figure(None, "dB", "higher", "the clips are identical: infinite")}
        return {"psnr": Figure(10 * math.log10(self._count / self._sum), "dB", "higher")}


def ssim_map(x: Tensor, y: Tensor) -> Tensor:
    """SSIM of Wang et al. 2004, equation 13, at every place where its window fits into the picture.

    As `ssim_maps`, whose first result this is.
    """
    return ssim_maps(x, y)[0]


def ssim_maps(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """SSIM of Wang et al. 2004, equation 13, and its contrast and structure terms alone (luminance left out).

    x, y: (N, C, H, W) in [0, 1], H and W at least 11; returns two (N, C, H - 10, W - 10). The window is an 11 x
    11 Gaussian of sigma 1.5, population variances, K1 = 0.01, K2 = 0.03, as in scikit-image with
    gaussian_weights.
    """
    N, C, H, W = x.shape
    # Variances are differences of squares; measured from the mean they lose fewer digits.
    centre = (x.mean((2, 3), keepdim=True) + y.mean((2, 3), keepdim=True)) / 2
    results = x.new_empty(2, N, C, H - 10, W - 10)
    # In pieces that stay in a processor's cache this is many times faster than in one.
    rows = max(16, _STRIP // W) if x.device.type == "cpu" else H
    planes = max(1, _STRIP // (H * W)) if x.device.type == "cpu" else N * C
    flat = [v.reshape(N * C, *v.shape[2:]) for v in (x, y, centre)]
    made = results.view(2, N * C, H - 10, W - 10)
    for p in range(0, N * C, planes):
        group = slice(p, p + planes)
        for row in range(0, H - 10, rows):
            piece = slice(row, min(row + rows, H - 10) + 10)
            u, v = flat[0][group, piece], flat[1][group, piece]
            made[:, group, row : piece.stop - 10] = _ssim_piece(u, v, flat[2][group])
    return results[0], results[1]


def _ssim_piece(x: Tensor, y: Tensor, centre: Tensor) -> Tensor:
    """SSIM and its structure term, stacked, of (P, h, w) planes; centre (P, 1, 1): any value near both means."""
    r = torch.arange(-5, 6, dtype=torch.float64)
    w = torch.exp(-0.5 * (r / 1.5) ** 2)
    w = (w / w.sum()).tolist()
    P = len(x)
    a, b = x - centre, y - centre
    smooth = torch.cat([a, b, a * a + b * b, a * b])
    for axis in (1, 2):
        n = smooth.shape[axis] - 10
        total = smooth.narrow(axis, 5, n) * w[5]
        for i in range(5):
            total.add_(smooth.narrow(axis, i, n) + smooth.narrow(axis, 10 - i, n), alpha=w[i])
        smooth = total
    ma, mb, squares, ab = smooth.split(P)
    mx, my = ma + centre, mb + centre
    variances, vxy = squares - ma * ma - mb * mb, ab - ma * mb
    c1, c2 = 0.01**2, 0.03**2
    structure = (2 * vxy + c2) / (variances + c2)
    return torch.stack([(2 * mx * my + c1) / (mx * mx + my * my + c1) * structure, structure])


class SSIM:
    """Mean SSIM (see `ssim_map`) over the channels and frames of the clip; undefined below 11 x 11 pixels."""

    def __init__(self) -> None:
        self._frames, self._small = 0, False
        self.series: dict[str, list] = {"ssim": []}

    def update(self, output: Tensor, reference: Tensor) -> None:
        """Both (T, H, W, 3) in [0, 1]."""
        output, reference = check_pair(output, reference, self._frames)
        self._small = min(output.shape[1:3]) < 11
        if not self._small:
            for x, y in zip(output, reference):
                x, y = x.permute(2, 0, 1)[None], y.permute(2, 0, 1)[None]
                self.series["ssim"].append(float(ssim_map(x, y).double().mean()))
        self._frames += len(output)

    def compute(self) -> dict[str, Figure]:
        if self._frames == 0 or self._small:
            note = "no frames" if self._frames == 0 else "frames are smaller than the 11 x 11 window"
            return {"ssim": Figure(None, "", "higher", note)}
        return {"ssim": mean_figure(self.series["ssim"], "", "higher", "no frames")}


MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


class MSSSIM:
    """MS-SSIM of Wang, Simoncelli and Bovik 2003, equation 7, with the paper's five scales and weights.

    Per channel the product over scales of the mean contrast-structure term (of SSIM itself at the coarsest
    scale) to the power of its weight, negative means counted as 0; then the mean over channels and frames. From
    scale to scale 2 x 2 pixels are averaged, an odd last row or column is left out. Undefined where a side is
    below 176 pixels, because the 11 x 11 window must fit at the coarsest scale.
    """

    def __init__(self) -> None:
        self._frames, self._small = 0, False
        self.series: dict[str, list] = {"ms_ssim": []}

    def update(self, output: Tensor, reference: Tensor) -> None:
        """Both (T, H, W, 3) in [0, 1]."""
        output, reference = check_pair(output, reference, self._frames)
        self._small = min(output.shape[1:3]) < 11 * 2 ** (len(MS_WEIGHTS) - 1)
        for x, y in zip(output, reference) if not self._small else ():
            x, y = x.permute(2, 0, 1)[None], y.permute(2, 0, 1)[None]
            value = torch.ones(1, dtype=torch.float64, device=x.device)
            for scale, weight in enumerate(MS_WEIGHTS, 1):
                ssim, structure = ssim_maps(x, y)
                term = ssim if scale == len(MS_WEIGHTS) else structure
                value = value * term.double().mean((2, 3)).clamp(min=0) ** weight
                x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
            self.series["ms_ssim"].append(float(value.mean()))
        self._frames += len(output)

    def compute(self) -> dict[str, Figure]:
        absent = "frames are smaller than 176 x 176" if self._small else "no frames"
        return {"ms_ssim": mean_figure(self.series["ms_ssim"], "", "higher", absent)}


class LowFrequencyError:
    """MSE_l: mean square of the low-passed difference, the box |f| <= nu / 2 cycles per pixel in both
    directions.

    Computed from the spectrum of every frame (Parseval), so it is the error of the low-passed clips
    themselves. nu = 1 keeps everything and gives the plain MSE; nu = 0.5 is the noise-calibration papers'
    setting.
    """

    def __init__(self, nu: float = 0.5) -> None:
        self.nu, self._frames = nu, 0
        self.series: dict[str, list] = {"mse_l": []}

    def update(self, output: Tensor, reference: Tensor) -> None:
        """Both (T, H, W, 3) in [0, 1]."""
        output, reference = check_pair(output, reference, self._frames)
        H, W = output.shape[1:3]
        spectrum = torch.fft.rfft2((output - reference).movedim(-1, 1))
        power = (spectrum.real.square() + spectrum.imag.square()).double().sum(1)
        fy = torch.fft.fftfreq(H, dtype=torch.float64, device=output.device).abs()
        fx = torch.fft.rfftfreq(W, dtype=torch.float64, device=output.device)
        keep = (fy[:, None] <= self.nu / 2 + 1e-9) & (fx[None] <= self.nu / 2 + 1e-9)
        # The half spectrum stands for both signs of fx, but for fx = 0 and, at even W, the last column.
        twice = torch.where((fx == 0) | (fx == 0.5), 1.0, 2.0)
        self.series["mse_l"] += ((power * keep * twice).sum((1, 2)) / (H * W) ** 2 / 3).tolist()
        self._frames += len(output)

    def compute(self) -> dict[str, Figure]:
        return {"mse_l": mean_figure(self.series["mse_l"], "", "lower", "no frames", f"nu = {self.nu:g}")}
