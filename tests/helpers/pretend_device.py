"""A second device on a machine that has none: CPU arithmetic under another name, with a GPU's rules of whose is whose.

    with PretendDevice() as device:
        model = load_video_model(device=DEVICE, precision="fp32")
        enhance(clip, model)
    assert not device.reads_at("invert.py")

What it promises, of code that runs inside the block:

- The numbers are the CPU's, to rounding: every operation is torch's own CPU kernel.
- An operation on tensors of both devices raises MixedDevices, as CUDA raises; a CPU tensor of no dimension may stand
  beside tensors of the device, and CPU indices may select from one.
- Everything that makes the host wait is written down, in order and with the line of this project that asked for it:
  `device.reads` are values and tensors that go to the host (item, float, bool, tolist, .cpu(), equal) and operations
  whose answer's size the host has to know (nonzero, a mask as index, unique, bincount); `device.uploads` are tensors
  that come from the host, which make CUDA wait too (torch.tensor(..., device=...), .to(device)).
- float64=False is a device without double precision, as Apple's MPS: whatever makes such a tensor raises TypeError.
- free=BYTES is what the device's driver says it has free, always; without it the device says nothing of its memory.

What it does not have: kernels of its own, streams and graphs, memory of its own, autocast, gradients; `torch.cuda.*` is
not caught. A tensor of the device is of no use outside the block. The hook into torch that gives the device its name is
marked experimental by torch; tried with 2.13.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from unittest.mock import patch

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from waits import MASKS_AS_INDICES, TRANSFERS, Wait, Waits, place

NAME = "pretend"


class MixedDevices(RuntimeError):
    """Tensors of both devices in one operation."""


class PretendTensor(torch.Tensor):
    """A CPU tensor `inner` that says it is on the device."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> PretendTensor:
        tensor = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=torch.device(NAME, 0),
        )
        tensor.inner = inner
        return tensor

    def __init__(self, inner: torch.Tensor) -> None:
        pass

    def __repr__(self) -> str:
        return f"PretendTensor({self.inner})"

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        raise RuntimeError(f"{operation} on a tensor of the pretend device, outside of PretendDevice().")


class PretendDevice(Waits, TorchDispatchMode):
    """The device, while its block runs. float64: whether it has double precision. free: bytes, None is unknown.

    reads, uploads: lists of `Wait`; clear() empties both. asked: how often its memory was asked for. While the block
    runs, modules are moved by swapping their parameters; Tensor.tolist and Tensor.numpy, which ask no mode, are
    wrapped; and inference_mode is no_grad, because tensors like these cannot do without a version counter.
    """

    def __init__(self, float64: bool = True, free: int | None = None) -> None:
        super().__init__()
        self.float64, self.free, self.asked = float64, free, 0

    def __enter__(self) -> PretendDevice:
        _register()
        if _active:
            raise RuntimeError("One PretendDevice() is active already.")
        _active.append(self)
        self._swaps = torch.__future__.get_swap_module_params_on_conversion()
        torch.__future__.set_swap_module_params_on_conversion(True)
        self._patches = ExitStack()
        for name, wrapped in (("tolist", self._tolist), ("numpy", self._numpy)):
            self._patches.enter_context(patch.object(torch.Tensor, name, wrapped(getattr(torch.Tensor, name))))
        if self.free is not None:
            figures = {"mem_get_info": self._says_free, "memory_reserved": _nothing, "memory_allocated": _nothing}
            self._patches.enter_context(patch.multiple(getattr(torch, NAME), create=True, **figures))
        for name in ("__enter__", "__exit__", "clone"):
            self._patches.enter_context(patch.object(torch.inference_mode, name, getattr(torch.no_grad, name)))
        return super().__enter__()

    def __exit__(self, *raised) -> None:
        self._patches.close()
        torch.__future__.set_swap_module_params_on_conversion(self._swaps)
        _active.remove(self)
        return super().__exit__(*raised)

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        name = operation.overloadpacket._qualified_op_name
        if name == "aten::is_pinned":
            return False
        tensors = [value for value in _flat((*args, *kwargs.values())) if isinstance(value, torch.Tensor)]
        here = [value for value in tensors if isinstance(value, PretendTensor)]
        there = [value for value in tensors if not isinstance(value, PretendTensor)]
        target = kwargs.get("device")
        target = None if target is None else torch.device(target).type
        if target == NAME:
            kwargs["device"] = torch.device("cpu")
        self._check_devices(name, args, here, there)
        self.record(name, args, here, there, target)

        if here and torch.Tag.inplace_view in operation.tags:
            _reshape(operation, args, kwargs)
        args = _each(_inner, args)
        result = operation(*args, **{key: _each(_inner, value) for key, value in kwargs.items()})
        stays = target == NAME if target is not None else bool(here)
        if name == "aten::copy_":
            stays = isinstance(here[0] if here else None, PretendTensor) and here[0].inner is args[0]
        if not stays:
            return result
        # An operation in place gives back the tensor it was given.
        known = {id(value.inner): value for value in here}
        return _each(lambda value: self._wrapped(value, known), result)

    def _says_free(self, _device) -> tuple[int, int]:
        self.asked += 1
        return self.free, self.free

    def _wrapped(self, value, known: dict[int, PretendTensor]):
        if not isinstance(value, torch.Tensor):
            return value
        if id(value) in known:
            return known[id(value)]
        self.refuse_float64(value.dtype)
        return PretendTensor(value)

    def refuse_float64(self, dtype: torch.dtype) -> None:
        if not self.float64 and dtype in (torch.float64, torch.complex128):
            raise TypeError(f"This device has no {dtype}: use float32 instead. ({place()})")

    def _check_devices(self, name: str, args: tuple, here: list[torch.Tensor], there: list[torch.Tensor]) -> None:
        if not here or not any(value.dim() for value in there) or name in TRANSFERS:
            return
        if name in MASKS_AS_INDICES and isinstance(args[0], PretendTensor):
            values = args[2] if len(args) > 2 else None
            if not isinstance(values, torch.Tensor) or isinstance(values, PretendTensor) or values.dim() == 0:
                return  # CPU indices are brought over
        shapes = ([(*value.shape,) for value in group] for group in (here, there))
        raise MixedDevices("{} of {} with CPU tensors {}, at {}".format(name, *shapes, place()))

    def _tolist(self, original):
        @functools.wraps(original)
        def tolist(tensor):
            if not isinstance(tensor, PretendTensor):
                return original(tensor)
            self.reads.append(Wait("tolist", tuple(tensor.shape), place()))
            return original(tensor.inner)

        return tolist

    def _numpy(self, original):
        @functools.wraps(original)
        def numpy(tensor, **options):
            if isinstance(tensor, PretendTensor):
                raise TypeError(f"A tensor of the pretend device is no numpy array: take .cpu() first. ({place()})")
            return original(tensor, **options)

        return numpy


def assert_alike(got, wanted, rtol: float) -> None:
    """A report made on the device against the CPU's: the same form, texts and whole numbers, floats to rounding."""
    if isinstance(wanted, dict):
        assert list(got) == list(wanted)
        got, wanted = list(got.values()), list(wanted.values())
    if isinstance(wanted, (list, tuple)):
        assert len(got) == len(wanted)
        for ours, theirs in zip(got, wanted):
            assert_alike(ours, theirs, rtol)
    elif isinstance(wanted, float) and isinstance(got, float):
        assert abs(got - wanted) <= rtol * max(1.0, abs(wanted)), (got, wanted)
    else:
        assert got == wanted


_active: list[PretendDevice] = []


def _nothing(_device) -> int:
    return 0


def _flat(values) -> Iterator:
    """Operations take and give tensors, or lists of them: torch's own trees, which go deeper, take most of the time."""
    for value in values:
        yield from value if isinstance(value, (list, tuple)) else (value,)


def _each(change: Callable, value):
    if isinstance(value, (list, tuple)):
        return type(value)([_each(change, part) for part in value])
    return change(value)


def _inner(value):
    return value.inner if isinstance(value, PretendTensor) else value


def _reshape(operation, args: tuple, kwargs: dict) -> None:
    """squeeze_ and its like, on the outside of a tensor: its size and strides, and nothing of its values."""
    from torch.utils._mode_utils import no_dispatch

    with no_dispatch():
        before = torch._C._meta_in_tls_dispatch_include()
        torch._C._set_meta_in_tls_dispatch_include(True)
        try:
            operation(*args, **kwargs)
        finally:
            torch._C._set_meta_in_tls_dispatch_include(before)


@functools.cache
def _register() -> None:
    """Give torch the device's name, for as long as the process lives."""
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

    _setup_privateuseone_for_python_backend(NAME)
    getattr(torch, NAME).get_amp_supported_dtype = lambda: [torch.bfloat16, torch.float16]  # what autocast asks
    _register.library = torch.library.Library("aten", "IMPL")  # kept: its kernels go when it does
    # torch.tensor(list, device=...) and its like read and make tensors where no mode is asked.
    for name, kernel in (
        ("empty_strided", _empty_strided),
        ("empty.memory_format", _empty),
        ("_copy_from", _copy_from),
        ("_local_scalar_dense", _item),
    ):
        _register.library.impl(name, kernel, "PrivateUse1")


def _empty_strided(size, stride, dtype=None, layout=None, device=None, pin_memory=None):
    return _made(torch.empty_strided(size, stride, dtype=dtype))


def _empty(size, dtype=None, layout=None, device=None, pin_memory=None, memory_format=None):
    return _made(torch.empty(size, dtype=dtype))


def _made(inner: torch.Tensor) -> PretendTensor:
    for device in _active:
        device.refuse_float64(inner.dtype)
    return PretendTensor(inner)


def _item(tensor):
    for device in _active:
        device.reads.append(Wait("item", (), place()))
    return tensor.inner.item()


def _copy_from(source, target, non_blocking=False):
    _inner(target).copy_(_inner(source))
    for device in _active:
        if not isinstance(source, PretendTensor):
            device.uploads.append(Wait("made from numbers", tuple(source.shape), place()))
    return target
