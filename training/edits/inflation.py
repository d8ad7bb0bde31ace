"""A video edit network from an image model, as InsV2V inflates Stable Diffusion: temporal layers, a source's latent.

diffusers' UNetMotionModel has the layers (AnimateDiff's); here they begin by doing nothing.
"""

from __future__ import annotations

import torch


@torch.no_grad()
def inflate(unet: torch.nn.Module, frames: int, source_channels: int = 0) -> torch.nn.Module:
    """A UNetMotionModel of a UNet2DConditionModel, for clips (B, C, T, h, w) of up to `frames` frames, and their text
    once a frame, (B T, L, D).

    The last projection of every temporal layer is zero, and so are the weights of `source_channels` further inputs (the
    latent of the clip to edit, after the noisy one's channels): at the start every frame is what `unet` makes of it.
    """
    from diffusers import MotionAdapter, UNetMotionModel

    config = unet.config
    adapter = MotionAdapter(
        block_out_channels=tuple(config.block_out_channels),
        motion_layers_per_block=config.layers_per_block,
        motion_num_attention_heads=config.num_attention_heads or _heads(config.attention_head_dim),
        motion_norm_num_groups=config.norm_num_groups,
        motion_max_seq_length=frames,
    )
    network = UNetMotionModel.from_unet2d(unet, adapter)
    for name, module in network.named_modules():
        if name.rpartition(".")[2] == "proj_out" and "motion_modules" in name:
            torch.nn.init.zeros_(module.weight)
            torch.nn.init.zeros_(module.bias)
    return widened_input(network, source_channels) if source_channels else network


def _heads(dimension: int | list[int]) -> int:
    """diffusers' older UNets call their number of heads attention_head_dim."""
    return dimension if isinstance(dimension, int) else dimension[0]


@torch.no_grad()
def widened_input(network: torch.nn.Module, extra: int) -> torch.nn.Module:
    """The same network, whose first convolution reads `extra` further channels, with weights of zero."""
    old = network.conv_in
    new = torch.nn.Conv2d(
        old.in_channels + extra, old.out_channels, old.kernel_size, old.stride, old.padding, bias=old.bias is not None
    ).to(old.weight)
    new.weight.zero_()
    new.weight[:, : old.in_channels] = old.weight
    if old.bias is not None:
        new.bias.copy_(old.bias)
    network.conv_in = new
    network.register_to_config(in_channels=old.in_channels + extra)
    return network
