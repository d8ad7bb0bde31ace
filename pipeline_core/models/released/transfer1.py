"""Cosmos-Transfer1's checkpoints by their keys: which network a file holds, how large it is, and what is wrong with it.

The released control files hold `net.*`, three blocks of the base network with a hint encoder and zero-initialised
projections; the released base file holds `base_model.net.*`, 28 blocks. Both carry entries that no picture depends on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import UserError
from .tensor_lists import read_release

CONTROL, BASE = "control", "base"
PREFIX = "net."  # what ComfyUI looks for in a base file, and what a control file is released with
TIME_RATIO, SPACE_RATIO = 8, 8  # pixels per latent cell of the CV8x8x8 tokenizer
PATCH = 2  # latent cells per token, in height and width
# Widths of the hint encoder between the network's own: Linear layers with SiLU between, at the even places.
HINT_WIDTHS = (16, 16, 32, 32, 96, 96, 256)
Shapes = Mapping[str, Sequence[int]]

_FIRST = "blocks.block0.blocks.0.block.attn.to_q.0.weight"
_HINT = "x_embedder2.proj.1.weight"
# Noise-level statistics, position counters, the training's log, and the output layer that a control branch never runs.
_UNUSED = ("pos_embedder.", "accum_", "logvar.", "conditioner.")
# Kinds of files people take for a checkpoint: words in a key, and what to call it.
_OTHERS = (
    (("lora_A", "lora_B", "lora_up", "lora_down", ".lora."), "a LoRA"),
    (("encoder.block.", "shared.weight", "text_model.", "model.layers."), "a text encoder"),
    (("decoder.", "first_stage_model.", "post_quant_conv"), "a VAE"),
    (("control_blocks", "controlnet_"), "a control network of another model"),
    (("diffusion_model.", "transformer_blocks.", "blocks.", "model."), "another model"),
)


@dataclass(frozen=True)
class NetworkSize:
    """The numbers that fix every shape. hint: channels of the hint latent, 0 for the base. positions: (h, w, t)."""

    width: int
    heads: int
    blocks: int
    inner: int
    text: int
    lora: int
    latent: int
    positions: tuple[int, int, int]
    hint: int = 0
    answer: int = 0

    @property
    def kind(self) -> str:
        return CONTROL if self.hint else BASE


def own_names(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """{"control" or "base": {name inside the network: name in the file}} of the entries that matter.

    UserError naming the first key that neither network has; `_extra_state` and the like are left out.
    """
    names = list(names)
    branch = any(name == PREFIX + _HINT or name.startswith(PREFIX + "zero_blocks.") for name in names)
    networks: dict[str, dict[str, str]] = {}
    unknown = None
    for name in names:
        kind, inner = CONTROL if branch else BASE, name
        if name.startswith("base_model."):
            kind, inner = BASE, name.removeprefix("base_model.")
        if inner.endswith("_extra_state") or inner.startswith(_UNUSED):
            continue
        if not inner.startswith(PREFIX):
            unknown = unknown or name
            continue
        inner = inner.removeprefix(PREFIX)
        if inner.startswith(_UNUSED) or (kind == CONTROL and inner.startswith("final_layer.")):
            continue
        networks.setdefault(kind, {})[inner] = name
    # Where nothing else looks like Transfer1 the unknown keys say what the file is.
    if unknown is not None or not any(_FIRST in inner for inner in networks.values()):
        raise UserError(f"it {_what_it_is(names, unknown)}")
    return networks


def _what_it_is(names: list[str], unknown: str | None) -> str:
    for words, kind in _OTHERS:
        sign = next((name for name in names if any(word in name for word in words)), None)
        if sign is not None:
            own = read_release("cosmos_transfer1_base").names_of("diffusers", [sign])
            words = f", in diffusers what this release calls {next(iter(own))}" if own else ""
            return f"is {kind} (it has the tensor {sign}{words})"
        if any("blocks.block0.blocks." in name for name in names):
            break  # Cosmos 1, and not a LoRA for it
    if unknown is not None:
        return f"has the unknown tensor {unknown}"
    return f"lacks the tensor {PREFIX}{_FIRST}" if names else "holds no tensors"


def network_size(shapes: Shapes, kind: str) -> NetworkSize:
    """The size of a network by its shapes (names as inside the network). UserError naming what is missing or wrong."""

    def of(name: str, place: int) -> int:
        if name not in shapes:
            raise UserError(f"it lacks the tensor {PREFIX}{name}")
        if len(shapes[name]) <= place:
            raise UserError(f"its tensor {PREFIX}{name} has the wrong shape {tuple(shapes[name])}")
        return int(shapes[name][place])

    attention, numbers = "blocks.block0.blocks.0.block.attn.", set()
    for name in shapes:
        number = name.removeprefix("blocks.block").split(".")[0]
        if name.startswith("blocks.block") and number.isdigit():
            numbers.add(int(number))
    size = NetworkSize(
        width=of(_FIRST, 0),
        heads=of(_FIRST, 0) // max(1, of(attention + "to_q.1.weight", 0)),
        blocks=len(numbers),
        inner=of("blocks.block0.blocks.2.block.layer1.weight", 0),
        text=of("blocks.block0.blocks.1.block.attn.to_k.0.weight", 1),
        lora=of("blocks.block0.blocks.0.adaLN_modulation.1.weight", 0),
        latent=of("x_embedder.proj.1.weight", 1) // PATCH**2 - 1,
        positions=tuple(of(f"extra_pos_embedder.pos_emb_{axis}", 0) for axis in "hwt"),
        hint=of(_HINT, 1) // PATCH**2 - 1 if kind == CONTROL else 0,
        answer=0 if kind == CONTROL else of("final_layer.linear.weight", 0) // PATCH**2,
    )
    check_shapes(shapes, size)
    return size


def check_shapes(shapes: Shapes, size: NetworkSize) -> None:
    """Every tensor there, none left over, all of the right shape; otherwise a UserError that names the first one."""
    wanted = expected_shapes(size)
    for name in sorted(wanted):
        if name not in shapes:
            raise UserError(f"it lacks the tensor {PREFIX}{name}")
        if tuple(shapes[name]) != wanted[name]:
            raise UserError(
                f"its tensor {PREFIX}{name} has the shape {tuple(shapes[name])} where {wanted[name]} is needed"
            )
    for name in sorted(shapes):
        if name not in wanted:
            raise UserError(f"it has the unknown tensor {PREFIX}{name}")


def expected_shapes(size: NetworkSize) -> dict[str, tuple[int, ...]]:
    """Name inside the network -> shape, of everything a network of this size has."""
    width, head, cells = size.width, size.width // max(1, size.heads), PATCH**2
    shapes: dict[str, tuple[int, ...]] = {
        "x_embedder.proj.1.weight": (width, (size.latent + 1) * cells),
        "t_embedder.1.linear_1.weight": (width, width),
        "t_embedder.1.linear_2.weight": (3 * width, width),
        "affline_norm.weight": (width,),
    }
    for axis, length in zip("hwt", size.positions):
        shapes[f"extra_pos_embedder.pos_emb_{axis}"] = (length, width)
    for number in range(size.blocks):
        block = f"blocks.block{number}.blocks"
        for part, source in ((0, width), (1, size.text)):
            attention = f"{block}.{part}.block.attn"
            shapes[f"{attention}.to_q.0.weight"] = shapes[f"{attention}.to_out.0.weight"] = (width, width)
            shapes[f"{attention}.to_k.0.weight"] = shapes[f"{attention}.to_v.0.weight"] = (width, source)
            shapes[f"{attention}.to_q.1.weight"] = shapes[f"{attention}.to_k.1.weight"] = (head,)
        shapes[f"{block}.2.block.layer1.weight"] = (size.inner, width)
        shapes[f"{block}.2.block.layer2.weight"] = (width, size.inner)
        for part in range(3):
            shapes[f"{block}.{part}.adaLN_modulation.1.weight"] = (size.lora, width)
            shapes[f"{block}.{part}.adaLN_modulation.2.weight"] = (3 * width, size.lora)
    if size.kind == BASE:
        shapes["final_layer.linear.weight"] = (size.answer * cells, width)
        shapes["final_layer.adaLN_modulation.1.weight"] = (size.lora, width)
        shapes["final_layer.adaLN_modulation.2.weight"] = (2 * width, size.lora)
        return shapes
    shapes[_HINT] = (width, (size.hint + 1) * cells)
    for place, (narrow, wide) in enumerate(zip((width, *HINT_WIDTHS), (*HINT_WIDTHS, width))):
        shapes[f"input_hint_block.{2 * place}.weight"] = (wide, narrow)
        shapes[f"input_hint_block.{2 * place}.bias"] = (wide,)
    for number in range(size.blocks):
        shapes[f"zero_blocks.block{number}.weight"] = (width, width)
        shapes[f"zero_blocks.block{number}.bias"] = (width,)
    return shapes


def modality_of(file_name: str) -> str:
    """What a control follows, by the words in its file's name ("edge_control.pt"); "" where none is known."""
    words = {"seg": "segmentation", "edge": "edge", "depth": "depth", "vis": "vis", "keypoint": "keypoint"}
    words |= {"hdmap": "hdmap", "lidar": "lidar", "upscaler": "upscaler"}
    return next((kind for word, kind in words.items() if word in file_name.lower()), "")


def token_weights(weight: Tensor, latent_size: Sequence[int]) -> Tensor:
    """A weight map in pixels as the release brings it to tokens: the first frame by itself, the others trilinearly.

    weight: (T, H, W) with T = 1 (for every frame) or 1 + 8 (t - 1). latent_size: (t, h, w). Returns float32
    (t, h / 2, w / 2). Raises UserError for another number of frames.
    """
    frames, height, width = latent_size
    needed = 1 + (frames - 1) * TIME_RATIO
    if len(weight) not in (1, needed):
        raise UserError(
            f"The weight mask has {len(weight)} frames and the latent stands for {needed}; give the mask as many, or "
            "one for all."
        )
    grid = height // PATCH, width // PATCH
    maps = weight.float().expand(needed, -1, -1)[None, None]

    def resized(part: Tensor, length: int) -> list[Tensor]:
        return [F.interpolate(part, size=(length, *grid), mode="trilinear", align_corners=False)] if length else []

    return torch.cat(resized(maps[:, :, :1], 1) + resized(maps[:, :, 1:], frames - 1), dim=2)[0, 0]
