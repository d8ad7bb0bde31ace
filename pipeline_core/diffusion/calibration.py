"""Noise calibration (NC-SDEdit, arXiv 2407.10285, Algorithm 1), for any interpolant, on the clean prediction.

The paper iterates e <- eps(x) + (HP(D) - HP(x_ref)) / sigma_ve with x = a x_ref + sigma e and sigma_ve =
sigma / a. As eps = e + (x_ref - D) / sigma_ve and HP = 1 - L, that is

    e <- e + L(x_ref - D) / sigma_ve

so it needs D and a low-pass only, and where it stops, L(D) = L(x_ref): that residual is what it reports. At
nu = 1 (even sizes) L is the identity and a round is one step of fixed-point inversion at a single level.
"""

from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from ..errors import UserError
from .frequency import check_filter, low_pass
from .interpolants import VE, Interpolant
from .inversion.report import noise_statistics
from .run import Callback, Denoise, Run, check_latents, state_dtype_of


@dataclass(frozen=True)
class CalibrationReport:
    """Numbers of one calibration, plain Python.

    residuals: |L(x_ref) - L(D)| / |L(x_ref)|, L2 over the batch, before the first round and after each (after the
    last one only where it was checked);
    calls: network calls; std: the noise's standard deviation before the first round and after each;
    guarded: rounds whose correction the guard shortened; statistics: see `noise_statistics`; notes: one
    sentence each.
    """

    sigma: float
    rounds: int
    nu: float
    low: float
    filter: str
    calls: int
    residuals: list[float]
    std: list[float]
    guarded: list[int] = field(default_factory=list)
    statistics: dict = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict:
        """All fields as JSON-ready Python values."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Calibration:
    """noise: shaped like x_ref, in the given noise's dtype; what to add to x_ref at sigma. report: see
    above."""

    noise: Tensor
    report: CalibrationReport


@torch.no_grad()
def calibrate_noise(
    denoise: Denoise,
    x_ref: Tensor,
    noise: Tensor,
    sigma: float,
    interpolant: Interpolant = VE,
    rounds: int = 3,
    nu: float = 1.0,
    filter: str = "box",
    *,
    low: float = 0.0,
    max_std: float | None = None,
    check: bool = True,
    callback: Callback | None = None,
    state_dtype: torch.dtype | None = None,
) -> Calibration:
    """e <- e + L(x_ref - D(a x_ref + sigma e, sigma)) a / sigma, `rounds` times (Algorithm 1 of 2407.10285).

    denoise: as in `sample`. With the conditions of the sampling pass this is the published form; it pins the look of
    x_ref together with its layout. Under a prompt that describes x_ref as it is (an inversion prompt, no guidance) the
    residual has no difference of look in it, so that only the layout is calibrated: the style-free form.
    x_ref, noise: (B, C, H, W) or (B, C, T, H, W), model space; noise fresh (std 1) or an Inversion's. sigma: the level
    at which sampling will start.
    rounds: the paper's N; 1 to 3 is its advice. nu: low-pass cut-off as a share of Nyquist; higher keeps more
    of the input. filter: box (the paper's) or symmetric.
    low: leave out the frequencies below this share of Nyquist as well; 0 is the paper's form, where the mean is
    calibrated too.
    max_std: guard against the over-saturation of many rounds: a sample's correction is shortened where it
    would lift the noise's standard deviation above max_std times the given noise's. None is the paper's form.
    check: one call more than rounds, to report the residual the last round leaves.
    callback(step, total, x0) after every call. Raises UserError: bad input, an empty filter, NaN or Inf from the
    network.
    """
    check_latents(x_ref=x_ref, noise=noise)
    state_dtype = state_dtype_of(state_dtype, noise.device)
    if x_ref.shape != noise.shape:
        raise UserError(
            f"x_ref is {tuple(x_ref.shape)} and noise is {tuple(noise.shape)}, but they have to match; "
            "change the noise."
        )
    if not (isinstance(rounds, int) and rounds >= 1):
        raise UserError(f"rounds is {rounds!r}, but a whole number of at least 1 is needed; change rounds.")
    if not 0 < sigma < interpolant.sigma_limit:
        raise UserError(
            f"sigma is {sigma}, but it has to be above 0 and below {interpolant.sigma_limit:g}, where some "
            "of x_ref is left in the state; change the first of the sigmas."
        )
    if max_std is not None and not max_std >= 1:
        raise UserError(f"max_std is {max_std}, but it has to be at least 1; change max_std.")
    check_filter(tuple(x_ref.shape), nu, filter)
    if not 0 <= low < nu:
        raise UserError(f"low is {low}, but it has to be at least 0 and below nu {nu}; change low.")
    if low > 0:
        check_filter(tuple(x_ref.shape), low, filter)

    def band(x: Tensor) -> Tensor:
        return low_pass(x, nu, filter) - low_pass(x, low, filter) if low > 0 else low_pass(x, nu, filter)

    reference, e = x_ref.to(state_dtype), noise.to(state_dtype)
    e0, scale = e, band(reference).norm().clamp_min(torch.finfo(state_dtype).tiny)
    run = Run(denoise, rounds + check, x_ref.dtype, callback)
    residuals, std, shortened = [], [e.std(correction=0)], []  # on the device until the end
    for i in range(rounds + check):
        d = run.denoise(interpolant.add_noise(reference, e, sigma), sigma)
        run.step_done(d)
        gap = band(reference - d)
        residuals.append(gap.norm() / scale)
        if i == rounds:
            break
        e = e + gap / interpolant.ve_sigma(sigma)
        if max_std is not None:
            e, held = _hold_std(e0, e, max_std)
            shortened.append(held)
        std.append(e.std(correction=0))
    numbers = run.read(*residuals, *std, *shortened)
    residuals, numbers = numbers[: len(residuals)], numbers[len(residuals) :]
    std, shortened = numbers[: len(std)], numbers[len(std) :]
    notes = []
    if residuals[-1] > residuals[0]:
        notes.append(
            f"The residual grew from {residuals[0]:.3g} to {residuals[-1]:.3g} over {rounds} rounds, so the "
            "noise is not calibrated; lower rounds or nu, or start at a higher sigma."
        )
    report = CalibrationReport(
        sigma=float(sigma),
        rounds=rounds,
        nu=nu,
        low=low,
        filter=filter,
        calls=run.calls,
        residuals=residuals,
        std=std,
        guarded=[i for i, held in enumerate(shortened) if held],
        statistics=noise_statistics(e),
        notes=notes,
    )
    return Calibration(e.to(noise.dtype), report)


def _hold_std(e0: Tensor, e: Tensor, max_std: float) -> tuple[Tensor, Tensor]:
    """Per sample: shorten the correction c = e - e0 to the largest g c with std(e0 + g c) <= max_std
    std(e0). Returns the noise, and whether any sample's was shortened, on the device.

    Solves var(e0) + 2 g cov(e0, c) + g^2 var(c) = max_std^2 var(e0). Shortening the correction keeps
    the given noise whole; rescaling the sum would pull its own low frequencies with it.
    """
    n, c = e0.flatten(1), (e - e0).flatten(1)
    n, c = n - n.mean(1, keepdim=True), c - c.mean(1, keepdim=True)
    var_n, var_c, cov = n.square().mean(1), c.square().mean(1), (n * c).mean(1)
    over = var_n + 2 * cov + var_c > max_std**2 * var_n
    room = (max_std**2 - 1) * var_n
    g = (torch.sqrt(cov.square() + var_c * room) - cov) / var_c.clamp_min(torch.finfo(e.dtype).tiny)
    g = torch.where(over, g, torch.ones_like(g)).reshape(-1, *[1] * (e.ndim - 1))
    return e0 + g * (e - e0), over.any()
