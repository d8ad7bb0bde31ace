"""What makes the host wait for a device, written down as it happens: shared by the pretend device and a real one."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
OURS = ("pipeline_core", "nodes")
HELPERS = {"waits.py", "pretend_device.py", "device_under_test.py"}

# The host has to know how many there are before it can go on.
SIZED_BY_VALUES = {
    "aten::nonzero",
    "aten::masked_select",
    "aten::unique_dim",
    "aten::unique_consecutive",
    "aten::_unique",
    "aten::_unique2",
    "aten::bincount",
    "aten::repeat_interleave",
    "aten::equal",
    "aten::_linalg_check_errors",
}
MASKS_AS_INDICES = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}
TRANSFERS = {"aten::_to_copy", "aten::copy_"}


@dataclass(frozen=True)
class Wait:
    """Something that makes the host wait. what: the operation; shape: of the tensor; where: "file.py:line in function"
    of this project's innermost frame, and after "via" the package's frame that asked, where it was not our own."""

    what: str
    shape: tuple[int, ...]
    where: str


class Waits:
    """reads, uploads: lists of `Wait`; clear() empties both."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[Wait] = []
        self.uploads: list[Wait] = []

    def clear(self) -> None:
        self.reads.clear()
        self.uploads.clear()

    def table(self, waits: list[Wait]) -> str:
        """The places that made the host wait, the most frequent first: one line each, for a test that fails."""
        counts = Counter((wait.where, wait.what) for wait in waits)
        return "\n".join(f"{count:5d}  {what:28s} {where}" for (where, what), count in counts.most_common())

    def record(self, name: str, args: tuple, here: list, there: list, target: str | None) -> None:
        """Write down what an operation makes the host wait for. here, there: its tensors on the device and elsewhere;
        target: the kind of device that it was asked to answer on."""
        if name == "aten::_local_scalar_dense" and here:
            self.reads.append(Wait("item", (), place()))
        elif name == "aten::_to_copy" and here and target == "cpu":
            self.reads.append(Wait("copy to the host", tuple(here[0].shape), place()))
        elif name == "aten::copy_" and here and there:
            wait = Wait("copy", tuple(args[0].shape), place())
            (self.uploads if any(args[0] is value for value in here) else self.reads).append(wait)
        elif name == "aten::_to_copy" and there and target not in (None, "cpu"):
            self.uploads.append(Wait("copy from the host", tuple(there[0].shape), place()))
        elif name in SIZED_BY_VALUES and here:
            self.reads.append(Wait(name.removeprefix("aten::"), tuple(here[0].shape), place()))
        elif name in MASKS_AS_INDICES and here:
            indices = [value for value in args[1] if isinstance(value, torch.Tensor)]
            if any(value.dtype in (torch.bool, torch.uint8) for value in indices) and not fills(name, args):
                self.reads.append(Wait("mask as index", tuple(here[0].shape), place()))
            if any(value is other for value in indices for other in there):
                self.uploads.append(Wait("indices from the host", tuple(indices[0].shape), place()))


def fills(name: str, args: tuple) -> bool:
    """x[mask] = number, which CUDA does without counting the mask."""
    return name != "aten::index" and args[2].numel() == 1 and len(args[1]) == 1


def place() -> str:
    """Where in this project the operation was asked for, see `Wait`."""
    frame, first = sys._getframe(2), None
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in OURS:
            where = f"{path.relative_to(ROOT)}:{frame.f_lineno} in {frame.f_code.co_name}"
            return where if first is None else f"{where} via {first}"
        if first is None and path.name not in HELPERS and "torch" not in path.parts:
            first = f"{'/'.join(path.parts[-2:])}:{frame.f_lineno}"
        frame = frame.f_back
    return first or "?"
