"""One pass of a solver over a grid: dtype at the network's door, finite answers, call count, progress."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import UserError

Denoise = Callable[[Tensor, float], Tensor]
Callback = Callable[[int, int, Tensor], None]


class Run:
    """Binds `denoise(x, sigma) -> x0` to one pass of `total` steps.

    `run.denoise` hands the network `model_dtype` and gives back the state's dtype; the state itself never
    leaves its own precision. `run.step_done` advances the step that an error names and calls `callback(step,
    total, x0)`, step counted from 0; a callback cancels by raising. `run.calls` counts network calls.
    """

    def __init__(self, denoise: Denoise, total: int, model_dtype: torch.dtype, callback: Callback | None = None):
        self._denoise, self._callback = denoise, callback
        self.total, self.model_dtype = total, model_dtype
        self.calls = 0
        self.step = 0

    def denoise(self, x: Tensor, sigma: float) -> Tensor:
        """D(x, sigma), checked. Raises UserError with the step and sigma on a wrong shape, a NaN or an
        Inf."""
        self.calls += 1
        x0 = self._denoise(x.to(self.model_dtype), sigma)
        where = f"at step {self.step + 1} of {self.total} (sigma {sigma:.6g})"
        if not isinstance(x0, Tensor) or x0.shape != x.shape:
            came = tuple(x0.shape) if isinstance(x0, Tensor) else type(x0).__name__
            raise UserError(f"The denoiser returned {came} {where}, but {tuple(x.shape)} is needed; change the model.")
        if not torch.isfinite(x0).all():
            raise UserError(
                f"The denoiser returned NaN or Inf {where}, but finite values are needed; check the model's "
                "weights and its precision (float16 overflows; try bfloat16 or float32)."
            )
        return x0.to(x.dtype)

    def step_done(self, x0: Tensor) -> None:
        """Report the clean prediction of the step that just ended (in model dtype), then move to the next."""
        step, self.step = self.step, self.step + 1
        if self._callback is not None:
            self._callback(step, self.total, x0.to(self.model_dtype))


def check_latent(x: Tensor, name: str) -> None:
    """Floating-point and finite, with at least a batch and one more dimension. Raises UserError."""
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.ndim < 2:
        raise UserError(f"{name} is not a floating-point tensor with a batch dimension; change {name}.")
    if not torch.isfinite(x).all():
        raise UserError(f"{name} holds NaN or Inf, but finite values are needed; change {name}.")


def check_state_dtype(state_dtype: torch.dtype, device: torch.device) -> None:
    """float64 or float32; half precision loses the trajectory, and MPS has no float64."""
    if state_dtype not in (torch.float64, torch.float32):
        raise UserError(f"state_dtype is {state_dtype}, but float64 or float32 is needed; change state_dtype.")
    if state_dtype == torch.float64 and device.type == "mps":
        raise UserError("MPS has no float64; set state_dtype to float32.")


def finest_state_dtype(device: torch.device) -> torch.dtype:
    """float64, which keeps inversion exact, wherever the device has it; float32 on MPS."""
    return torch.float32 if device.type == "mps" else torch.float64


def rms(x: Tensor) -> Tensor:
    """Root mean square per sample, shape (B,)."""
    return x.flatten(1).square().mean(1).sqrt()
