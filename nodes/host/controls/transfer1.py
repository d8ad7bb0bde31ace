"""A released Cosmos-Transfer1 control branch, built from ComfyUI's own Cosmos blocks, and the file it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import comfy.model_management
import comfy.model_patcher
import comfy.ops
import comfy.utils
import torch
from comfy.ldm.cosmos.blocks import PatchEmbed
from comfy.ldm.cosmos.model import GeneralDIT
from einops import rearrange
from torch import Tensor

from ....pipeline_core.errors import UserError
from ....pipeline_core.models.released.convert import read_header
from ....pipeline_core.models.released.transfer1 import (
    CONTROL,
    HINT_WIDTHS,
    PATCH,
    NetworkSize,
    network_size,
    own_names,
)

FP8 = "fp8_e4m3fn"
# Newer cores have one that pages weights in and out by itself; it needs ComfyUI's own layers, which these are.
Patcher = getattr(comfy.model_patcher, "CoreModelPatcher", comfy.model_patcher.ModelPatcher)


class Transfer1Branch(GeneralDIT):
    """The first blocks of a Cosmos 1 network with a hint encoder and a projection after each block.

    The layers cast their weights to the input's type where they differ, so that any of them may lie in another type
    or another memory.
    """

    def __init__(self, size: NetworkSize, dtype: torch.dtype):
        operations = comfy.ops.manual_cast
        height, width, frames = size.positions
        # The time axis of the position code is stretched by 2 in the base alone: here the released ratio is 1.
        super().__init__(
            max_img_h=height * PATCH,
            max_img_w=width * PATCH,
            max_frames=frames,
            in_channels=size.latent,
            out_channels=size.latent,
            patch_spatial=PATCH,
            patch_temporal=1,
            concat_padding_mask=True,
            block_config="FA-CA-MLP",
            model_channels=size.width,
            num_blocks=size.blocks,
            num_heads=size.heads,
            mlp_ratio=size.inner / size.width,
            block_x_format="THWBD",
            crossattn_emb_channels=size.text,
            pos_emb_cls="rope3d",
            affline_emb_norm=True,
            use_adaln_lora=True,
            adaln_lora_dim=size.lora,
            rope_t_extrapolation_ratio=1.0,
            extra_per_block_abs_pos_emb=True,
            extra_per_block_abs_pos_emb_type="learnable",
            dtype=dtype,
            operations=operations,
        )
        del self.final_layer
        weights = {"dtype": dtype}
        self.size = size
        channels = size.hint + 1  # one for the padding mask
        self.x_embedder2 = PatchEmbed(
            PATCH, 1, channels, size.width, bias=False, weight_args=weights, operations=operations
        )
        layers: list[torch.nn.Module] = []
        for narrow, wide in zip((size.width, *HINT_WIDTHS), (*HINT_WIDTHS, size.width)):
            layers += [operations.Linear(narrow, wide, **weights), torch.nn.SiLU()]
        self.input_hint_block = torch.nn.Sequential(*layers[:-1])
        self.zero_blocks = torch.nn.ModuleDict(
            {name: operations.Linear(size.width, size.width, **weights) for name in self.blocks}
        )

    def encode_hint(self, hint: Tensor) -> Tensor:
        """(1, C, t, h, w) latent of the map -> (t, h / 2, w / 2, 1, D); channels the release leaves empty are 0."""
        missing = self.size.hint + 1 - hint.shape[1]
        padded = torch.nn.functional.pad(hint, (0, 0, 0, 0, 0, 0, 0, missing))
        return self.input_hint_block(rearrange(self.x_embedder2(padded), "b t h w d -> t h w b d"))

    def hints(
        self, x: Tensor, timesteps: Tensor, context: Tensor, hint: Tensor, fps, options: dict
    ) -> Iterator[Tensor]:
        """zero_i(x_i) for i = 0, 1, ... as (t, h / 2, w / 2, B, D); a block runs when its value is asked for.

        x, timesteps, context, fps: what the base network gets. The hint joins after block 0.
        """
        seen = self.forward_before_blocks(x=x, timesteps=timesteps, crossattn_emb=context, fps=fps)
        positions = seen["extra_pos_emb_B_T_H_W_D_or_T_H_W_B_D"].to(x.dtype)
        conditions = seen["affline_emb_B_D"], seen["crossattn_emb"], None
        codes = {"rope_emb_L_1_1_D": seen["rope_emb_L_1_1_D"], "adaln_lora_B_3D": seen["adaln_lora_B_3D"]}
        state = seen.pop("x")
        for number, (name, block) in enumerate(self.blocks.items()):
            state = block(state + positions, *conditions, **codes, transformer_options=options)
            if number == 0:
                state = state + self.encode_hint(hint)
            yield self.zero_blocks[name](state)


def load_branch(path: Path, weight_dtype: str):
    """The branch of a converted control file under ComfyUI's memory management.

    weight_dtype: "default" as in the file, or "fp8_e4m3fn" for the blocks' matrices. UserError naming what is wrong.
    """
    shapes = read_header(path)
    try:
        names = own_names(shapes)
        if CONTROL not in names:
            raise UserError("it is the base model; load it with Load Diffusion Model")
        names = names[CONTROL]
        size = network_size({inner: shapes[name] for inner, name in names.items()}, CONTROL)
    except UserError as error:
        raise UserError(
            f"{path.name} is no Cosmos-Transfer1 control: {error}; choose one made by python -m pipeline_core convert."
        ) from None
    state = comfy.utils.load_torch_file(str(path), safe_load=True)
    state = {inner: state[name] for inner, name in names.items()}
    if weight_dtype == FP8:
        matrices = [name for name, value in state.items() if name.startswith("blocks.") and value.ndim == 2]
        state |= {name: state[name].to(torch.float8_e4m3fn) for name in matrices}
    branch = Transfer1Branch(size, state["affline_norm.weight"].dtype).requires_grad_(False)
    branch.load_state_dict(state, assign=True)
    load, offload = comfy.model_management.get_torch_device(), comfy.model_management.unet_offload_device()
    return Patcher(branch.eval(), load_device=load, offload_device=offload)
