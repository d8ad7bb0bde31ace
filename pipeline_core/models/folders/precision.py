"""bfloat16 or 32-bit floats: what a device multiplies in hardware, and what the torch at hand really does there."""

from __future__ import annotations

import torch
from torch.nn.functional import conv3d, scaled_dot_product_attention

from ...errors import UserError

PRECISIONS = ("auto", "bf16", "fp32")
ROUNDING = 2.0**-8  # of bfloat16: half of its eps


def choose_precision(precision: str, device: torch.device) -> tuple[bool, str]:
    """Whether "auto", "bf16" or "fp32" means bfloat16 autocast on `device`, and a note where "auto" had to fall back.

    "auto" is bfloat16 where the hardware has it and torch carries it out. The note is "" where nothing has to be said.
    UserError for another word, and for "bf16" where it cannot be had.
    """
    if precision not in PRECISIONS:
        raise UserError(f"precision is {precision!r}; give auto, bf16 or fp32.")
    if precision == "fp32" or (precision == "auto" and not has_bf16(device)):
        return False, ""
    failure = bf16_failure(device)
    if failure and precision == "bf16":
        raise UserError(f"precision is bf16, which torch does not carry out on {device} ({failure}): choose fp32.")
    if failure:
        return False, f"The networks run in 32-bit floats: torch does not carry out bfloat16 on {device} ({failure})."
    return True, ""


def runs_bf16(precision: str, device: torch.device) -> bool:
    """The choice of `choose_precision` without its note."""
    return choose_precision(precision, device)[0]


def has_bf16(device: torch.device) -> bool:
    """Whether `device` multiplies bfloat16 in hardware; False when that cannot be told."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type != "cpu":
        return False
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(probe()) if probe is not None else False


@torch.no_grad()
def bf16_failure(device: torch.device) -> str:
    """Why attention, a matrix product and a convolution in bfloat16 fail on `device`; "" where all three are right.

    A trial, because the hardware does not tell: torch restricted to AVX2 (ATEN_CPU_CAPABILITY, some builds) on a CPU
    with AVX-512 BF16 packs attention's operands for instructions that its kernels do not have, from 64 tokens on.
    """
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(1, 1, 64, 16, generator=generator)
    volume, kernel = tokens.view(1, 4, 4, 8, 8), torch.randn(4, 4, 3, 3, 3, generator=generator)
    trials = {
        "attention": (scaled_dot_product_attention, (tokens, tokens, tokens)),
        "a matrix product": (torch.matmul, (tokens, tokens.mT)),
        "a convolution": (conv3d, (volume, kernel)),
    }
    for name, (operation, operands) in trials.items():
        try:
            answer = operation(*(operand.to(device, torch.bfloat16) for operand in operands)).float().cpu()
        except (RuntimeError, TypeError) as error:
            return str(error).strip().split("\n")[0] or type(error).__name__
        expected = operation(*operands)
        # Each operand and the answer are rounded; a right answer stays far below ten of those, a wrong one does not.
        if not (answer - expected).norm() < 10 * ROUNDING * expected.norm():
            return f"{name} comes out wrong"
    return ""


def check_bf16_weights(weights: str, device: torch.device) -> None:
    """UserError where a network of these weights, which computes in bfloat16 unless they are fp32, cannot run."""
    failure = bf16_failure(device) if weights != "fp32" else ""
    if failure:
        raise UserError(
            f"Weights in {weights} are computed in bfloat16, which torch does not carry out on {device} ({failure}): "
            "choose weights fp32."
        )
