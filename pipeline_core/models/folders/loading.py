"""Load a Cosmos-Transfer or Cosmos 3 folder in diffusers' layout: embedded or of full size, the same way."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from ...devices import chosen_device, free_memory
from ...doors import loading
from ...doors.tensors import Stored
from ...errors import UserError
from ..networks.cosmos3 import ORDER, Cosmos3Model, without_heads
from ..networks.text import language_part, tokenise
from ..networks.vae import check_statistics
from ..networks.video_model import VideoModel
from ..released.tensor_lists import renamed_tensor
from .layout import (
    CLASSES,
    UNREAD,
    branch_parts,
    check_kind,
    check_layers,
    is_branch,
    is_edit_folder,
    is_omni_folder,
    network_parts,
    part_folder,
    part_place,
    read_headers,
    read_index,
)
from .lora import Lora, add_reference, merge_loras
from .memory import Plan, plan_memory
from .placement import Turns, in_one_byte, streamed
from .precision import check_bf16_weights, choose_precision
from .preset_file import read_preset

EMBEDDED = Path(__file__).resolve().parents[3] / "models" / "embedded"
SIMDROP_REFERENCE = EMBEDDED.with_name("simdrop_reference")  # the folder of a LoRA of it, trained on renders alone
EMBEDDED_EDIT = EMBEDDED.with_name("embedded_edit")  # the model that edits by instruction
WHOLE_MAPS = (
    "Cosmos 3 is shown each control map whole: the weights count by their sum, as the strength of all maps together."
)
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp8": torch.bfloat16}  # what weights are computed from


def load_video_model(
    folder: str | Path | None = None,
    device: str | torch.device | None = None,
    precision: str = "auto",
    weights: str = "auto",
    tell: Callable[[str], None] | None = None,
    loras: Sequence[Lora] = (),
    reference: Lora | None = None,
) -> VideoModel:
    """VideoModel of a diffusers folder; nothing but safetensors is read and nothing is downloaded.

    folder: None is the embedded model in models/embedded. device: None is the best there is.
    precision: "auto" runs the networks under bfloat16 autocast where the hardware has it (CPUs with AVX-512
    BF16, GPUs from Ampere on) and torch carries it out, and in the weights' dtype elsewhere; "bf16" and "fp32" force
    one. Pictures differ visibly in places between the two, so give it where runs on different machines are compared.
    weights: in memory, "fp32", "bf16", "fp8" (matrices in one byte, computed in bf16) or "auto": fp32 for a small
    model, else bf16; the VAE's always fp32. tell: gets the memory plan, line by line, before anything is loaded.
    On a GPU the networks stay there, take turns or are brought layer by layer, as that plan says.
    loras: merged into the transformer, one after the other (see lora.py). reference: the LoRA with which it answers
    SimDrop's branch "reference", and no other.
    Raises UserError for a missing folder or part, a part of another kind, weights that are missing, do not belong or
    hold NaN, naming the first one, a GPU too small for one window, and bfloat16 asked for where it cannot be had.
    """
    folder = Path(folder) if folder is not None else EMBEDDED
    device = chosen_device(device)
    bf16, note = choose_precision(precision, device)
    names, preset = branch_parts(folder), read_preset(folder)
    omni = is_omni_folder(folder)
    unknown = sorted(set(preset.control_weights) - set(ORDER if omni else names))
    if unknown:
        raise UserError(f"{folder}/preset.json weighs the control {unknown[0]!r}, which the folder does not have.")
    plan = plan_memory(folder, preset, weights, free_memory(device), str(device))
    if tell is not None:
        for line in plan.lines():
            tell(line)
    if plan.placement == "none":
        raise UserError(plan.sentence())
    check_bf16_weights(plan.weights, device)
    dtype, parts = TYPES[plan.weights], {}
    for part in network_parts(folder):
        if part != "vae":
            network = load_part(folder, part, dtype)
            if part == "transformer":  # before it is held in one byte or streamed
                merge_loras(network, loras)
                if reference is not None:
                    add_reference(network, reference)
            parts[part] = _placed(network, plan, device)
    transformer, text_encoder = parts["transformer"], parts.get("text_encoder")
    branches = {name: parts[part] for name, part in names.items()}
    vae, words = load_part(folder, "vae"), "text_tokenizer" if omni else "tokenizer"
    tokenizer = load_tokenizer(folder, words)
    check_statistics(vae)  # before the work: does it state sensible ones
    check_vocabulary(part_place(folder, words), tokenizer, text_encoder or transformer)
    groups = {"frames": [vae]}
    if plan.placement == "parts":
        groups |= {"text": [text_encoder] if text_encoder else [], "steps": [transformer, *branches.values()]}
    notes = [note, WHOLE_MAPS if omni else "", *(f"LoRA {path} has the weight {weight:g}." for path, weight in loras)]
    return (Cosmos3Model if omni else VideoModel)(
        transformer=transformer,
        branches=branches,
        vae=vae.to(device) if plan.placement == "whole" else vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        preset=preset,
        device=device,
        bf16=bf16,
        together=plan.together,
        reference="" if reference is None else f"{reference.path} at the weight {reference.weight:g}",
        turns=None if plan.placement == "whole" else Turns(groups, device),
        notes=tuple(filter(None, notes)),
    )


def _placed(network: torch.nn.Module, plan: Plan, device: torch.device) -> torch.nn.Module:
    """A network as the plan holds it; one that takes turns stays where it is."""
    if plan.weights == "fp8":
        network = in_one_byte(network, TYPES["fp8"])
    if plan.placement == "stream":
        return streamed(network, device)
    return network.to(device) if plan.placement == "whole" else network


def edit_folder(folder: str | Path | None = None) -> Path:
    """The folder of a model that edits by instruction, None being the embedded one; UserError for any other."""
    if folder is None and not EMBEDDED_EDIT.is_dir():
        raise UserError(
            f"The model that edits is not there ({EMBEDDED_EDIT.parent.name}/{EMBEDDED_EDIT.name}): a git checkout of "
            "this pack has it, the registry's archive has not; copy the folder, or choose another model that edits."
        )
    folder = EMBEDDED_EDIT if folder is None else Path(folder)
    if not is_edit_folder(folder):
        raise UserError(f"{folder} is no model that edits by instruction: give one that is, or enhance with this one.")
    return folder


def branch_names(folder: str | Path) -> list[str]:
    """The modalities a model folder takes control maps of."""
    return list(ORDER) if is_omni_folder(folder) else list(branch_parts(folder))


def load_part(
    folder: str | Path,
    name: str,
    dtype: torch.dtype = torch.float32,
    classes: Mapping[str, tuple[str, ...] | None] = CLASSES,
) -> torch.nn.Module:
    """One network of a model folder, on the CPU, for inference: transformer, vae, text_encoder or controlnet*.

    Its class is the one model_index.json names, a control branch's the one in its config; it has to be one of
    `classes`. Nothing but JSON and safetensors is read. Raises UserError like load_video_model.
    """
    import diffusers
    import transformers

    folder = Path(folder)
    index = read_index(folder)
    expected = classes["controlnet" if is_branch(name) else name]
    path = part_folder(folder, name)
    library, class_name = index[name]
    allowed = class_name in expected if expected else class_name.startswith("Autoencoder")
    module = {"diffusers": diffusers, "transformers": transformers}.get(library)
    if not allowed or not hasattr(module, class_name):
        needed = " or ".join(expected) if expected else "diffusers video autoencoder"
        raise UserError(f"{path} is a {class_name}; a {needed} is needed there.")
    stored = read_headers(path)
    check_kind(path, stored, class_name)
    check_layers(path, len(stored))
    options = {"torch_dtype" if library == "diffusers" else "dtype": dtype}
    restore = loading(path, class_name, "restore that part of the model folder")
    with restore, warnings.catch_warnings(), _no_progress_bars():
        warnings.simplefilter("ignore")
        part, info = getattr(module, class_name).from_pretrained(
            str(path), local_files_only=True, use_safetensors=True, output_loading_info=True, **options
        )
    part = language_part(part) if name == "text_encoder" else without_heads(part)
    _check_weights(path, part, info, class_name, stored)
    return part.eval().requires_grad_(False)


@contextmanager
def _no_progress_bars():
    """transformers draws a bar even for eleven small tensors; the user's own setting is put back after."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _check_weights(
    path: Path, part: torch.nn.Module, info: Mapping, class_name: str, stored: Mapping[str, Stored]
) -> None:
    """Every weight present, none left over, all finite; otherwise a UserError that names the first one, and what the
    files call it where that is known."""
    for problem, tensors in (
        ("lacks", info.get("missing_keys")),
        ("has the unknown", info.get("unexpected_keys")),
    ):
        tensors = sorted(tensor for tensor in tensors or () if not tensor.startswith(UNREAD))
        if tensors:
            first = tensors[0]
            words = renamed_tensor(class_name, first, stored)
            raise UserError(f"{path} {problem} tensor {first}{words}; restore the weights that belong to it.")
    for name, tensor in part.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise UserError(f"The tensor {name} in {path} holds NaN or Inf; restore the weights of this part.")


def check_vocabulary(path: Path, tokenizer, reader: torch.nn.Module) -> None:
    """UserError where a tokenizer, of the folder `path`, gives tokens that what reads it has no embedding of."""
    highest, known = max(tokenizer.get_vocab().values()), reader.config.vocab_size
    if highest >= known:
        raise UserError(f"{path} has a token {highest} but what reads it knows {known}; restore both.")


def load_tokenizer(folder: str | Path, name: str = "tokenizer"):
    """The tokenizer of a model folder. Raises UserError when it is missing or cannot read a prompt.

    name: of its part.
    """
    from transformers import PreTrainedTokenizerFast

    path = part_place(folder, name)
    if name not in read_index(folder) or not (path / "tokenizer.json").is_file():
        raise UserError(f"{folder} has no {name}/tokenizer.json; restore that part of the model folder.")
    with loading(path, "a tokenizer", "restore that part of the model folder"):
        tokenizer = PreTrainedTokenizerFast.from_pretrained(str(path), local_files_only=True)
        tokenise(tokenizer, ["a street"], 2)  # a damaged one may load and fail at the first prompt
    return tokenizer
