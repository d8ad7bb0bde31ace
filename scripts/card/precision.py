"""Half precision where it could break: what overflows is said, what must not overflow does not, what fp8 costs."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from card.agreement import latents, network
from card.parts import Clock, Row, difference
from card.places import Place
from pipeline_core.diffusion import invert, karras_sigmas, sample
from pipeline_core.errors import UserError

STEPS = 8
# Half an ulp of the format for one rounding of the latent at the network's door, a few times over.
HALVES = {torch.float16: 5e-3, torch.bfloat16: 4e-2}
FP8 = 0.04  # e4m3 keeps three bits behind the leading one: 2^-4 at most, 2.6 % in the mean


def precision(place: Place, small: bool, clock: Clock) -> Iterator[Row]:
    """bf16 and fp16 latents through both passes, the guard against overflow, and matrices held in one byte."""
    name = "bf16 attention, product and convolution"
    try:
        from pipeline_core.models.folders.precision import bf16_failure
    except ModuleNotFoundError as error:  # the models' room needs more than torch
        yield Row(name, None, note=f"needs the package {error.name}")
    else:
        failure = bf16_failure(place.device)
        yield Row(name, float(bool(failure)), "faults", 0.0, failure)
    x0, noise = latents(small)
    grid = karras_sigmas(STEPS)
    wanted = sample(network, noise, grid, x0=x0)
    for dtype, bound in HALVES.items():
        name = str(dtype).removeprefix("torch.")
        clip, start = x0.to(place.device, dtype), noise.to(place.device, dtype)
        # The state x0 + 80 n stays in double precision; the network alone sees the half.
        yield Row(f"{name} latent", difference(sample(network, start, grid, x0=clip), wanted), "relative", bound)
        up = invert(network, clip, grid)
        back = sample(network, up.noise, grid, solver=up.solver)
        yield Row(f"{name} latent, exact inversion and back", difference(back, clip.cpu()), "relative", bound)
    yield Row("an overflow in float16 names its step", float(not _named(place, torch.float16, x0)), "faults", 0.0)
    yield Row("the same numbers in bfloat16 pass", float(_named(place, torch.bfloat16, x0)), "faults", 0.0)
    weight = torch.randn(256, 512, generator=torch.Generator().manual_seed(2)) / 16
    try:
        coarse = weight.to(place.device, torch.bfloat16).to(torch.float8_e4m3fn).to(torch.bfloat16)
    except (RuntimeError, TypeError) as error:
        yield Row("a matrix in fp8", None, note=f"no float8 on {place.kind} ({str(error).splitlines()[0]})")
    else:
        yield Row("a matrix in fp8", difference(coarse, weight), "relative", FP8)


def _named(place: Place, dtype: torch.dtype, x0: torch.Tensor) -> bool:
    """Whether a network whose inside grows to 9e4, more than float16 holds, ends in the sentence with its step."""

    def grows(x, sigma):
        return network(x, sigma) * (torch.full_like(x, 300) ** 2 / 9e4)

    try:
        sample(grows, x0.to(place.device, dtype), karras_sigmas(STEPS))
    except UserError as error:
        return "NaN or Inf at step 1" in str(error)
    return False
