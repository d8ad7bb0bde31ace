"""What a piece of torch code costs: arithmetic, bytes moved, the most memory at once, operations, waits for the device.

One dispatch mode sees every operation, on real tensors and on fake ones (torch's FakeTensorMode: shapes without data).
Memory is followed by the lifetime of storages, as an allocator sees it: a view costs nothing, a tensor that is let go
gives its bytes back at once. Arithmetic is counted by torch's own formulas (torch.utils.flop_counter).
"""

from __future__ import annotations

import weakref

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from .cost import Cost

_READ = torch.ops.aten._local_scalar_dense.default
_DEVICE = torch.ops.prim.device.default  # a question that fake tensors ask as if it were an operation
_WITHOUT_WORK = frozenset(("aten::empty", "aten::empty_strided", "aten::new_empty", "aten::empty_like"))


class Tracker(TorchDispatchMode):
    """Counts what runs inside it; `cost` is the sum so far, `live` the bytes alive now that were made inside.

    device: whose memory is followed. In place of a value that the host asks a fake tensor for stands 1.
    """

    def __init__(self, device: torch.device | str = "cpu"):
        super().__init__()
        self.device = torch.device(device)
        self.live = self.peak = self.flops = self.between = self.moved = self.swept = self.operations = self.reads = 0
        self._alive: dict[int, weakref.ref] = {}

    @property
    def cost(self) -> Cost:
        return Cost(self.flops, self.between, self.moved, self.swept, self.operations, self.reads, self.peak)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is _DEVICE:
            return args[0].fake_device
        kwargs = kwargs or {}
        if func is _READ:
            self.reads += 1
            if isinstance(args[0], FakeTensor):
                return True if args[0].dtype == torch.bool else 1.0 if args[0].is_floating_point() else 1
        answer = func(*args, **kwargs)
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        outputs = [leaf for leaf in tree_leaves(answer) if isinstance(leaf, torch.Tensor)]
        views = self._follow(inputs, outputs)
        if not (views and not func._schema.is_mutable) and func._schema.name not in _WITHOUT_WORK:
            formula = flop_registry.get(func._overloadpacket)
            self._count(inputs, outputs, formula(*args, **kwargs, out_val=answer) if formula else 0)
        return answer

    def attention(self, inputs: list[torch.Tensor], answer: torch.Tensor) -> None:
        """Count one fused attention of (query, key, value): the table of scores is never in memory."""
        query, key, value = inputs
        pairs = query.shape[:-1].numel() * key.shape[-2]
        flops = 2 * pairs * (query.shape[-1] + value.shape[-1])
        self.between += flops
        self._count(inputs, [answer], flops)

    def _count(self, inputs: list[torch.Tensor], outputs: list[torch.Tensor], flops: int) -> None:
        moved = sum(tensor.numel() * tensor.element_size() for tensor in (*inputs, *outputs))
        self.operations += 1
        self.flops += flops
        self.moved += moved
        self.swept += 0 if flops else moved

    def _follow(self, inputs: list[torch.Tensor], outputs: list[torch.Tensor]) -> bool:
        """Follow the lifetime of new storages; whether there is none: all answers are views, or written in place."""
        before = {tensor.untyped_storage()._cdata for tensor in inputs}
        new = False
        for tensor in outputs:
            if tensor.device != self.device:
                continue
            storage = tensor.untyped_storage()
            key = storage._cdata
            if key in before or key in self._alive:
                continue
            new, size = True, storage.nbytes()
            self._alive[key] = weakref.ref(storage, lambda _, key=key, size=size: self._let_go(key, size))
            self.live += size
            self.peak = max(self.peak, self.live)
        return bool(outputs) and not new

    def _let_go(self, key: int, size: int) -> None:
        if self._alive.pop(key, None) is not None:
            self.live -= size


class FusedAttention(TorchFunctionMode):
    """Attention as one kernel, as GPUs run it; on fake tensors of the CPU torch would write the table of scores."""

    def __init__(self, tracker: Tracker):
        super().__init__()
        self.tracker = tracker

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is not torch.nn.functional.scaled_dot_product_attention:
            return func(*args, **kwargs)
        named = {**dict(zip(("query", "key", "value"), args)), **kwargs}
        query, key, value = (named[name] for name in ("query", "key", "value"))
        answer = query.new_empty(*query.shape[:-1], value.shape[-1])
        self.tracker.attention([query, key, value], answer)
        return answer
