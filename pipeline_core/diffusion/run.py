"""One pass of a solver over a grid: dtype at the network's door, finite answers, call count, progress.

A value that the host reads makes it wait for the device, which then has nothing queued to do. So a pass reads once a
step: whether the answers were finite is found out on the device, and asked for when the step is done.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ..devices import finest_dtype
from ..errors import UserError

Denoise = Callable[[Tensor, float], Tensor]
Callback = Callable[[int, int, Tensor], None]


class Run:
    """Binds `denoise(x, sigma) -> x0` to one pass of `total` steps.

    `run.denoise` hands the network `model_dtype` and gives back the state's dtype; the state itself never
    leaves its own precision. `run.step_done` raises for the step's answers if one was not finite, advances the step
    that an error names and calls `callback(step, total, x0)`, step counted from 0; a callback cancels by raising.
    `run.calls` counts network calls.
    """

    def __init__(self, denoise: Denoise, total: int, model_dtype: torch.dtype, callback: Callback | None = None):
        self._denoise, self._callback = denoise, callback
        self.total, self.model_dtype = total, model_dtype
        self.calls = 0
        self.step = 0
        self._finite: list[tuple[Tensor, float]] = []  # of every answer since the last read, with its sigma

    def denoise(self, x: Tensor, sigma: float) -> Tensor:
        """D(x, sigma). Raises UserError with the step and sigma on a wrong shape; on a NaN or an Inf `read` or
        `step_done` does."""
        self.calls += 1
        x0 = self._denoise(x.to(self.model_dtype), sigma)
        if not isinstance(x0, Tensor) or x0.shape != x.shape:
            came = tuple(x0.shape) if isinstance(x0, Tensor) else type(x0).__name__
            raise UserError(
                f"The denoiser returned {came} {self._where(sigma)}, but {tuple(x.shape)} is needed; change the model."
            )
        self._finite.append((torch.isfinite(x0).all(), sigma))
        return x0.to(x.dtype)

    def read(self, *values: Tensor) -> list[float]:
        """Single values of the device as numbers, in one wait. Raises UserError with the step and sigma of the first
        answer since the last read that holds a NaN or an Inf."""
        finite, self._finite = self._finite, []
        numbers = read_values(*(flag for flag, _ in finite), *values)
        for flag, (_, sigma) in zip(numbers, finite):
            if not flag:
                raise UserError(
                    f"The denoiser returned NaN or Inf {self._where(sigma)}, but finite values are needed; check the "
                    "model's weights and its precision (float16 overflows; try bfloat16 or float32)."
                )
        return numbers[len(finite) :]

    def _where(self, sigma: float) -> str:
        return f"at step {self.step + 1} of {self.total} (sigma {sigma:.6g})"

    def step_done(self, x0: Tensor) -> None:
        """Check the step that just ended, report its clean prediction (in model dtype), then move to the next."""
        if self._finite:
            self.read()
        step, self.step = self.step, self.step + 1
        if self._callback is not None:
            self._callback(step, self.total, x0.to(self.model_dtype))


def read_values(*values: Tensor) -> list[float]:
    """Tensors of one value each as numbers, read from their device at once: 1.0 and 0.0 for bools."""
    dtype = max((value.dtype for value in values), key=lambda dtype: dtype.itemsize)
    dtype = dtype if dtype.is_floating_point else torch.float32
    return torch.stack([value.reshape(()).to(dtype) for value in values]).tolist()


def check_latents(**latents: Tensor) -> None:
    """Each, by its name in an error: floating-point, finite, at least a batch and one more dimension; all of one
    device. Raises UserError."""
    for name, x in latents.items():
        if not isinstance(x, Tensor) or not x.is_floating_point() or x.ndim < 2:
            raise UserError(f"{name} is not a floating-point tensor with a batch dimension; change {name}.")
    first = next(iter(latents))
    for name, x in latents.items():
        if x.device != latents[first].device:
            raise UserError(
                f"{name} is on {x.device} and {first} on {latents[first].device}, but they have to be on one device; "
                f"change {name}."
            )
    finite = read_values(*(torch.isfinite(x).all() for x in latents.values()))
    for name, flag in zip(latents, finite):
        if not flag:
            raise UserError(f"{name} holds NaN or Inf, but finite values are needed; change {name}.")


def state_dtype_of(state_dtype: torch.dtype | None, device: torch.device) -> torch.dtype:
    """The dtype of a state: None is the finest the device has, else float64 or float32. Raises UserError: half
    precision loses the trajectory, and MPS has no float64."""
    finest = finest_dtype(device)
    if state_dtype is None:
        return finest
    if state_dtype not in (torch.float64, torch.float32):
        raise UserError(f"state_dtype is {state_dtype}, but float64 or float32 is needed; change state_dtype.")
    if state_dtype == torch.float64 and finest != state_dtype:
        raise UserError(f"{device} has no float64; set state_dtype to float32, or leave it out.")
    return state_dtype


def rms(x: Tensor) -> Tensor:
    """Root mean square per sample, shape (B,)."""
    return x.flatten(1).square().mean(1).sqrt()
