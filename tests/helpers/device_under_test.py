"""The second device of tests/device: the pretend one, or the real one that DEVICE_UNDER_TEST names (cuda, mps, cpu).

    DEVICE_UNDER_TEST=cuda pytest tests/device

A real device has kernels of its own, which round otherwise: the bounds are then those of `closest` and `assert_near`.
"""

from __future__ import annotations

import functools
import os
from unittest.mock import patch

import pytest
import torch
from pretend_device import NAME as PRETEND
from pretend_device import PretendDevice
from torch.utils._python_dispatch import TorchDispatchMode
from waits import Wait, Waits, place

NAME = os.environ.get("DEVICE_UNDER_TEST") or PRETEND
REAL = NAME != PRETEND
APART = NAME != "cpu"  # whether it is another place than the host
ROUNDING = 1e-4  # of float32 networks and sums in another order, a hundred steps on


class RealDevice(Waits, TorchDispatchMode):
    """A device of torch's, while its block runs: counts what makes the host wait for it.

    Tensor.tolist, which asks no mode on some devices, is wrapped.
    """

    def __enter__(self) -> RealDevice:
        original = torch.Tensor.tolist

        @functools.wraps(original)
        def tolist(tensor):
            if tensor.device.type != torch.device(NAME).type:
                return original(tensor)
            self.reads.append(Wait("tolist", tuple(tensor.shape), place()))
            counted = len(self.reads), len(self.uploads)
            values = original(tensor)
            del self.reads[counted[0] :], self.uploads[counted[1] :]
            return values

        self._patch = patch.object(torch.Tensor, "tolist", tolist)
        self._patch.start()
        return super().__enter__()

    def __exit__(self, *raised) -> None:
        self._patch.stop()
        return super().__exit__(*raised)

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        values = [*args, *kwargs.values()]
        flat = [part for value in values for part in (value if isinstance(value, (list, tuple)) else (value,))]
        tensors = [value for value in flat if isinstance(value, torch.Tensor)]
        here = [value for value in tensors if value.device.type == torch.device(NAME).type]
        there = [value for value in tensors if value.device.type != torch.device(NAME).type]
        target = kwargs.get("device")
        target = None if target is None else torch.device(target).type
        # A change of type alone stays where it is.
        moves = target is None or not here or target != torch.device(NAME).type
        if moves or operation.overloadpacket._qualified_op_name != "aten::_to_copy":
            self.record(operation.overloadpacket._qualified_op_name, args, here, there, target)
        return operation(*args, **kwargs)


def device_under_test(float64: bool = True) -> Waits:
    """The device as a context manager. Whatever needs one without double precision is skipped on a real one."""
    if not REAL:
        return PretendDevice(float64)
    if not float64:
        pytest.skip(f"{NAME} has the precision that it has")
    return RealDevice()


def closest(bound: float) -> float:
    """The bound, or that of a real device's rounding where it is tighter."""
    return max(bound, ROUNDING) if REAL else bound


def assert_near(answer: torch.Tensor, wanted: torch.Tensor, atol: float) -> None:
    """Everywhere within `atol`; on a real device but for a thousandth of the values, where rounding decided otherwise
    (an edge, a level of 256)."""
    apart = (answer.cpu().double() - wanted.double()).abs()
    assert answer.shape == wanted.shape
    if REAL:
        assert (apart > closest(atol)).double().mean() <= 1e-3, float(apart.max())
    else:
        assert (apart <= atol).all(), float(apart.max())
