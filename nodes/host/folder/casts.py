"""Networks of diffusers and transformers on ComfyUI's own layers, which may lie elsewhere or in another type."""

from __future__ import annotations

import logging
from pathlib import Path

import comfy.model_management
import comfy.ops
import torch

from ....pipeline_core.doors.tensors import Stored
from ....pipeline_core.models.folders.loading import TYPES, load_part
from ....pipeline_core.models.folders.memory import Plan, is_matrix, plan_memory
from ....pipeline_core.models.folders.preset_file import read_preset


def folder_plan(folder: Path, weights: str) -> Plan:
    """The memory plan of a folder on ComfyUI's device."""
    device = comfy.model_management.get_torch_device()
    free = None if device.type in ("cpu", "mps") else comfy.model_management.get_free_memory(device)
    return plan_memory(folder, read_preset(folder), weights, free, str(device))


def log_plan(plan: Plan) -> None:
    """The plan in ComfyUI's log, before anything is loaded."""
    for line in plan.lines():
        logging.info(line)


def load_castable(folder: Path, name: str, weights: str) -> torch.nn.Module:
    """A part with its weights in the type of `weights`: "fp32" on plain layers, "bf16" and "fp8" on ComfyUI's.

    ComfyUI can then leave any of the matrices in main memory and fetch it when it runs. The layers compute in the
    type of what they are given; fp8 is a type to rest in.
    """
    network = load_part(folder, name, TYPES[weights])
    if weights == "fp32":
        return network
    for path, module in network.named_modules():
        # Swapped in place: the two classes differ in how they run, not in what they hold.
        if type(module) is torch.nn.Linear:
            module.__class__ = comfy.ops.manual_cast.Linear
            shape = tuple(module.weight.shape)
            if weights == "fp8" and is_matrix(f"{path}.weight", Stored("BF16", shape)):
                module.weight = torch.nn.Parameter(module.weight.to(torch.float8_e4m3fn), requires_grad=False)
    return network
