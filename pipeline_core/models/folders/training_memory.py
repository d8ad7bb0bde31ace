"""What fine-tuning a model folder will need, told before anything is loaded: text, frames, then steps, one at a time.

A step keeps the stream before every block and, while a block is gone through again for its gradients, what that block
computed (gradient checkpointing). On small networks of 32 bits that was 27 tensors of a token's width, for Cosmos and
Wan alike; the estimate leaves room for norms that stay 32 bits beside a stream of 16. None of it was measured on a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...doors import read_json
from ...errors import UserError
from ..networks.coder import SIDES
from .layout import RESTORE, part_folder, read_headers
from .lora import TARGETS
from .memory import amount, chosen_weights, coding_bytes, part_bytes, preset_cells
from .preset import Preset

WEIGHTS = ("auto", "fp32", "bf16")
# Tensors of a token's width that one block holds between its way there and back, in the type it computes in.
TRAINED_TENSORS = 44
LORA_COPIES = 4 * 4  # bytes for each of a LoRA's weights: itself, its gradient, Adam's two moments, in 32 bits


@dataclass(frozen=True)
class TrainingPlan:
    """weights: of the frozen network, "fp32" or "bf16". stages: peak bytes on the device while text is read, frames
    are encoded and steps are made. step: those of the last beside the frozen weights. trained: weights of the LoRA.
    free: bytes the device has, None where that is not known or not limited. fitting: the most frames of a window that
    would fit at this size, 0 for none."""

    weights: str
    stages: Mapping[str, int]
    step: int
    trained: int
    frames: int
    fitting: int
    free: int | None
    device: str

    @property
    def fits(self) -> bool:
        return self.free is None or max(self.stages.values()) <= self.free

    def sentence(self) -> str:
        """What happens on the device, or why it does not."""
        needs = (
            f"training {self.trained} weights on windows of {self.frames} frames takes about "
            f"{amount(max(self.stages.values()))} of {self.device} in {self.weights} (estimated): "
            f"{amount(self.stages['text'])} to read captions, {amount(self.stages['frames'])} to encode frames, "
            f"{amount(self.stages['steps'])} for a step"
        )
        if self.free is None:
            return f"memory plan: {needs}."
        if self.fits:
            return f"memory plan: {needs}; {amount(self.free)} are free."
        ways = [f"--frames {self.fitting}"] if self.fitting else ["a smaller --size"]
        ways += ["--weights bf16"] if self.weights == "fp32" else []
        return f"{needs[0].upper()}{needs[1:]}, and only {amount(self.free)} are free: give {' or '.join(ways)}."


def plan_training(
    folder: Path,
    preset: Preset,
    rank: int,
    weights: str = "auto",
    free: int | None = None,
    device: str = "cpu",
) -> TrainingPlan:
    """The plan for LoRA steps of one window of the preset's length and size.

    weights: of the frozen transformer, "fp32", "bf16" or "auto": fp32 for a small one. free: bytes the device can give,
    None where main memory is the device's own. UserError for a folder that lacks a part or states no sizes.
    """
    if weights not in WEIGHTS:
        raise UserError(f"weights is {weights!r}; give {', '.join(WEIGHTS)}.")
    headers = {name: read_headers(part_folder(folder, name)) for name in ("transformer", "text_encoder", "vae")}
    weights = chosen_weights(weights, headers["transformer"])
    parts = {name: part_bytes(name, header, weights).in_memory for name, header in headers.items()}
    trained = sum(
        rank * sum(stored.shape)
        for name, stored in headers["transformer"].items()
        if name.removesuffix(".weight").endswith(TARGETS) and len(stored.shape) == 2
    )

    def step(frames: int) -> int:
        return trained * LORA_COPIES + _step_bytes(folder, _cells(preset, frames), 4 if weights == "fp32" else 2)

    coding = coding_bytes(folder, preset_cells(preset))
    if free is not None and parts["vae"] + coding > free:
        coding = coding_bytes(folder, (1, *(SIDES[-1] // preset.spatial_ratio,) * 2))  # by tiles, see coder.py
    stages = {
        "text": parts["text_encoder"],
        "frames": parts["vae"] + coding,
        "steps": parts["transformer"] + step(preset.window),
    }
    lengths = range(1, preset.window + 1, preset.temporal_ratio)
    fitting = [n for n in lengths if free is not None and parts["transformer"] + step(n) <= free]
    other = max(stages["text"], stages["frames"])
    most = fitting[-1] if fitting and free is not None and other <= free else 0
    return TrainingPlan(weights, stages, step(preset.window), trained, preset.window, most, free, device)


def _cells(preset: Preset, frames: int) -> tuple[int, int, int]:
    return 1 + (frames - 1) // preset.temporal_ratio, *preset_cells(preset)[1:]


def _step_bytes(folder: Path, cells: Sequence[int], each: int) -> int:
    """Bytes of a step there and back of one window of latent cells (t, h, w), beside all weights. each: of a value."""
    path = folder / "transformer" / "config.json"
    config = read_json(path, RESTORE)
    patch, names = config.get("patch_size"), ("num_attention_heads", "attention_head_dim", "num_layers")
    heads, head, layers = (config.get(name) for name in names)
    sizes = [*patch, heads, head, layers] if isinstance(patch, list) and len(patch) == 3 else [0]
    if not all(type(n) is int and n > 0 for n in sizes):
        raise UserError(f"{path} states no sizes of a transformer: {RESTORE}.")
    tokens = math.prod(side // of for side, of in zip(cells, patch, strict=True))
    return tokens * heads * head * each * (layers + TRAINED_TENSORS)
