"""Nearness to a reference clip, pixel by pixel: PSNR, SSIM, MS-SSIM and the low-frequency error MSE_l."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from .base import Figure, check_pair, mean_figure

MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW, _SIGMA = 11, 1.5
_SMALLEST = _WINDOW * 2 ** (len(MS_WEIGHTS) - 1)
_C1, _C2 = 0.01**2, 0.03**2
_ROWS = 64  # of a picture that are transformed at once
_BLOCK = 16  # places of the window that are computed at once each way; a strip of so many rows stays in the cache


class PSNR:
    """10 log10(1 / MSE) in dB; the mean square is over all pixels, channels and frames of the clip."""

    def __init__(self) -> None:
        self._sum, self._count, self._frames = 0.0, 0, 0
        self.series: dict[str, list] = {"psnr": []}

    def update(self, output: Tensor, reference: Tensor) -> None:
        """Both (T, H, W, 3) in [0, 1]."""
        output, reference = check_pair(output, reference, self._frames)
        per_frame = [square_sum(difference) for difference in differences(output, reference)]
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


def ssim_means(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """SSIM of Wang et al. 2004, equation 13, and its contrast and structure terms alone, mean over each plane.

    x, y: (P, H, W) in [0, 1], H and W at least 11; returns two (P,) float64: the mean over the places where the
    window fits into the picture. The window is an 11 x 11 Gaussian of sigma 1.5, population variances, K1 = 0.01,
    K2 = 0.03, as in scikit-image with gaussian_weights.
    """
    P, H, W = x.shape
    reach = _WINDOW - 1
    band = _band(x)
    blocks, rest = divmod(W - reach, _BLOCK)
    held = x.new_empty(4, P, _BLOCK + reach, W)
    sums = x.new_zeros(2, P, dtype=torch.float64)
    for row in range(0, H - reach, _BLOCK):
        rows = min(_BLOCK, H - reach - row)
        strip = slice(row, row + rows + reach)
        # Variances are differences of squares; measured from a value near the means they lose fewer digits.
        centre = x[:, row].mean(1) + y[:, row].mean(1)
        moments = _moments(x[:, strip], y[:, strip], centre, held[:, :, : rows + reach])
        down = torch.matmul(band[:rows, : rows + reach], moments.flatten(0, 1))
        parts = [(down.as_strided((blocks, 4 * P * rows, _BLOCK + reach), (_BLOCK, W, 1)), _BLOCK)] if blocks else []
        if rest:
            parts.append((down.view(1, 4 * P * rows, W)[..., -(rest + reach) :], rest))
        for columns, width in parts:
            across = band[:width, : width + reach].T.expand(len(columns), -1, -1)
            smooth = torch.bmm(columns, across).view(len(columns), 4, P, rows * width)
            sums += _ssim_sums(*smooth.unbind(1), centre[:, None])
    return tuple(sums / ((H - reach) * (W - reach)))


def _band(like: Tensor) -> Tensor:
    """The window's taps as a banded matrix (16, 26): 16 neighbouring places of the window at once. Dense products
    of such small blocks are faster than any convolution, half of their factors being 0 notwithstanding."""
    taps = torch.exp(-0.5 * (torch.arange(_WINDOW, dtype=torch.float64) - _WINDOW // 2).square() / _SIGMA**2)
    rows = [F.pad(taps / taps.sum(), (i, _BLOCK - 1 - i)) for i in range(_BLOCK)]
    return torch.stack(rows).to(like)


def _moments(x: Tensor, y: Tensor, centre: Tensor, out: Tensor) -> Tensor:
    """s = x + y - centre, d = x - y, s^2 + 2 C2 and d^2, into `out` (4, P, rows, W): the window's means of these
    four say all that SSIM asks."""
    s, d, ss, dd = out
    torch.add(x, y, out=s).sub_(centre[:, None, None])
    torch.sub(x, y, out=d)
    torch.addcmul(s.new_tensor(2 * _C2), s, s, out=ss)
    torch.mul(d, d, out=dd)
    return out


def _ssim_sums(s: Tensor, d: Tensor, ss: Tensor, dd: Tensor, centre: Tensor) -> Tensor:
    """Sums (2, P) of SSIM and of its structure term from the smoothed `_moments` (blocks, P, places).

    2 sigma_xy = (var s - var d) / 2 and sigma_x^2 + sigma_y^2 = (var s + var d) / 2; the means likewise, `centre`
    (P, 1) put back. Numerators and denominators are both twice the equation's. The moments are overwritten.
    """
    d2 = d * d
    var_s, var_d = ss.addcmul_(s, s, value=-1), dd.sub_(d2)
    structure = (var_s - var_d).div_(var_s.add_(var_d))
    s = s.add_(centre)
    s2 = torch.addcmul(s.new_tensor(2 * _C1), s, s)
    whole = (s2 - d2).div_(s2.add_(d2)).mul_(structure)
    return torch.stack([part.sum(0).sum(1, dtype=torch.float64) for part in (whole, structure)])


class SSIM:
    """`ssim`: mean SSIM (see `ssim_means`) over the channels and frames; undefined below 11 x 11 pixels.

    `ms_ssim`: MS-SSIM of Wang, Simoncelli and Bovik 2003, equation 7, with the paper's five scales and weights. Per
    channel the product over scales of the mean contrast-structure term (of SSIM itself at the coarsest scale) to the
    power of its weight, negative means counted as 0; then the mean over channels and frames. From scale to scale 2 x 2
    pixels are averaged, an odd last row or column is left out. Undefined where a side is below 176 pixels, because the
    11 x 11 window must fit at the coarsest scale. The finest scale is `ssim`'s own, so both cost little more than one.
    """

    def __init__(self) -> None:
        self._frames, self._side = 0, 0
        self.series: dict[str, list] = {"ssim": [], "ms_ssim": []}

    def update(self, output: Tensor, reference: Tensor) -> None:
        """Both (T, H, W, 3) in [0, 1]."""
        output, reference = check_pair(output, reference, self._frames)
        self._side = min(output.shape[1:3])
        for pair in zip(output, reference) if self._side >= _WINDOW else ():
            x, y = (frame.permute(2, 0, 1).contiguous() for frame in pair)
            value = torch.ones(3, dtype=torch.float64, device=x.device)
            for scale in range(len(MS_WEIGHTS) if self._side >= _SMALLEST else 1):
                x, y = (halved(v) if scale else v for v in (x, y))
                ssim, structure = ssim_means(x, y)
                if scale == 0:
                    self.series["ssim"].append(float(ssim.mean()))
                term = ssim if scale == len(MS_WEIGHTS) - 1 else structure
                value = value * term.clamp(min=0) ** MS_WEIGHTS[scale]
            if self._side >= _SMALLEST:
                self.series["ms_ssim"].append(float(value.mean()))
        self._frames += len(output)

    def compute(self) -> dict[str, Figure]:
        small = {"ssim": "the 11 x 11 window", "ms_ssim": f"{_SMALLEST} x {_SMALLEST}"}
        return {
            name: mean_figure(
                values, "", "higher", f"frames are smaller than {small[name]}" if self._frames else "no frames"
            )
            for name, values in self.series.items()
        }


def halved(planes: Tensor) -> Tensor:
    """(P, H, W) to half the size, mean over 2 x 2 pixels; an odd last row or column is left out."""
    rows, columns = planes.shape[1] // 2, planes.shape[2] // 2
    pairs = planes[:, : 2 * rows : 2, : 2 * columns] + planes[:, 1 : 2 * rows : 2, : 2 * columns]
    return (pairs[..., ::2] + pairs[..., 1::2]).mul_(0.25)


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
        self.series["mse_l"] += [low_energy(d, self.nu) / d.numel() for d in differences(output, reference)]
        self._frames += len(output)

    def compute(self) -> dict[str, Figure]:
        return {"mse_l": mean_figure(self.series["mse_l"], "", "lower", "no frames", f"nu = {self.nu:g}")}


def low_energy(planes: Tensor, nu: float) -> float:
    """Sum of squares of (P, H, W) planes after the box |f| <= nu / 2 cycles per pixel each way, by Parseval."""
    P, H, W = planes.shape
    limit = nu / 2 + 1e-9
    fx = torch.fft.rfftfreq(W, dtype=torch.float64)
    # Only the columns that are kept go through the second transform, which then runs along memory. The first one's
    # strips are small: a whole spectrum's memory would cost more to get from the system than the transform.
    keep = int((fx <= limit).sum())
    columns = torch.empty(P, keep, H, dtype=planes.dtype.to_complex(), device=planes.device)
    for row in range(0, H, _ROWS):
        strip = torch.fft.rfft(planes[:, row : row + _ROWS])
        columns[..., row : row + _ROWS] = strip[..., :keep].transpose(1, 2)
    spectrum = torch.fft.fft(columns)[..., (torch.fft.fftfreq(H, dtype=torch.float64).abs() <= limit).to(planes.device)]
    energy = torch.view_as_real(spectrum).flatten(2).square().sum(2, dtype=torch.float64).sum(0).cpu()
    # The half spectrum stands for both signs of fx, but for fx = 0 and, at even W, the last column.
    fx = fx[: len(energy)]
    return float((energy * torch.where((fx == 0) | (fx == 0.5), 1.0, 2.0)).sum()) / (H * W)


def differences(output: Tensor, reference: Tensor) -> Iterator[Tensor]:
    """output - reference of two clips (T, H, W, 3), a frame at a time as planes (3, H, W) in one place in memory that
    the next frame takes."""
    held = None
    for ours, theirs in zip(output, reference):
        ours, theirs = ours.permute(2, 0, 1), theirs.permute(2, 0, 1)
        held = torch.empty_like(ours, memory_format=torch.contiguous_format) if held is None else held
        yield torch.sub(ours, theirs, out=held)


def square_sum(planes: Tensor) -> float:
    """Sum of squares, float32 along a row only and float64 from there."""
    return float(torch.linalg.vector_norm(planes, dim=-1).double().square().sum())
