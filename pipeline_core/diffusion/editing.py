"""Making inverted noise editable: it is not white (correlated neighbours, other than unit variance), and prompts steer
less.

Each helper adds fresh noise somewhere, and each costs structure. On full inversions of the embedded model
(benchmarks/guidance.py, table "editing") a blend of 0.05, 0.1 and 0.3 cost 0.3, 0.6 and 1.6 dB to the photoreal twin,
re-noising below sigma 0.1 and 0.3 cost 0.1 and 0.4 dB, restoring high frequencies 0.6 dB, none of them with more
realism to show for it. So the recommended default of all three is off; a blend is there for variety, which a seed
then gives.
"""

import torch
from torch import Tensor

from ..errors import UserError
from .frequency import radial_frequency
from .interpolants import VE, Interpolant
from .sigmas import as_grid


def fresh_noise(like: Tensor, seed: int) -> Tensor:
    """Standard normal noise shaped like `like`, in its dtype (float32 at least) and on its device, from
    `seed` alone.

    Drawn on the CPU, so that a seed means the same noise on every machine.
    """
    dtype = like.dtype if like.dtype == torch.float64 else torch.float32
    generator = torch.Generator("cpu").manual_seed(seed)
    return torch.randn(like.shape, generator=generator, dtype=dtype).to(like.device)


def blend_noise(structured: Tensor, fresh: Tensor, share: float) -> Tensor:
    """n = sqrt(1 - share) structured + sqrt(share) fresh.

    The squares of the weights add up to 1, so two independent noises of unit variance blend to unit variance;
    a structured noise of std s gives variance (1 - share) s^2 + share, which moves towards 1 from either
    side. It is not rescaled: its scale is part of the structure. share in [0, 1]: 0 returns the structure, 1
    the fresh noise. Same shapes; the result has the structured noise's dtype. Raises UserError.
    """
    if not 0 <= share <= 1:
        raise UserError(f"share is {share}, but it has to be between 0 and 1; change share.")
    _match(structured, fresh)
    return (1 - share) ** 0.5 * structured + share**0.5 * fresh.to(structured.dtype)


def renoise_low_sigmas(
    x0: Tensor, fresh: Tensor, sigmas: Tensor, level: float, interpolant: Interpolant = VE
) -> tuple[Tensor, Tensor]:
    """x0' = x0 + sigma_ve fresh and the part of the grid to invert it on: `invert(denoise,
    *renoise_low_sigmas(..))`.

    Replaces the inversion steps below `level` by forward noising (TABA, arXiv 2410.23530), where inversion
    turns image detail into the least noise-like part of the noise. The grid is cut at its first value at or
    above `level`; a x0' at that value is exactly the state of x0 with the fresh noise. x0, fresh: one shape,
    fresh of std 1. level: in the interpolant's own sigma. Sample on the whole grid afterwards. Raises
    UserError.
    """
    grid = as_grid(sigmas, interpolant)
    _match(x0, fresh)
    above = [s for s in grid if s >= level]
    if len(above) < 2 or interpolant.a(above[-1]) <= 0:
        raise UserError(
            f"level is {level}, but at least 2 of the sigmas ({grid[0]:.4g} to {grid[-1]:.4g}) have to lie "
            "above it; lower level."
        )
    noisy = x0 + interpolant.ve_sigma(above[-1]) * fresh.to(x0.dtype)
    return noisy, torch.tensor(above, dtype=torch.float64)


def restore_high_frequencies(noise: Tensor, fresh: Tensor, above: float = 0.5, bands: int = 8) -> Tensor:
    """n' = n + F^-1(sqrt(max(0, 1 - P(f))) F(fresh)): fill up missing variance above a spatial frequency.

    P(f): power of the noise relative to white noise of std 1, per sample and channel, averaged over rings of
    spatial frequency (`bands` of them from `above` to the corner; frequencies as shares of Nyquist). Inverted
    noise of smooth clips lacks high-frequency power and samples over-smooth (arXiv 2602.13303). Rings with
    enough power, and everything below `above`, stay untouched. noise, fresh: (B, C, H, W) or (B, C, T, H, W),
    fresh of std 1. The result has the noise's dtype. Raises UserError.
    """
    _match(noise, fresh)
    if noise.ndim < 4:
        raise UserError(f"noise has shape {tuple(noise.shape)}, but (B, C, H, W) or (B, C, T, H, W) is needed.")
    if not 0 <= above < 1 or not (isinstance(bands, int) and bands >= 1):
        raise UserError(
            f"above {above} and bands {bands!r} came, but 0 <= above < 1 and at least 1 band are needed; change them."
        )
    work = noise if noise.dtype == torch.float64 else noise.float()
    height, width = noise.shape[-2:]
    f = radial_frequency(height, width)
    ring = ((f - above) / (2**0.5 - above) * bands).floor().clamp(max=bands - 1).long()
    spectrum = torch.fft.fft2(work, norm="ortho")
    power = spectrum.abs().square()
    # One P per sample, channel and ring: frames are averaged, they are draws of the same statistic.
    power = (power.flatten(2, -3).mean(2) if noise.ndim > 4 else power).flatten(2)
    gain = torch.zeros_like(power)
    for band in range(bands):
        inside = ((ring == band) & (f > above)).flatten().nonzero()[:, 0]
        if len(inside):
            inside = inside.to(power.device)
            gain[..., inside] = (1 - power[..., inside].mean(-1, keepdim=True)).clamp_min(0).sqrt()
    gain = gain.reshape(*noise.shape[:2], *[1] * (noise.ndim - 4), height, width)
    added = torch.fft.ifft2(gain * torch.fft.fft2(fresh.to(work.dtype), norm="ortho"), norm="ortho").real
    return (work + added).to(noise.dtype)


def _match(noise: Tensor, fresh: Tensor) -> None:
    if noise.shape != fresh.shape or noise.device != fresh.device:
        raise UserError(
            f"fresh is {tuple(fresh.shape)} on {fresh.device}, but {tuple(noise.shape)} on {noise.device} is "
            "needed; change fresh."
        )
