"""Load a Cosmos-Transfer model folder in diffusers' layout: the embedded one, or a full-size one, the same way."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path

import torch

from ..errors import UserError
from .folder import CLASSES, branch_parts, check_kind, is_branch, read_headers, read_index
from .preset import read_preset
from .text import language_part
from .video_model import VideoModel

EMBEDDED = Path(__file__).resolve().parents[2] / "models" / "embedded"
PRECISIONS = ("auto", "bf16", "fp32")


def load_video_model(
    folder: str | Path | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    precision: str = "auto",
) -> VideoModel:
    """VideoModel of a diffusers folder; nothing but safetensors is read and nothing is downloaded.

    folder: None is the embedded model in models/embedded. dtype: of the weights in memory, None = float32.
    precision: "auto" runs the networks under bfloat16 autocast where the hardware has it (CPUs with AVX-512
    BF16, GPUs from Ampere on) and in the weights' dtype elsewhere; "bf16" and "fp32" force one. Pictures differ
    in the last digits between the two, so give it where runs on different machines are compared.
    Raises UserError for a missing folder or part, a part of another kind, and weights that are missing, do not
    belong or hold NaN, naming the first one.
    """
    folder = Path(folder) if folder is not None else EMBEDDED
    device = torch.device(device)
    bf16 = runs_bf16(precision, device)
    kind = dtype or torch.float32
    transformer = load_part(folder, "transformer", kind)
    branches = {name: load_part(folder, part, kind) for name, part in branch_parts(folder).items()}
    model = VideoModel(
        transformer=transformer.to(device),
        branches={name: branch.to(device) for name, branch in branches.items()},
        vae=load_part(folder, "vae", kind).to(device),
        text_encoder=load_part(folder, "text_encoder", kind).to(device),
        tokenizer=load_tokenizer(folder),
        preset=read_preset(folder),
        device=device,
        bf16=bf16,
    )
    unknown = sorted(set(model.preset.control_weights) - set(branches))
    if unknown:
        raise UserError(f"{folder}/preset.json weighs the control {unknown[0]!r}, which the folder does not have.")
    return model


def runs_bf16(precision: str, device: torch.device) -> bool:
    """Whether "auto", "bf16" or "fp32" means bfloat16 autocast on `device`. UserError for another word."""
    if precision not in PRECISIONS:
        raise UserError(f"precision is {precision!r}; give auto, bf16 or fp32.")
    return precision == "bf16" or (precision == "auto" and has_bf16(device))


def has_bf16(device: torch.device) -> bool:
    """Whether `device` multiplies bfloat16 in hardware; False when that cannot be told."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type != "cpu":
        return False
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(probe()) if probe is not None else False


def branch_names(folder: str | Path) -> list[str]:
    """The modalities a model folder has control branches for, sorted."""
    return list(branch_parts(folder))


def load_part(folder: str | Path, name: str, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
    """One network of a model folder, on the CPU, for inference: transformer, vae, text_encoder or controlnet*.

    Its class is the one model_index.json names, a control branch's the one in its config. Nothing but JSON and
    safetensors is read. Raises UserError like load_video_model.
    """
    import diffusers
    import transformers

    folder = Path(folder)
    index = read_index(folder)
    expected = CLASSES["controlnet" if is_branch(name) else name]
    path = folder / name
    if name not in index or not (path / "config.json").is_file():
        raise UserError(f"{folder} has no {name}/ with a config.json; restore that part of the model folder.")
    library, class_name = index[name]
    allowed = class_name in expected if expected else class_name.startswith("Autoencoder")
    module = {"diffusers": diffusers, "transformers": transformers}.get(library)
    if not allowed or not hasattr(module, class_name):
        needed = " or ".join(expected) if expected else "diffusers video autoencoder"
        raise UserError(f"{path} is a {class_name}; a {needed} is needed there.")
    check_kind(path, read_headers(path), class_name)
    options = {"torch_dtype" if library == "diffusers" else "dtype": dtype}
    try:
        with warnings.catch_warnings(), _no_progress_bars():
            warnings.simplefilter("ignore")
            part, info = getattr(module, class_name).from_pretrained(
                str(path), local_files_only=True, use_safetensors=True, output_loading_info=True, **options
            )
    except Exception as error:
        line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{path} could not be loaded ({line}); restore that part of the model folder.") from error
    part = language_part(part) if name == "text_encoder" else part
    _check_weights(path, part, info)
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


def _check_weights(path: Path, part: torch.nn.Module, info: Mapping) -> None:
    """Every weight present, none left over, all finite; otherwise a UserError that names the first one."""
    for problem, found in (
        ("lacks", info.get("missing_keys")),
        ("has the unknown", info.get("unexpected_keys")),
    ):
        if found:
            raise UserError(f"{path} {problem} tensor {sorted(found)[0]}; restore the weights that belong to it.")
    for name, tensor in part.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise UserError(f"The tensor {name} in {path} holds NaN or Inf; restore the weights of this part.")


def load_tokenizer(folder: str | Path):
    """The tokenizer of a model folder. Raises UserError when it is missing."""
    from transformers import PreTrainedTokenizerFast

    path = Path(folder) / "tokenizer"
    if "tokenizer" not in read_index(folder) or not (path / "tokenizer.json").is_file():
        raise UserError(f"{folder} has no tokenizer/tokenizer.json; restore that part of the model folder.")
    return PreTrainedTokenizerFast.from_pretrained(str(path), local_files_only=True)
