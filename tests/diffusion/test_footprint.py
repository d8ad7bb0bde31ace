"""What a pass costs beside the network: values read back to the host, and copies of a long latent alive at once."""

import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline_core.diffusion import FLOW, flow_sigmas, invert, sample

SHAPE = (1, 4, 5, 8, 8)


class Watch(TorchDispatchMode):
    """reads: single values fetched by the host. peak: most memory alive in tensors of the latent's size, as a multiple
    of one float32 latent, of those made inside."""

    def __init__(self):
        super().__init__()
        self.size = torch.Size(SHAPE).numel()
        self.alive = self.peak = self.reads = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.reads += func is torch.ops.aten._local_scalar_dense.default
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


# Two states, the answer in the network's dtype and the state's, the source, and what one line of arithmetic needs.
@pytest.mark.parametrize("job, most", [(inversion, 13), (round_trip, 20), (ddim, 11), (dpmpp_2m, 15)])
def test_a_pass_reads_one_value_per_network_call_and_keeps_few_copies(job, most):
    x0 = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
    reads, peaks, calls = [], [], []
    for steps in (10, 20):
        with Watch() as watch:
            calls.append(job(flow_sigmas(steps, 3.0, 0.02, 1.0), x0))
        reads.append(watch.reads)
        peaks.append(watch.peak)
    assert reads[1] - reads[0] == calls[1] - calls[0]  # whether the answer is finite
    assert peaks[0] == peaks[1] <= most
