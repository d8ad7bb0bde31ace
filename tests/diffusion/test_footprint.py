"""What a pass costs beside the network: times the host waits for the device, and copies of a long latent alive at once.

The whole job's waits are in tests/device, and a table of both is what benchmarks/footprint.py prints.
"""

import weakref

import pytest
import torch
from pretend_device import NAME, PretendDevice
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline_core.diffusion import FLOW, flow_sigmas, invert, sample

SHAPE = (1, 4, 5, 8, 8)


class Watch(TorchDispatchMode):
    """peak: most memory alive in tensors of the latent's size, as a multiple of one float32 latent, of those made
    inside."""

    def __init__(self):
        super().__init__()
        self.size = torch.Size(SHAPE).numel()
        self.alive = self.peak = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            if torch.is_tensor(tensor) and tensor.numel() >= self.size and tensor.dtype != torch.bool:
                if not tensor._is_view() and not any(given is tensor for given in args):
                    share = tensor.numel() * tensor.element_size() / (4 * self.size)
                    self.alive += share
                    self.peak = max(self.peak, self.alive)
                    weakref.finalize(tensor, self.drop, share)
        return out

    def drop(self, share):
        self.alive -= share


def network(x, sigma):
    return x / (1 + sigma)


def inversion(grid, x0):
    return invert(network, x0, grid, FLOW).report.calls


def round_trip(grid, x0):
    report = invert(network, x0, grid, FLOW, round_trip=True).report
    return report.calls + report.calls_back


def ddim(grid, x0):
    sample(network, x0, grid, FLOW)
    return len(grid) - 1


def dpmpp_2m(grid, x0):
    sample(network, x0, grid, FLOW, solver="dpmpp_2m")
    return len(grid) - 1


X0 = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
GRIDS = [flow_sigmas(steps, 3.0, 0.02, 1.0) for steps in (10, 20)]


# Two states, the answer in the network's dtype and the state's, the source, and what one line of arithmetic needs.
@pytest.mark.parametrize("job, most", [(inversion, 13), (round_trip, 20), (ddim, 11), (dpmpp_2m, 15)])
def test_a_pass_keeps_few_copies_however_long(job, most):
    peaks = []
    for grid in GRIDS:
        with Watch() as watch:
            job(grid, X0)
        peaks.append(watch.peak)
    assert peaks[0] == peaks[1] <= most


@pytest.mark.parametrize("job", [inversion, round_trip, ddim, dpmpp_2m])
def test_a_pass_makes_the_host_wait_once_per_network_call(job):
    calls, waits = [], []
    with PretendDevice() as device:
        x0 = X0.to(NAME)
        for grid in GRIDS:
            device.clear()
            calls.append(job(grid, x0))
            waits.append(len(device.reads + device.uploads))
    assert waits[1] - waits[0] == calls[1] - calls[0]  # whether the answer is finite
    assert waits[0] - calls[0] <= 6, device.table(device.reads)  # the latent is checked and measured, and the noise
