"""LoRAs of a model folder's transformer: added to train, written for diffusers and ComfyUI, merged to enhance.

W' = W + B A (Hu et al. 2021, eq. 3, with alpha = r, so that every reader agrees on the scale), by diffusers' own
integration of PEFT. The file has diffusers' name and its pipelines' names of tensors, "transformer." before each.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ...doors import load_tensors, loading
from ...doors.tensors import Stored, read_header
from ...errors import UserError
from ...video.files import atomic_file

NAME, COMFYUI_NAME = "pytorch_lora_weights.safetensors", "comfyui_lora.safetensors"
PREFIX = "transformer."
TARGETS = ("to_q", "to_k", "to_v", "to_out.0")  # the products of every attention
ADAPTER = "default"
_HALF = re.compile(r"(.+)\.lora_([AB])\.weight")
# The native names of Wan's products, which ComfyUI's own loader goes by.
_WAN = {"attn1.": "self_attn.", "attn2.": "cross_attn.", ".to_out.0": ".o", ".to_": "."}


class Lora(NamedTuple):
    """A LoRA's file and how much of it is taken, 1 is all."""

    path: Path
    weight: float = 1.0


def parse_lora(text: str, option: str = "--lora") -> Lora:
    """ "DIR", "FILE.safetensors" or either with ":WEIGHT" behind it. UserError where nothing of that name is there."""
    path, weight = text, 1.0
    if not Path(text).exists() and ":" in text:
        path, _, number = text.rpartition(":")
        try:
            weight = float(number)
        except ValueError:
            path = text
    if not -10 <= weight <= 10:
        raise UserError(f"{option} {text} has the weight {weight:g} but must have one from -10 to 10: change it.")
    file = Path(path) / NAME if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise UserError(f"{file} does not exist: give a LoRA's folder with {NAME} in it, or its .safetensors file.")
    return Lora(file, weight)


def require_peft(what: str) -> None:
    """UserError unless PEFT is installed. what: what needs it."""
    if find_spec("peft") is None:
        raise UserError(f"{what} needs peft, which is not installed: pip install peft.")


def add_lora(transformer: torch.nn.Module, rank: int, seed: int) -> dict[str, torch.nn.Parameter]:
    """Put a LoRA of `rank` on every attention of a transformer, which then answers as before: B is 0.

    Returns its weights by name, float32, the only ones of the network that want gradients. seed: of A, uniform with the
    variance of 1 / (3 inputs), as PEFT draws it.
    """
    require_peft("Fine-tuning")
    from peft import LoraConfig

    with torch.random.fork_rng(devices=[]):  # PEFT draws from torch's own generator
        transformer.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(TARGETS)), ADAPTER)
    weights = {name: weight for name, weight in transformer.named_parameters() if ".lora_" in name}
    generator = torch.Generator().manual_seed(seed)
    for name, weight in weights.items():
        start = torch.zeros(weight.shape)
        if ".lora_A." in name:
            start.uniform_(-(weight.shape[1] ** -0.5), weight.shape[1] ** -0.5, generator=generator)
        weight.data = start.to(weight.device)
        weight.requires_grad_(True)
    return weights


def lora_tensors(transformer: torch.nn.Module) -> dict[str, Tensor]:
    """{"transformer.MODULE.lora_A.weight" or lora_B: tensor} of the LoRA that `add_lora` put on a network."""
    from peft.utils import get_peft_model_state_dict

    tensors = get_peft_model_state_dict(transformer, adapter_name=ADAPTER)
    return {PREFIX + name: tensor.detach().float().cpu().contiguous() for name, tensor in sorted(tensors.items())}


def save_lora(tensors: Mapping[str, Tensor], rank: int, folder: Path, wan: bool) -> None:
    """Write the two files of a LoRA into `folder`: diffusers' and, under ComfyUI's names of the same network, one for
    its Load LoRA. wan: whether the network is a Wan, which ComfyUI knows by its native names."""
    write_weights(folder / NAME, tensors, rank)
    _write(folder / COMFYUI_NAME, {comfyui_name(name, wan): t for name, t in tensors.items()}, {"format": "pt"})


def write_weights(path: Path, tensors: Mapping[str, Tensor], rank: int) -> None:
    """Write the file of a LoRA that diffusers reads; its tensors by the names of `lora_tensors`."""
    config = {"r": rank, "lora_alpha": rank, "target_modules": list(TARGETS)}
    about = json.dumps({PREFIX + name: value for name, value in config.items()})
    _write(path, tensors, {"format": "pt", "lora_adapter_metadata": about})


def comfyui_name(name: str, wan: bool) -> str:
    """What ComfyUI calls a tensor of `lora_tensors`.

    A model folder's network is `transformer` inside this pack's MODEL; Wan is ComfyUI's own.
    """
    if wan:
        name = name.removeprefix(PREFIX)
        for ours, native in _WAN.items():
            name = name.replace(ours, native)
    return f"diffusion_model.{name}"


def merge_loras(transformer: torch.nn.Module, loras: Sequence[Lora]) -> None:
    """W <- W + weight (alpha / r) B A for every LoRA, in place; the network then costs what it did before.

    UserError for a file that holds no LoRA, and for one of another network, naming the first tensor that does not fit.
    """
    if not loras:
        return
    require_peft("A LoRA")
    for lora in loras:
        put_on(transformer, lora, "merged")
        with torch.no_grad():
            transformer.fuse_lora(lora_scale=lora.weight, adapter_names=["merged"])
        transformer.unload_lora()


def add_reference(transformer: torch.nn.Module, lora: Lora) -> None:
    """Put a LoRA beside a transformer's weights, switched off: the network answers as before until `reference_on`."""
    require_peft("A LoRA")
    put_on(transformer, lora, "reference")
    transformer.set_adapters(["reference"], [lora.weight])
    transformer.disable_lora()


@contextmanager
def reference_on(transformer: torch.nn.Module) -> Iterator[None]:
    """The transformer with the LoRA of `add_reference` while the block runs."""
    transformer.enable_lora()
    try:
        yield
    finally:
        transformer.disable_lora()


def put_on(transformer: torch.nn.Module, lora: Lora, adapter: str) -> None:
    """Load a LoRA's weights beside those of a transformer, as the adapter of that name, at its full weight."""
    stored = read_header(lora.path)
    prefix = PREFIX.rstrip(".") if all(name.startswith(PREFIX) for name in stored) else None
    _check_fit(transformer, lora.path, {name.removeprefix(PREFIX) if prefix else name: s for name, s in stored.items()})
    if not all(torch.isfinite(tensor).all() for tensor in load_tensors(lora.path).values()):
        raise UserError(f"{lora.path} holds NaN or Inf: train it again, or give another.")
    with loading(lora.path, "a LoRA", "give another"):
        transformer.load_lora_adapter(
            str(lora.path.parent),
            weight_name=lora.path.name,
            prefix=prefix,
            adapter_name=adapter,
            local_files_only=True,
            use_safetensors=True,
        )
    for weight in transformer.parameters():
        weight.requires_grad_(False)


def _check_fit(transformer: torch.nn.Module, path: Path, stored: Mapping[str, Stored]) -> None:
    """UserError unless every tensor is one half of a LoRA of a product that the network has."""
    modules = dict(transformer.named_modules())
    if not stored:
        raise UserError(f"{path} holds no tensors; give a LoRA.")
    for name, tensor in stored.items():
        half = _HALF.fullmatch(name)
        if half is None:
            raise UserError(
                f"{path} holds {name}, which is no LoRA in diffusers' layout: give the {NAME} of one trained for this "
                "model."
            )
        weight = getattr(modules.get(half[1]), "weight", None)
        side, other = {"A": (1, "B"), "B": (0, "A")}[half[2]]
        if weight is None or weight.ndim != 2 or len(tensor.shape) != 2 or tensor.shape[side] != weight.shape[side]:
            raise UserError(f"{path} has {name}, which does not fit this model: give a LoRA that was trained for it.")
        if f"{half[1]}.lora_{other}.weight" not in stored:
            raise UserError(f"{path} has {name} without its other half: give a whole LoRA.")


def _write(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    from safetensors.torch import save_file

    with atomic_file(path) as unfinished:
        save_file(dict(tensors), str(unfinished), metadata)
