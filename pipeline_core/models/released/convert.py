"""Released .pt checkpoints as safetensors, without running what a pickle could say.

A .pt file is a zip archive whose data.pkl is a program that may call any Python function. It is read as a list of
instructions first, without running them: one that names anything but tensors ends the conversion. Only then does
PyTorch's own weights-only reader build the tensors.
"""

from __future__ import annotations

import contextlib
import io
import pickletools
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...doors import load_tensors, loading
from ...doors.tensors import read_header as stored_tensors
from ...errors import UserError
from ...video.files import atomic_file
from .transfer1 import BASE, CONTROL, PREFIX, NetworkSize, modality_of, network_size, own_names

DTYPES = {
    "keep": None,
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp8_e4m3fn": torch.float8_e4m3fn,
}
MOST_PICKLE = 16 << 20  # bytes of the list of tensors; that of a 14-billion model has 1 MB
PARTS = ("auto", CONTROL, BASE)
# Everything a file of plain tensors names; io.BytesIO is what TransformerEngine keeps its empty states in.
_HARMLESS = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_tensor_v3",
    "torch._utils _rebuild_parameter",
    "torch.storage UntypedStorage",
    "torch Size",
    "_io BytesIO",
    "_codecs encode",
    "__builtin__ bytes",
    "builtins bytes",
}
_STORAGES = ("Float", "Half", "BFloat16", "Double", "Byte", "Char", "Short", "Int", "Long", "Bool")
_HARMLESS |= {f"torch {kind}Storage" for kind in _STORAGES}
_HARMLESS |= {f"torch {kind}" for kind in ("float8_e4m3fn", "float8_e5m2", "float32", "float16", "bfloat16", "uint8")}
# The instructions that fetch something by a name which is not written beside them.
_HIDDEN = {"STACK_GLOBAL", "INST", "OBJ", "EXT1", "EXT2", "EXT4"}


@dataclass(frozen=True)
class Converted:
    """What a conversion wrote: network, tensors, bytes, the type of most weights, and what the control follows."""

    path: Path
    size: NetworkSize
    tensors: int
    weights: int
    bytes: int
    dtype: torch.dtype
    modality: str


def read_header(path: Path) -> dict[str, tuple[int, ...]]:
    """{name: shape} of a safetensors file; only its header is read. UserError for any other or a cut-off file."""
    path = Path(path)
    start = _start_of(path)
    if start[:2] == b"PK" or start[:1] == b"\x80":
        raise UserError(
            f"{path.name} is a PyTorch pickle, which could run code when it is loaded; convert it first with python -m "
            "pipeline_core convert."
        )
    return {name: stored.shape for name, stored in stored_tensors(path).items()}


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Every tensor of a .pt, .pth or .safetensors file by name, on the CPU and mapped from the file where possible.

    Raises UserError in one sentence for a missing or cut-off file, and for a pickle that names anything but tensors:
    nothing in it has run then.
    """
    path = Path(path)
    start = _start_of(path)
    if start[:2] != b"PK":
        if start[:1] == b"\x80" or path.suffix in (".pt", ".pth", ".ckpt", ".bin"):
            raise UserError(
                f"{path.name} is not in PyTorch's zip format: it is damaged, or too old to be checked before it is "
                "read; download it again."
            )
        return load_tensors(path)
    _check_pickle(path)
    with loading(path, "a checkpoint", "download it again"), _bytes_allowed():
        loaded = torch.load(str(path), map_location="cpu", weights_only=True, mmap=True)
    return _tensors_in(loaded)


def _start_of(path: Path) -> bytes:
    if not path.is_file():
        raise UserError(f"The file {path} does not exist; change the path.")
    with path.open("rb") as file:
        return file.read(8)


def _check_pickle(path: Path) -> None:
    """UserError unless every instruction of the archive's pickles builds tensors. Nothing of it is run."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if len(set(names)) < len(names):  # two readers could see two different pickles
                raise UserError(f"{path.name} holds two files of one name; get it from the model's own page.")
            if any(name.endswith("/constants.pkl") for name in names):
                raise UserError(f"{path.name} is a TorchScript program, not a checkpoint; choose the file of weights.")
            _check_unpacked(path, archive)
            pickles = [archive.read(name) for name in names if name.endswith(".pkl")]
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError, NotImplementedError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path.name} is cut off or damaged; download it again.") from None
    if not pickles:
        raise UserError(f"{path.name} is a zip archive without weights; choose the checkpoint's .pt file.")
    for content in pickles:
        try:
            for instruction, argument, _ in pickletools.genops(content):
                if instruction.name in _HIDDEN:
                    _refuse_code(path, "a function that it hides")
                if instruction.name == "GLOBAL" and argument not in _HARMLESS:
                    _refuse_code(path, argument.replace(" ", "."))
        except UserError:
            raise
        except Exception as error:  # whatever a damaged stream does to the reader
            raise UserError(f"{path.name} has a damaged list of tensors ({error}); download it again.") from None


def _check_unpacked(path: Path, archive: zipfile.ZipFile) -> None:
    """UserError for an archive that holds more than its file: torch packs nothing, so that is no checkpoint."""
    for member in archive.infolist():
        if member.filename.endswith(".pkl") and member.file_size > MOST_PICKLE:
            raise UserError(
                f"{path.name} says that its list of tensors is {member.file_size >> 20} MB long, which no "
                "checkpoint's is; get it from the model's own page."
            )
    unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > 2 * path.stat().st_size:
        raise UserError(
            f"{path.name} would unpack to {unpacked / 1e9:.1f} GB, which no checkpoint of weights does; get it from "
            "the model's own page."
        )


def _refuse_code(path: Path, what: str) -> None:
    raise UserError(
        f"{path.name} would call {what} when it is loaded, which no checkpoint of weights does: nothing of it was run; "
        "get the file from the model's own page."
    )


def _bytes_allowed():
    """TransformerEngine's states are BytesIO objects; older PyTorch cannot be told, and then refuses them."""
    allow = getattr(torch.serialization, "safe_globals", None)
    return allow([io.BytesIO, bytes]) if allow else contextlib.nullcontext()


def _tensors_in(loaded) -> dict[str, Tensor]:
    """The state inside what a checkpoint holds: {"ema": ...}, whose names have dashes, {"model": ...} or the state."""
    if isinstance(loaded, Mapping):
        if isinstance(loaded.get("ema"), Mapping):
            loaded = {name.replace("-", "."): value for name, value in loaded["ema"].items()}
        elif isinstance(loaded.get("model"), Mapping):
            loaded = loaded["model"]
        return {str(name): value for name, value in loaded.items() if isinstance(value, Tensor)}
    return {}


def convert_transfer1(source: str | Path, target: str | Path, part: str = "auto", dtype: str = "keep") -> Converted:
    """Write a released Cosmos-Transfer1 checkpoint as safetensors: a control branch, or the base for ComfyUI.

    part: "control" or "base" where a file holds both networks. dtype: "keep", "fp32", "bf16", "fp16", or
    "fp8_e4m3fn", which is for the blocks' matrices alone; the rest is then bfloat16. Written under a temporary name
    in the target's folder and renamed when complete. Raises UserError naming what is wrong with the file.
    """
    source, target = Path(source), Path(target)
    if dtype not in DTYPES or part not in PARTS:
        raise UserError(f"dtype is {dtype!r} and part {part!r}; give {', '.join(DTYPES)} and {', '.join(PARTS)}.")
    state = read_checkpoint(source)
    try:
        networks = own_names(state)
        if part == "auto" and len(networks) > 1:
            raise UserError("it holds both networks: give --part control or --part base")
        kind = next(iter(networks)) if part == "auto" else part
        if kind not in networks:
            raise UserError(f"it holds no {kind} network")
        own = {inner: state[name] for inner, name in networks[kind].items()}
        size = network_size({name: tensor.shape for name, tensor in own.items()}, kind)
        tensors = {PREFIX + name: _cast(name, tensor, dtype) for name, tensor in own.items()}
    except UserError as error:
        raise UserError(f"{source.name} cannot be converted as Cosmos-Transfer1: {error}.") from None
    modality = modality_of(source.name) if kind == CONTROL else ""
    metadata = {"format": "pt", "network": f"cosmos-transfer1-{kind}", **({"modality": modality} if modality else {})}
    _save(tensors, target, metadata)
    count = sum(tensor.numel() for tensor in tensors.values())
    weight_dtype = tensors[PREFIX + "blocks.block0.blocks.0.block.attn.to_q.0.weight"].dtype
    return Converted(target, size, len(tensors), count, target.stat().st_size, weight_dtype, modality)


def _cast(name: str, tensor: Tensor, dtype: str) -> Tensor:
    kind = DTYPES[dtype]
    if kind == torch.float8_e4m3fn and not (name.startswith("blocks.") and tensor.ndim == 2):
        kind = torch.bfloat16
    if not tensor.is_floating_point():
        raise UserError(f"its tensor {PREFIX}{name} holds {tensor.dtype}, not weights")
    if tensor.element_size() > 1 and not bool(torch.isfinite(tensor).all()):
        raise UserError(f"its tensor {PREFIX}{name} holds NaN or Inf")
    if kind == torch.float8_e4m3fn:
        limit = torch.finfo(kind).max  # beyond it the conversion makes NaN
        tensor = tensor.float().clamp(-limit, limit)
    return (tensor if kind is None else tensor.to(kind)).contiguous()


def _save(tensors: dict[str, Tensor], target: Path, metadata: dict[str, str]) -> None:
    from safetensors.torch import save_file

    try:
        with atomic_file(target) as unfinished:
            save_file(tensors, str(unfinished), metadata)
    except OSError as error:
        raise UserError(f"{target} could not be written ({error.strerror or error}); change the output.") from error
