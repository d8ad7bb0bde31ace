"""Nearness to a reference clip, pixel by pixel: PSNR, SSIM and the low-frequency error MSE_l."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from .base import Figure, check_pair


class PSNR:
    """10 log10(1 / MSE) in dB; the mean square is over all pixels, channels and frames of the clip."""

    def __init__(self) -> None:
        self._sum, self._count, self._frames = 0.0, 0, 0

    def update(self, output: Tensor, reference: Tensor) -> None:
        """Both (T, H, W, 3) in [0, 1]."""
        output, reference = check_pair(output, reference, self._frames)
        self._sum += float((output - reference).double().square().sum())
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

    x, y: (N, C, H, W) in [0, 1], H and W at least 11; returns (N, C, H - 10, W - 10). The window is an 11 x
    11 Gaussian of sigma 1.5, population variances, K1 = 0.01, K2 = 0.03, as in scikit-image with
    gaussian_weights.
    """
    r = torch.arange(-5, 6, device=x.device, dtype=torch.float64)
    w = torch.exp(-0.5 * (r / 1.5) ** 2)
    w = (w / w.sum()).to(x.dtype)
    N, C, H, W = x.shape
    # Variances are differences of squares; measured from the mean they lose fewer digits.
    centre = (x.mean((2, 3), keepdim=True) + y.mean((2, 3), keepdim=True)) / 2
    a, b = x - centre, y - centre
    stack = torch.stack([a, b, a * a, b * b, a * b]).reshape(-1, 1, H, W)
    blurred = F.conv2d(F.conv2d(stack, w.view(1, 1, 11, 1)), w.view(1, 1, 1, 11))
    ma, mb, aa, bb, ab = blurred.reshape(5, N, C, H - 10, W - 10)
    mx, my = ma + centre, mb + centre
    vx, vy, vxy = aa - ma * ma, bb - mb * mb, ab - ma * mb
    c1, c2 = 0.01**2, 0.03**2
    return (2 * mx * my + c1) * (2 * vxy + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))


class SSIM:
    """Mean SSIM (see `ssim_map`) over the channels and frames of the clip; undefined below 11 x 11 pixels."""

    def __init__(self) -> None:
        self._sum, self._frames, self._small = 0.0, 0, False

    def update(self, output: Tensor, reference: Tensor) -> None:
        """Both (T, H, W, 3) in [0, 1]."""
        output, reference = check_pair(output, reference, self._frames)
        self._small = min(output.shape[1:3]) < 11
        if not self._small:
            for x, y in zip(output, reference):
                x, y = x.permute(2, 0, 1)[None], y.permute(2, 0, 1)[None]
                self._sum += float(ssim_map(x, y).double().mean())
        self._frames += len(output)

    def compute(self) -> dict[str, Figure]:
        if self._frames == 0 or self._small:
            note = "no frames" if self._frames == 0 else "frames are smaller than the 11 x 11 window"
            return {"ssim": Figure(None, "", "higher", note)}
        return {"ssim": Figure(self._sum / self._frames, "", "higher")}


class LowFrequencyError:
    """MSE_l: mean square of the low-passed difference, the box |f| <= nu / 2 cycles per pixel in both
    directions.

    Computed from the spectrum of every frame (Parseval), so it is the error of the low-passed clips
    themselves. nu = 1 keeps everything and gives the plain MSE; nu = 0.5 is the noise-calibration papers'
    setting.
    """

    def __init__(self, nu: float = 0.5) -> None:
        self.nu, self._sum, self._frames = nu, 0.0, 0

    def update(self, output: Tensor, reference: Tensor) -> None:
        """Both (T, H, W, 3) in [0, 1]."""
        output, reference = check_pair(output, reference, self._frames)
        H, W = output.shape[1:3]
        spectrum = torch.fft.fft2(output - reference, dim=(1, 2))
        power = spectrum.real.double().square() + spectrum.imag.double().square()
        fy, fx = (torch.fft.fftfreq(n, dtype=torch.float64, device=output.device).abs() for n in (H, W))
        keep = (fy[:, None] <= self.nu / 2 + 1e-9) & (fx[None] <= self.nu / 2 + 1e-9)
        self._sum += float(power[:, keep].sum()) / (H * W) ** 2 / 3
        self._frames += len(output)

    def compute(self) -> dict[str, Figure]:
        if self._frames == 0:
            return {"mse_l": Figure(None, "", "lower", "no frames")}
        return {"mse_l": Figure(self._sum / self._frames, "", "lower", f"nu = {self.nu:g}")}
