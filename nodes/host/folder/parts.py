"""Networks under ComfyUI's memory management, one patcher a folder and part, shared by all nodes that use it."""

from collections.abc import Callable
from pathlib import Path
from weakref import WeakValueDictionary

import torch
from comfy.model_patcher import ModelPatcher

from .folders import stamp

# Weak: a part lives as long as a node's output holds it, and ComfyUI's own cache decides how long that is.
_alive: WeakValueDictionary[tuple[str, ...], ModelPatcher] = WeakValueDictionary()


class Part(torch.nn.Module):
    """A network inside a plain module: ComfyUI sets `device` on what it moves, and diffusers' modules refuse that."""

    def __init__(self, network: torch.nn.Module):
        super().__init__()
        self.network = network


def shared_patcher(
    folder: Path, name: str, weights: str, make: Callable[[], torch.nn.Module], load_device, offload_device
) -> ModelPatcher:
    """The patcher of `make()`'s module for this part of this folder in these weights, made once while it is in use.

    Always the plain patcher: the dynamic one of newer cores needs ComfyUI's own layers.
    """
    key = str(folder), name, weights, stamp(folder)
    patcher = _alive.get(key)
    if patcher is None:
        patcher = ModelPatcher(make().to(offload_device), load_device=load_device, offload_device=offload_device)
        _alive[key] = patcher
    return patcher
