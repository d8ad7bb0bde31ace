"""Networks of full size without a byte of weights: built from published configurations on fake tensors."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import Module, Parameter

from ...doors.tensors import Stored
from ..folders.memory import is_matrix
from ..networks.cosmos3 import without_heads
from .cost import Cost
from .tracker import FusedAttention, Tracker

CONFIGS = Path(__file__).with_name("configs")


class Studio:
    """Where networks are built and run without data; what one studio builds runs in no other.

    device: where its tensors say they lie, and whose memory is counted.
    costs: what was traced in it, by whatever tells one call from another.
    """

    def __init__(self, device: str = "cpu"):
        self.device = torch.device(device)
        # Numbers that a library keeps as real tensors (positions, frequencies) may stand beside fake ones.
        self.mode = FakeTensorMode(allow_non_fake_inputs=True)
        self.costs: dict[tuple, Cost] = {}
        self._built: dict[tuple[str, torch.dtype], Module] = {}

    def network(self, name: str, dtype: torch.dtype) -> Module:
        """The network of configs/NAME.json with weights of `dtype`, for inference; heads that nothing reads left out.

        Built once.
        """
        if (name, dtype) not in self._built:
            self._built[name, dtype] = self.emptied(without_heads(build(read_config(name))), dtype)
        return self._built[name, dtype]

    def emptied(self, network: Module, dtype: torch.dtype) -> Module:
        """A network with every weight exchanged for a fake one of `dtype` and its shape; buffers keep their type."""
        kind = {"dtype": dtype, "device": self.device}
        fakes: dict[int, Parameter] = {}  # by the weight they stand for: two names may share one
        with self.mode:
            for module in network.modules():
                for name, weight in module._parameters.items():
                    if weight is not None:
                        if id(weight) not in fakes:
                            fakes[id(weight)] = Parameter(torch.empty(weight.shape, **kind), False)
                        module._parameters[name] = fakes[id(weight)]
                for name, buffer in module._buffers.items():
                    if buffer is not None:
                        module._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype, device=self.device)
        return network.eval()

    def empty(self, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """A tensor that was there before what is traced."""
        with self.mode:
            return torch.empty(shape, dtype=dtype, device=self.device)

    @contextmanager
    def traced(self) -> Iterator[Tracker]:
        """Count what runs inside, with attention as one kernel.

        Python's collector rests meanwhile: what it would find, and when, must not decide over a peak.
        """
        tracker, collecting = Tracker(self.device), gc.isenabled()
        with ExitStack() as stack:
            gc.disable()
            stack.callback(gc.enable if collecting else gc.disable)
            for mode in (self.mode, torch.no_grad(), tracker, FusedAttention(tracker)):
                stack.enter_context(mode)
            yield tracker


def read_config(name: str) -> dict:
    """configs/NAME.json, with the class's name as `_class_name` and where it was read as `_source`."""
    return json.loads((CONFIGS / f"{name}.json").read_text(encoding="utf-8"))


def build(config: dict) -> Module:
    """The network of a configuration on the meta device. Needs diffusers or transformers, which have its class."""
    import diffusers
    import transformers

    name = config["_class_name"]
    settings = {key: value for key, value in config.items() if not key.startswith("_")}
    with torch.device("meta"):
        if hasattr(diffusers, name):
            return getattr(diffusers, name)(**settings)
        kind = getattr(transformers, name)
        return kind(kind.config_class(**settings))


def held_bytes(network: Module, weights: str, folder: bool) -> tuple[int, int]:
    """(bytes of all weights, of the largest block) held as `weights`: fp32, bf16 or fp8.

    folder: whether fp8 means this pack's own casting of a model folder, which leaves the norms' matrices in bf16;
    ComfyUI's holds every matrix of a block in one byte.
    """
    blocks: dict[str, int] = {}
    for name, weight in network.named_parameters():
        ours = folder and is_matrix(name, Stored("BF16", tuple(weight.shape)))
        narrow = ours if folder else weight.ndim == 2 and "block" in name
        each = 4 if weights == "fp32" else 1 if weights == "fp8" and narrow else 2
        block = re.sub(r"(blocks?|layers)\.(\d+)\..*", r"\1.\2", name)
        blocks[block] = blocks.get(block, 0) + weight.numel() * each
    return sum(blocks.values()), max(blocks.values())
