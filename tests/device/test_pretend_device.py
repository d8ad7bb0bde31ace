"""The helper itself: the CPU's numbers, a GPU's rules, and every wait of the host."""

import pytest
import torch
from device_under_test import REAL
from pretend_device import NAME, MixedDevices, PretendDevice
from torch.nn import functional as F

from pipeline_core.diffusion import flow_sigmas, invert

pytestmark = pytest.mark.skipif(REAL, reason="about the pretend device itself")
X = torch.tensor([[0.5, -1.0, 2.0], [3.0, 0.0, -2.0]])


def there():
    return X.to(NAME)


def test_numbers_are_the_cpus(device):
    x, network = there(), torch.nn.Conv2d(1, 2, 3, padding=1)
    wanted = network(X[None, None]).detach()
    with torch.no_grad():
        got = network.to(NAME)(x[None, None])
    assert got.device.type == NAME and torch.equal(got.cpu(), wanted)
    x[:, 1:] *= 2  # a view changed in place
    x[x > 1] = 0
    x += 1
    assert torch.equal(torch.quantile(there(), 0.3).cpu(), torch.quantile(X, 0.3))  # which squeezes in place
    assert x[None].squeeze_(0).shape == x.shape and x[:, :1].t_().shape == (1, 2)
    wanted = X.clone()
    wanted[:, 1:] *= 2
    wanted[wanted > 1] = 0
    assert torch.equal(x.cpu(), wanted + 1)
    assert torch.zeros_like(x).device == x.new_ones(2).device == torch.arange(3, device=NAME).device == x.device


def test_both_devices_in_one_operation_are_an_error_that_names_the_line(device):
    x = there()
    assert torch.equal((x * torch.tensor(2.0)).cpu(), 2 * X)  # no dimension: welcome, as on CUDA
    assert torch.equal(x[:, torch.tensor([2, 0])].cpu(), X[:, [2, 0]])  # so are indices
    for mixed in (
        lambda: x + X,
        lambda: X @ x.T,
        lambda: torch.cat([x, X]),
        lambda: x.sum() + X,
        lambda: X[x > 0],
        lambda: F.linear(x, X),
        lambda: torch.where(X > 0, x, 0.0),
        lambda: X.add_(x),
    ):
        with pytest.raises(MixedDevices, match=r"device/test_pretend_device.py:\d+"):
            mixed()


@pytest.mark.parametrize(
    "what, ask",
    [
        ("item", lambda x: x.sum().item()),
        ("item", lambda x: float(x.sum())),
        ("item", lambda x: int(x.argmax())),
        ("item", lambda x: bool((x > 0).all())),
        ("item", lambda x: "yes" if x.sum() > 0 else "no"),
        ("tolist", lambda x: x.tolist()),
        ("copy to the host", lambda x: x.cpu()),
        ("copy to the host", lambda x: x.to("cpu", torch.float64)),
        ("copy", lambda x: torch.empty(2, 3).copy_(x)),
        ("equal", lambda x: torch.equal(x, x + 1)),
        ("nonzero", lambda x: x.nonzero()),
        ("mask as index", lambda x: x[x > 0]),
        ("_unique2", lambda x: x.unique()),
        ("bincount", lambda x: x.abs().long().flatten().bincount()),
        ("_linalg_check_errors", lambda x: torch.linalg.inv(x[:, :2])),
    ],
)
def test_every_read_is_written_down(device, what, ask):
    x = there()
    device.clear()
    ask(x)
    assert [read.what for read in device.reads] == [what]
    assert "device/test_pretend_device.py:" in device.reads[0].where
    assert what in device.table(device.reads)


def test_what_makes_nobody_wait_is_not_written_down(device):
    x = there()
    device.clear()
    x[x > 1] = 0.0  # a fill
    torch.where(x > 0, x, 0.0) + x.new_zeros(3) + torch.full((3,), 2.0, device=NAME)
    X.sum().item(), X.tolist(), X[X > 0], X.cpu()  # the host's own
    x.to(NAME), x.flatten(), x.isfinite().all(), len(x)
    assert not device.reads and not device.uploads


def test_what_comes_from_the_host_is_an_upload(device):
    X.to(NAME), torch.tensor([1.0, 2.0], device=NAME), torch.empty(2, 3, device=NAME).copy_(X)
    assert len(device.uploads) == 3 and not device.reads


def test_a_read_is_traced_to_the_line_of_the_project_that_asked(device):
    x0 = torch.randn(1, 2, 2, 4, 4, generator=torch.Generator().manual_seed(0)).to(NAME)
    invert(lambda x, sigma: x / (1 + sigma), x0, flow_sigmas(4))
    places = {read.where for read in device.reads}
    assert places and all(place.startswith("pipeline_core/diffusion/") for place in places)


def test_a_device_without_double_precision_refuses_it(coarse):
    x = there()
    for ask in (
        lambda: x.double(),
        lambda: x.to(torch.float64),
        lambda: X.double().to(NAME),
        lambda: torch.zeros(2, dtype=torch.float64, device=NAME),
        lambda: torch.tensor([1.0], dtype=torch.float64, device=NAME),
        lambda: x.sum(dtype=torch.float64),
    ):
        with pytest.raises(TypeError, match="float64"):
            ask()
    assert x.cpu().double().dtype == torch.float64


def test_arrays_and_tensors_outside_the_block_are_refused():
    with PretendDevice():
        x = there()
        with pytest.raises(TypeError, match=r"take .cpu\(\) first"):
            x.numpy()
        with pytest.raises(RuntimeError, match="active already"), PretendDevice():
            pass
    with pytest.raises(RuntimeError, match="outside of PretendDevice"):
        x + 1
    assert X.tolist() and X.numpy() is not None  # put back
