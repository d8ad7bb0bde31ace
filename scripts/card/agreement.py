"""The pack's own maths on the device against the CPU: inversions, solvers, guidance, calibration, control maps.

torch alone is enough. The bounds are those of float32 arithmetic in another order: 1e-5 of the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch

from card.parts import Clock, Row, difference, together
from card.places import Place
from pipeline_core.conditions.blur import blur_map
from pipeline_core.conditions.depth import disparity_limits, disparity_map
from pipeline_core.conditions.edges import COLOUR, GREY, edge_map
from pipeline_core.conditions.segmentation import segmentation_map
from pipeline_core.conditions.weights import class_weights
from pipeline_core.diffusion import (
    CFG,
    FLOW,
    VE,
    ConflictDamping,
    Rescale,
    SimDrop,
    calibrate_noise,
    flow_sigmas,
    guided,
    invert,
    karras_sigmas,
    sample,
)
from pipeline_core.diffusion.invert import METHODS
from pipeline_core.diffusion.solvers import SOLVERS

BOUND = 1e-5
LEVELS = 1e-3  # of a map on 8-bit levels, where rounding may turn either way
STEPS = 8
GRIDS = {VE: karras_sigmas, FLOW: flow_sigmas}
PULL = {"positive": 0.3, "negative": -0.2, "inversion": 0.1, "reference": -0.3}


def network(x, sigma):
    """A denoiser that a device computes as the CPU does: nonlinear, and it contracts as sigma grows."""
    return torch.tanh(x) / (1 + 0.5 * sigma)


def predict(x, sigma, branches):
    return [network(x + PULL[name], sigma) for name in branches]


def latents(small: bool) -> torch.Tensor:
    """(2, B, C, T, H, W): a clip and a noise, of a window's size or of a toy's."""
    size = (1, 4, 3, 8, 8) if small else (1, 16, 21, 60, 104)
    return torch.randn(2, *size, generator=torch.Generator().manual_seed(0))


def maths(place: Place, small: bool, clock: Clock) -> Iterator[Row]:
    """Every way up and down the noise levels, from the same numbers on the CPU and on the device."""
    x0, noise = latents(small)
    there = x0.to(place.device), noise.to(place.device)

    def both(run) -> float:
        return difference(run(*there), run(x0, noise))

    def inverted(clip, _, method, interpolant):
        return invert(network, clip, GRIDS[interpolant](STEPS), interpolant, method).noise

    def sampled(clip, start, solver="ddim", denoise=network):
        return sample(denoise, start, karras_sigmas(STEPS), x0=clip, solver=solver)

    def calibrated(clip, start):
        return calibrate_noise(network, clip, start, 5.0, rounds=2).noise

    jobs = {f"inversion {m} {i.name}": partial(inverted, method=m, interpolant=i) for m in METHODS for i in (VE, FLOW)}
    jobs |= {f"solver {name}": partial(sampled, solver=name) for name in SOLVERS}
    rules = {"cfg": CFG(5.0), "rescale": Rescale(CFG(5.0)), "damping": ConflictDamping(CFG(7.0))}
    rules["simdrop"] = SimDrop(CFG(2.0), 1.0)
    jobs |= {f"guidance {name}": partial(sampled, denoise=guided(predict, rule)) for name, rule in rules.items()}
    jobs["calibration"] = calibrated
    yield from together((name, partial(both, job), BOUND) for name, job in jobs.items())

    up = invert(network, there[0], karras_sigmas(STEPS))
    back = sample(network, up.noise, karras_sigmas(STEPS), solver=up.solver)
    yield Row("exact inversion and back", difference(back, x0), "relative", 1e-6)
    reads = [place.reads(partial(invert, network, there[0], karras_sigmas(steps))) for steps in (STEPS, 2 * STEPS)]
    if None in reads:
        yield Row("host reads in a step", None, note=f"nothing counts them on {place.kind}")
    else:
        yield Row("host reads in a step", (reads[1] - reads[0]) / STEPS, "reads", 1.0)


def maps(place: Place, small: bool, clock: Clock) -> Iterator[Row]:
    """Control maps of frames on the device; edges by the share of pixels that differ."""
    size = (3, 48, 64) if small else (9, 704, 1280)
    generator = torch.Generator().manual_seed(1)
    frames = torch.rand(*size, 3, generator=generator)
    depth = 1 + 50 * torch.rand(size, generator=generator)
    classes = torch.randint(1, 12, size, generator=generator).to(torch.uint8)
    limits = disparity_limits([depth])
    there = frames.to(place.device)
    for operator in (COLOUR, GREY):
        differ = edge_map(there, operator=operator).cpu() != edge_map(frames, operator=operator)
        yield Row(f"edges {operator}", float(differ.float().mean()), "share of pixels", 1e-4)
    painted = segmentation_map(classes.to(place.device)).cpu() != segmentation_map(classes)
    yield Row("segmentation colours", float(painted.float().mean()), "share of pixels", 0.0)
    weigh = partial(class_weights, weights={"cars": 0.5, "rest": 0.2})
    metres, tags = depth.to(place.device), classes.to(place.device)
    pairs = (
        ("depth", lambda: difference(disparity_map(metres, limits), disparity_map(depth, limits)), BOUND),
        ("blur", lambda: difference(blur_map(there, "medium"), blur_map(frames, "medium")), LEVELS),
        ("class weights", lambda: difference(weigh(tags), weigh(classes)), BOUND),
    )
    yield from together(pairs)
