"""Weights from outside: a safetensors header that adds up, looked at before anything is loaded by it."""

from __future__ import annotations

import os
from math import prod
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from ..errors import UserError
from .json_files import parse_json
from .paths import regular_file

MOST_HEADER = 100_000_000  # safetensors' own limit
# Bits of one value.
BITS = {
    "F64": 64, "I64": 64, "U64": 64, "C64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16, "I16": 16,
    "U16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "I8": 8, "U8": 8, "BOOL": 8, "F4": 4,
}  # fmt: skip


class Stored(NamedTuple):
    """One tensor as a safetensors header states it."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.count * BITS[self.dtype] // 8


def read_header(path: str | os.PathLike) -> dict[str, Stored]:
    """{name: what is stored} of a safetensors file; only its header is read.

    UserError for a file that is none or was cut off, and for tensors of an unknown type, or that overlap, leave a hole
    or have other bytes than their shape says.
    """
    path = regular_file(path)
    size, change = path.stat().st_size, "download it again"
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(MOST_HEADER, size - 8):
            raise UserError(f"{path} is not a whole safetensors file: {change}.")
        text = file.read(length)
    try:
        header = parse_json(text.decode("utf-8"), f"The header of {path}", change)
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a whole safetensors file: {change}.") from error
    header.pop("__metadata__", None)
    tensors, spans = {}, []
    for name, entry in header.items():
        tensors[name], span = _entry(entry, name, path)
        spans.append(span)
    end = 0
    for start, stop in sorted(spans):
        if start != end:
            raise UserError(f"{path} has tensors that overlap or leave a hole: {change}.")
        end = stop
    if 8 + length + end != size:
        raise UserError(f"{path} has {size} bytes where its header says {8 + length + end}: {change}.")
    return tensors


def _entry(entry, name: str, path: Path) -> tuple[Stored, tuple[int, int]]:
    """What an entry of the header says, and its (start, stop) in the data."""
    wrong = UserError(f"{path} says nothing sensible of its tensor {name!r}: download it again.")
    if not isinstance(entry, dict) or entry.get("dtype") not in list(BITS):
        raise wrong
    shape, span = entry.get("shape"), entry.get("data_offsets")
    if not all(isinstance(v, list) and all(type(n) is int and 0 <= n < 2**63 for n in v) for v in (shape, span)):
        raise wrong
    stored = Stored(entry["dtype"], tuple(shape))
    if len(span) != 2 or len(shape) > 32 or span[1] - span[0] != stored.bytes:
        raise wrong
    return stored, (span[0], span[1])


def load_tensors(path: str | os.PathLike) -> dict[str, Tensor]:
    """Every tensor of a safetensors file by name, on the CPU; UserError as `read_header`."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    read_header(path)
    try:
        return load_file(str(path))
    except (SafetensorError, KeyError) as error:  # KeyError: a type that this torch does not have
        raise UserError(f"{path} cannot be read ({str(error).strip()}): download it again.") from error
