"""Training state as safetensors: weights, their running average, Adam's moments, step and elapsed time."""

from __future__ import annotations

import json
from pathlib import Path

import torch


def save_checkpoint(
    path: Path,
    networks: torch.nn.Module,
    average: dict[str, torch.Tensor],
    optimizer: torch.optim.Optimizer,
    state: dict,
) -> None:
    """Write everything resuming needs; the old file stays until the new one is complete.

    state: JSON-serialisable counters and settings (step, elapsed seconds, vocabulary, ...).
    """
    from safetensors.torch import save_file

    tensors = {}
    for name, parameter in networks.named_parameters():
        tensors[f"model.{name}"] = parameter.detach()
        tensors[f"average.{name}"] = average[name]
        for key, value in optimizer.state[parameter].items():
            tensors[f"adam.{key}.{name}"] = torch.as_tensor(value)
    part = path.with_suffix(".part")
    save_file({name: t.contiguous().clone() for name, t in tensors.items()}, str(part), {"state": json.dumps(state)})
    part.replace(path)


def read_state(path: Path) -> dict:
    """The counters and settings of a checkpoint."""
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as file:
        return json.loads(file.metadata()["state"])


def load_checkpoint(
    path: Path, networks: torch.nn.Module, average: dict[str, torch.Tensor], optimizer: torch.optim.Optimizer
) -> dict:
    """Fill networks, average and optimizer in place from a checkpoint; returns its state."""
    from safetensors.torch import load_file

    tensors = load_file(str(path))
    for name, parameter in networks.named_parameters():
        parameter.data.copy_(tensors[f"model.{name}"])
        average[name].copy_(tensors[f"average.{name}"])
        moments = {key: tensors.get(f"adam.{key}.{name}") for key in ("step", "exp_avg", "exp_avg_sq")}
        # A parameter that never got a gradient has no moments.
        if moments["step"] is not None:
            optimizer.state[parameter] = {key: value for key, value in moments.items() if value is not None}
    return read_state(path)


def load_average(path: Path, networks: torch.nn.Module) -> dict:
    """Fill networks in place with the running average of a checkpoint; returns its state."""
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as file:
        for name, parameter in networks.named_parameters():
            parameter.data.copy_(file.get_tensor(f"average.{name}"))
    return read_state(path)
