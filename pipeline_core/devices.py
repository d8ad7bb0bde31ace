"""Where networks run: the best device there is or the one that was named, what it lacks, and what it has free."""

from __future__ import annotations

import torch

from .errors import UserError


def best_device() -> torch.device:
    """CUDA (ROCm goes by the same name), or else Apple's MPS, or else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def chosen_device(device: str | torch.device | None = None) -> torch.device:
    """The device that was named, or for None the best one. Raises UserError for one that is not there."""
    if device is None:
        return best_device()
    try:
        torch.empty(0, device=device).cpu()  # "meta" has no values to bring back
    except (RuntimeError, AssertionError, NotImplementedError, ValueError, OverflowError) as error:
        line = next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
        raise UserError(
            f"The device {device} cannot be used here ({line}): give cpu, or leave it out for the best there is."
        ) from error
    return torch.device(device)


def free_memory(device: torch.device) -> int | None:
    """Bytes that tensors can still take of a device's own memory: what its driver has free, and what torch holds of it
    unused. None for devices that cannot say it, and for the CPU, whose memory is the machine's."""
    backend = getattr(torch, device.type, None)
    if not hasattr(backend, "mem_get_info"):
        return None
    return backend.mem_get_info(device)[0] + backend.memory_reserved(device) - backend.memory_allocated(device)


def has_float64(device: torch.device) -> bool:
    """Whether tensors of double precision can be there: MPS has none."""
    try:
        torch.empty(0, dtype=torch.float64, device=device)
    except (TypeError, RuntimeError):
        return False
    return True


def finest_dtype(device: torch.device) -> torch.dtype:
    """float64, which keeps an exact inversion exact, wherever the device has it; else float32."""
    return torch.float64 if has_float64(device) else torch.float32
