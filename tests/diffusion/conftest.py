"""Oracles with a closed-form D(x, sigma): what is left of an error is the solver's."""

import math

import pytest

from benchmarks.mixture import Mixture
from pipeline_core.diffusion import FLOW, VE


class Gaussian:
    """Data N(mean, variance) per element: D and the whole ODE solution in closed form."""

    def __init__(self, mean=0.3, variance=0.25):
        self.mean, self.variance = mean, variance

    def denoiser(self, interpolant=VE):
        def denoise(x, sigma):
            y, s = interpolant.to_ve(x, sigma), interpolant.ve_sigma(sigma)
            return self.mean + self.variance / (self.variance + s**2) * (y - self.mean)

        return denoise

    def flow_map(self, y, ve_from, ve_to):
        """Exact VE solution: (y - mean) scales with sqrt(variance + sigma^2)."""
        ratio = math.sqrt((self.variance + ve_to**2) / (self.variance + ve_from**2))
        return self.mean + ratio * (y - self.mean)


class Counting:
    """Counts calls and remembers the sigmas and dtypes it saw."""

    def __init__(self, denoise):
        self.denoise, self.sigmas, self.dtypes = denoise, [], []

    def __call__(self, x, sigma):
        self.sigmas.append(sigma)
        self.dtypes.append(x.dtype)
        return self.denoise(x, sigma)


@pytest.fixture(scope="session")
def gaussian():
    return Gaussian()


@pytest.fixture(scope="session")
def mixture():
    return Mixture()


@pytest.fixture(scope="session")
def counting():
    return Counting


@pytest.fixture(params=[VE, FLOW], ids=["VE", "FLOW"])
def interpolant(request):
    return request.param
