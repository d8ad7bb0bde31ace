"""What a model folder will need, told before it is loaded: bytes of every part, and where each can stay.

Weights are counted from the headers of their files. What a step and the VAE need beside them is by the token and by the
latent cell what was traced of the released networks at full size (models/plan); it has not been measured on a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...doors import read_json
from ...doors.tensors import Stored
from ...errors import UserError
from .layout import RESTORE, UNREAD, branch_parts, is_omni_folder, network_parts, part_folder, part_place, read_headers
from .preset import Preset

WEIGHTS = ("auto", "fp32", "bf16", "fp8")
SMALL = 250_000_000  # weights of a transformer that stay 32 bits by themselves
GIB = 2**30
# Left in their files: eyes, and heads that nothing reads.
UNUSED = ("visual.", "model.visual.", *UNREAD)
# fp8 holds the matrices of these; norms, embeddings and the network's doors keep two bytes.
MATRICES = ("transformer_blocks.", "control_blocks.", "crossattn_proj.", "layers.")
WIDE = "time_embedder."  # of Cosmos 3: 32 bits whatever the rest has, says its class
# Tensors of a token's width that a step holds at once: the stream, its norm, q, k, v and their rotated copies in four
# bytes, the attention's answer, an MLP of four widths; and what every running control branch keeps between its blocks.
BLOCK_TENSORS, BRANCH_TENSORS = 15, 3.6
VAE_BYTES_PER_CELL = 9200 * 64  # of a Wan VAE of full width, per latent cell and byte, for 93 frames
FULL_VAE_WIDTH = 96
RESIDUAL = 1.61  # as much as that takes a Wan 2.2 VAE of the same width
# What BLOCK_TENSORS is, of Cosmos 3, whose maps are tokens beside the video's; and what the video has to itself.
OMNI_TENSORS, OMNI_OWN = 16.1, 1.5
ROOM = 0.9  # of what is free: kernels take some for themselves, and there are gaps between tensors


@dataclass(frozen=True)
class PartBytes:
    """One part: bytes in its files and in memory, and the largest block of it that can move alone."""

    name: str
    stored: int
    in_memory: int
    block: int


@dataclass(frozen=True)
class Plan:
    """Where a model's parts go. placement: "whole", "parts", "stream" or "none" (it does not fit).

    stages: peak bytes on the device while text is read, frames are coded and steps are made. together: conditions in
    one batch, 0 is all of them. free: bytes the device has; None where that is not known or not limited.
    """

    weights: str
    parts: tuple[PartBytes, ...]
    stages: Mapping[str, int]
    step: int
    placement: str
    together: int
    free: int | None
    device: str

    def lines(self) -> list[str]:
        """The plan as a table and a sentence."""
        width = max(len(part.name) for part in self.parts)
        rows = [
            f"{part.name.ljust(width)}  {amount(part.stored):>9}  {amount(part.in_memory):>9}" for part in self.parts
        ]
        total = [sum(part.stored for part in self.parts), sum(part.in_memory for part in self.parts)]
        head = f"{'memory plan'.ljust(width)}  {'in files':>9}  {self.weights:>9}"
        return [head, *rows, f"{'all'.ljust(width)}  {amount(total[0]):>9}  {amount(total[1]):>9}", self.sentence()]

    def sentence(self) -> str:
        """What happens on the device."""
        step = f"a step needs about {amount(self.step)} beside the weights (estimated)"
        if self.free is None:
            return f"All parts stay on {self.device}; {step}."
        has = f"{self.device} has {amount(self.free)} free"
        peak = f"at most about {amount(max(self.stages.values()))} at once"
        one = ", one condition at a time" if self.together == 1 else ""
        return {
            "whole": f"{has}: all parts stay there{one}; {step}.",
            "parts": f"{has}: text encoder, VAE and transformer with controls take turns there{one}, {peak}; {step}.",
            "stream": f"{has}: the transformer's blocks come from main memory at every step, one condition at a time; "
            f"{step}.",
            "none": f"{has}, which is too little for one window: {step}; give a smaller size or fewer frames.",
        }[self.placement]


def plan_memory(
    folder: str | Path, preset: Preset, weights: str = "auto", free: int | None = None, device: str = "cpu"
) -> Plan:
    """The plan for one window of the preset's size with two conditions and all of the folder's controls.

    Cosmos 3 takes one condition at a time, and the maps that its preset gives a weight.

    weights: "auto" (32 bits for a small transformer, else bf16), "fp32", "bf16" or "fp8" (matrices in one byte).
    free: bytes the device can give, None where main memory is the device's own. Raises UserError like load_part.
    """
    folder, omni = Path(folder), is_omni_folder(folder)
    branches = list(branch_parts(folder).values())
    controls = sum(weight > 0 for weight in preset.control_weights.values()) if omni else len(branches)
    headers = {name: read_headers(part_folder(folder, name)) for name in network_parts(folder)}
    weights = chosen_weights(weights, headers["transformer"])
    parts = {name: part_bytes(name, header, weights) for name, header in headers.items()}
    cells = preset_cells(preset)
    step, coding = step_bytes(folder, cells, controls), coding_bytes(folder, cells)
    sampling = parts["transformer"].in_memory + sum(parts[name].in_memory for name in branches)
    batch = 1 if omni else 2
    stages = {
        "text": 0 if omni else parts["text_encoder"].in_memory,
        "frames": parts["vae"].in_memory + coding,
        "steps": sampling + batch * step,
    }
    placement, together = "whole", 1 if omni else 0
    if free is not None:
        all_parts = sum(part.in_memory for part in parts.values())
        blocks = 2 * max(part.block for part in parts.values())
        single = {**stages, "steps": sampling + step}
        if all_parts + max(batch * step, coding) <= free:
            pass
        elif max(stages.values()) <= free:
            placement = "parts"
        elif max(single.values()) <= free:
            placement, together, stages = "parts", 1, single
        elif step + blocks <= free:
            placement, together = "stream", 1
            stages = {name: min(size, free) for name, size in single.items()}
        else:
            placement, together = "none", 1
    return Plan(weights, tuple(parts.values()), stages, step, placement, together, free, device)


def chosen_weights(weights: str, transformer: Mapping[str, Stored]) -> str:
    """What "auto" means for a transformer of these weights. UserError for another word."""
    if weights not in WEIGHTS:
        raise UserError(f"weights is {weights!r}; give {', '.join(WEIGHTS)}.")
    if weights != "auto":
        return weights
    return "fp32" if sum(stored.count for stored in transformer.values()) < SMALL else "bf16"


def step_bytes(folder: Path, cells: tuple[int, int, int], controls: int) -> int:
    """`forward_bytes` of a folder's transformer in two bytes. UserError where it states no sizes."""
    path = Path(folder) / "transformer" / "config.json"
    config = read_json(path, RESTORE)
    if is_omni_folder(folder):
        patch, sizes = [1, *[config.get("latent_patch_size")] * 2], [config.get("hidden_size")]
    else:
        patch, sizes = config.get("patch_size"), [config.get("num_attention_heads"), config.get("attention_head_dim")]
    if not (isinstance(patch, list) and len(patch) == 3 and all(type(n) is int and n > 0 for n in [*patch, *sizes])):
        raise UserError(f"{path} states no sizes of a transformer: {RESTORE}.")
    return forward_bytes(config, cells, controls)


def forward_bytes(config: Mapping, cells: Sequence[int], controls: int, each: int = 2) -> int:
    """Bytes of one condition's step beside the weights, for a latent of (t, h, w) cells.

    config: of a CosmosTransformer3DModel or a Cosmos3OmniTransformer. each: bytes of a value.
    """
    if "latent_patch_size" in config:
        tokens = cells[0] * math.prod(math.ceil(side / config["latent_patch_size"]) for side in cells[1:])
        return int(tokens * config["hidden_size"] * each * (OMNI_TENSORS * (1 + controls) + OMNI_OWN))
    tokens = math.prod(side // patch for side, patch in zip(cells, config["patch_size"], strict=True))
    width = config["num_attention_heads"] * config["attention_head_dim"]
    return int(tokens * width * each * (BLOCK_TENSORS + BRANCH_TENSORS * controls))


def wan_coding_bytes(config: Mapping, size: Sequence[int], each: int = 2) -> int:
    """Bytes a Wan VAE needs beside its weights for frames of (h, w) latent cells: it codes one after the other.

    config: of the VAE. each: bytes of a value.
    """
    width = config.get("decoder_base_dim") or config.get("base_dim", FULL_VAE_WIDTH)
    share = width / FULL_VAE_WIDTH * (RESIDUAL if config.get("is_residual") else 1)
    return int(math.prod(size) * VAE_BYTES_PER_CELL * each * share)


def is_matrix(name: str, stored: Stored) -> bool:
    """Whether fp8 holds this tensor in one byte."""
    return len(stored.shape) == 2 and any(part in name for part in MATRICES) and "norm" not in name


def part_bytes(name: str, tensors: Mapping[str, Stored], weights: str) -> PartBytes:
    """What a part of these tensors takes where it is held as `weights`."""
    in_memory, blocks = 0, {}
    for key, stored in tensors.items():
        if key.startswith(UNUSED):
            continue
        each = (
            4
            if weights == "fp32" or name == "vae" or key.startswith(WIDE)
            else 1
            if weights == "fp8" and is_matrix(key, stored)
            else 2
        )
        in_memory += stored.count * each
        block = ".".join(key.split(".")[:2]) if "blocks." in key else ".".join(key.split(".")[:4])
        blocks[block] = blocks.get(block, 0) + stored.count * each
    return PartBytes(name, sum(stored.bytes for stored in tensors.values()), in_memory, max(blocks.values(), default=0))


def preset_cells(preset: Preset) -> tuple[int, int, int]:
    """Latent cells (t, h, w) of a window of the preset's size."""
    height, width = preset.size
    ratio = preset.spatial_ratio
    return 1 + (preset.window - 1) // preset.temporal_ratio, height // ratio, width // ratio


def coding_bytes(folder: Path, cells: tuple[int, int, int]) -> int:
    """`wan_coding_bytes` of a folder's VAE, whatever its kind."""
    path = part_place(folder, "vae") / "config.json"
    config = read_json(path, RESTORE)
    widths = [config.get("base_dim", FULL_VAE_WIDTH), config.get("decoder_base_dim") or FULL_VAE_WIDTH]
    if any(type(width) is not int or width < 1 for width in widths):
        raise UserError(f"{path} states no width of a VAE: {RESTORE}.")
    return wan_coding_bytes(config, cells[1:])


def amount(count: int) -> str:
    """Bytes for a person."""
    return f"{count / GIB:.2f} GiB" if count >= GIB // 10 else f"{count / 2**20:.2f} MiB"
