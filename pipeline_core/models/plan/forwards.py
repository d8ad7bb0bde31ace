"""One call of each family's network, ordered as ComfyUI and this pack order it: control after control, block by block.

A library's own forward makes all residuals of a control network first and keeps them; ComfyUI and this pack make each
when a block asks for it, which is the same arithmetic in less memory, and so do these. They are for counting, on fake
tensors; whoever samples uses ComfyUI's or this pack's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import Linear, Module, ModuleList, Sequential, SiLU

from ..networks.cosmos import add_masks, cosmos_forward, input_channels, patchify
from ..networks.cosmos3 import cosmos3_forward
from ..released.transfer1 import HINT_WIDTHS, PATCH

# (network, branches, state, time (B,), text, one hint for each control) -> what the network answers
Forward = Callable[[Module, Sequence[Module], Tensor, Tensor, Tensor, Sequence[Tensor]], Tensor]
FPS = 24.0


class Transfer1Branch(Module):
    """A Cosmos-Transfer1 control: three blocks of the base, an encoder of the map, a projection after each block."""

    def __init__(self, blocks: Module, hint: int = 128):
        super().__init__()
        self.base, width = blocks, blocks.time_embed.norm.weight.shape[0]
        # Its own answer is never asked for.
        del blocks.norm_out, blocks.proj_out
        self.embed = Linear((hint + 1) * PATCH**2, width, bias=False)
        layers: list[Module] = []
        for narrow, wide in zip((width, *HINT_WIDTHS), (*HINT_WIDTHS, width)):
            layers += [Linear(narrow, wide), SiLU()]
        self.encoder = Sequential(*layers[:-1])
        self.zero_blocks = ModuleList(Linear(width, width) for _ in blocks.transformer_blocks)

    def hints(self, x: Tensor, time: Tensor, text: Tensor, hint: Tensor) -> Iterator[Tensor]:
        """zero_i(x_i) for i = 0, 1, ..., (B, tokens, D); the map joins after block 0."""
        base = self.base
        tokens = add_masks(x, input_channels(base.patch_embed), None)
        rotary, position = base.rope(tokens, fps=FPS), base.learnable_pos_embed(tokens)
        h = patchify(base.patch_embed, tokens)
        temb, embedded = base.time_embed(h, time)
        for number, (block, zero) in enumerate(zip(base.transformer_blocks, self.zero_blocks)):
            h = block(h, text, embedded, temb, rotary, position)
            if number == 0:
                # The release pads the map's channels with zeros, and adds the padding mask.
                channels = self.embed.in_features // PATCH**2
                padded = torch.nn.functional.pad(hint, (0, 0, 0, 0, 0, 0, 0, channels - hint.shape[1]))
                patches = rearrange(padded, "b c t (h p) (w q) -> b (t h w) (c p q)", p=PATCH, q=PATCH)
                h = h + self.encoder(self.embed(patches))
            yield zero(h)


def transfer1(network, branches, x, time, text, hints) -> Tensor:
    """Cosmos-Transfer1: x <- block_i(x) + sum_m w_m zero_i(x_m) for the blocks that the branches have."""
    running = [branch.hints(x, time, text, hint) for branch, hint in zip(branches, hints)]

    def join(module, inputs, output):
        for each in running:
            output = output + next(each) * 0.5
        return output

    controlled = len(branches[0].zero_blocks) if branches else 0
    hooks = [block.register_forward_hook(join) for block in network.transformer_blocks[:controlled]]
    try:
        return cosmos_forward(network, [], x, time, text, fps=FPS)
    finally:
        for hook in hooks:
            hook.remove()


def transfer25(network, branches, x, time, text, hints) -> Tensor:
    """Cosmos-Transfer2.5, by the pack's own forward."""
    controls = [(branch, hint, 0.5) for branch, hint in zip(branches, hints)]
    return cosmos_forward(network, controls, x, time, text)


def cosmos3(network, branches, x, time, text, hints) -> Tensor:
    """Cosmos 3: maps are tokens before the video's, prompts (of token ids) go through one after the other; the first
    also without the maps, which is the release's guidance towards them."""
    answers = [
        cosmos3_forward(network, [hint[place][None] for hint in hints], state, time[place], text[place])
        for place, state in enumerate(x.split(1))
    ]
    if hints:
        bare = cosmos3_forward(network, [], x[:1], time[0], text[0])
        answers[0] = bare + 1.5 * (answers[0] - bare)
    return torch.cat(answers)


def wan_vace(network, branches, x, time, text, hints) -> Tensor:
    """Wan VACE: every context walks through the VACE blocks beside the network (Jiang 2025, fig. 3)."""
    frames, height, width = (size // patch for size, patch in zip(x.shape[2:], network.config.patch_size))
    rotary = network.rope(x)
    h = network.patch_embedding(x).flatten(2).transpose(1, 2)
    temb, projected, text, _ = network.condition_embedder(time, text, None)
    projected = projected.unflatten(1, (6, -1))
    contexts = [network.vace_patch_embedding(hint).flatten(2).transpose(1, 2) for hint in hints]
    start = h
    for index, block in enumerate(network.blocks):
        h = block(h, text, projected, rotary)
        if index in network.config.vace_layers:
            vace = network.vace_blocks[network.config.vace_layers.index(index)]
            for place, context in enumerate(contexts):
                residual, contexts[place] = vace(start, text, context, projected, rotary)
                h = h + residual * 0.5
                del residual, context
    shift, scale = (network.scale_shift_table + temb.unsqueeze(1)).chunk(2, dim=1)
    h = network.proj_out((network.norm_out(h.float()) * (1 + scale) + shift).type_as(h))
    p_t, p_h, p_w = network.config.patch_size
    grid = {"t": frames, "h": height, "w": width, "pt": p_t, "ph": p_h, "pw": p_w}
    return rearrange(h, "b (t h w) (pt ph pw c) -> b c (t pt) (h ph) (w pw)", **grid)


def wan_fun(network, branches, x, time, text, hints) -> Tensor:
    """Wan Fun-Control: the control's latent, a start image and its mask are channels beside the state."""
    missing = network.config.in_channels - x.shape[1]
    control = hints[0] if hints else x.new_zeros(x.shape[0], 0, *x.shape[2:])
    rest = x.new_zeros(x.shape[0], missing - control.shape[1], *x.shape[2:])
    return network(torch.cat([x, control, rest], 1), time, text, return_dict=False)[0]


def ltxv(network, branches, x, time, text, hints) -> Tensor:
    """LTX-Video with IC-LoRA guides: the guide's tokens stand beside the clip's, each token with its own time."""
    shown = torch.cat([x, *hints], 2)
    frames, height, width = shown.shape[2:]
    tokens = shown.flatten(2).transpose(1, 2)
    times = time[:, None].expand(len(x), tokens.shape[1]).contiguous()
    mask = text.new_ones(text.shape[:2])
    answer = network(tokens, text, times, mask, frames, height, width, return_dict=False)[0]
    own = answer[:, : x.shape[2] * height * width]
    return rearrange(own, "b (t h w) c -> b c t h w", h=height, w=width)


def sd15(network, branches, x, time, text, hints) -> Tensor:
    """Stable Diffusion 1.5 with ControlNets: the frames (B, C, T, h, w) are images that share a text."""
    batch, _, frames = x.shape[:3]
    images = rearrange(x, "b c t h w -> (b t) c h w")
    shared = text.repeat_interleave(frames, 0)
    times = time.repeat_interleave(frames, 0)
    downs, mid = None, None
    for branch, hint in zip(branches, hints):
        shown = rearrange(hint, "b c t h w -> (b t) c h w")
        more, middle = branch(images, times, shared, shown, 0.5, return_dict=False)
        downs = more if downs is None else [a + b for a, b in zip(downs, more)]
        mid = middle if mid is None else mid + middle
    answer = network(images, times, shared, None, None, None, None, None, downs, mid, return_dict=False)[0]
    return rearrange(answer, "(b t) c h w -> b c t h w", b=batch)
