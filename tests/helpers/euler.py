"""Euler's steps along a pipeline's own times, by whatever denoises: an oracle that has no sampler of the pack's."""

from pipeline_core.diffusion import VE


def euler_walk(denoise, noise, times, interpolant):
    """Flow states after every step from the noise itself, which is what the pipeline starts from."""
    x = noise.double()
    for now, then in zip(times, times[1:]):
        scale, sigma = (1 / (1 - now), now / (1 - now)) if interpolant == VE else (1.0, now)
        clean = denoise((x * scale).float(), float(sigma)).double()
        x = (1 - then) * clean + then * (x - (1 - now) * clean) / now
        yield x
