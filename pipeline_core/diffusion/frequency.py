"""Spatial low-pass filters over the last two axes, frame by frame; every other axis is left alone.

Two boxes in the FFT plane, nu in (0, 1] the cut-off as a share of each axis' Nyquist frequency, m = int(size // 2 * nu)
rows and columns each side of DC:

    filter      keeps           projection   at nu = 1               at m = 0
    box         -m .. m - 1     no           identity, even sizes    empty
    symmetric   -m .. m         yes          identity, every size    the mean alone

"box" and the real part of the inverse transform are what the Noise Calibration code does: the half-open edge makes it
halve the gain at -m.
"""

import torch
from torch import Tensor

from ..errors import UserError

FILTERS = ("box", "symmetric")


def _keep(size: int, nu: float, kind: str, device: torch.device) -> Tensor:
    """Which FFT bins of an axis to keep, in fftfreq order."""
    m = int(size // 2 * nu)
    k = torch.fft.fftfreq(size, 1 / size, device=device).round()
    return (k >= -m) & (k < m) if kind == "box" else k.abs() <= m


def check_filter(shape: tuple[int, ...], nu: float, kind: str) -> None:
    """Refuse an unknown filter, a nu out of range and a box that keeps nothing. Raises UserError."""
    if kind not in FILTERS:
        raise UserError(f"filter is {kind!r}, but one of {', '.join(FILTERS)} is needed; change filter.")
    if not 0 < nu <= 1:
        raise UserError(f"nu is {nu}, but it has to be above 0 and at most 1; change nu.")
    if len(shape) < 4:
        raise UserError(f"The latent has shape {tuple(shape)}, but (B, C, H, W) or (B, C, T, H, W) is needed.")
    height, width = shape[-2:]
    if kind == "box" and int(min(height, width) // 2 * nu) < 1:
        raise UserError(
            f"On {height}x{width} latents nu {nu} leaves the box filter empty, so it would change nothing; "
            f"raise nu to at least {1 / max(1, min(height, width) // 2):.3g} or set filter to symmetric."
        )


def low_pass(x: Tensor, nu: float, kind: str = "box") -> Tensor:
    """L(x): the part of x (..., H, W) below nu of Nyquist on both axes; x - low_pass(x) is the high-pass
    H(x).

    The transform runs in float32 at least; the result has x's dtype and shape. Raises UserError, see
    `check_filter`.
    """
    check_filter(tuple(x.shape), nu, kind)
    work = x if x.dtype == torch.float64 else x.float()
    rows, columns = (_keep(size, nu, kind, x.device) for size in x.shape[-2:])
    spectrum = torch.fft.fft2(work) * (rows[:, None] & columns)
    return torch.fft.ifft2(spectrum).real.to(x.dtype)


def radial_frequency(height: int, width: int) -> Tensor:
    """Distance from DC of every FFT bin (H, W), 1 at the Nyquist frequency of an axis, in fftfreq order; float64, on
    the CPU."""
    y, x = (2 * torch.fft.fftfreq(size, dtype=torch.float64) for size in (height, width))
    return torch.hypot(y[:, None], x)
