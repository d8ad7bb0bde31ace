"""Multi-branch control for Cosmos-Transfer: x_l <- block_l(x_l) + sum_m w_m h_m,l (Cosmos-Transfer1, eq. 2-3).

diffusers' own forward takes one control branch and needs torchvision to resize a padding mask. This forward
runs the same submodules for any number of branches; with one branch it equals diffusers' to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import torch
from einops import rearrange, repeat
from torch.utils.checkpoint import checkpoint

from ...errors import UserError
from .step_cache import FirstBlockCache

Control = tuple[torch.nn.Module, torch.Tensor, "float | torch.Tensor"]


def input_channels(patch_embed: torch.nn.Module) -> int:
    """Channels a Cosmos patch embedding reads, masks included (its weight counts channels x patch volume)."""
    p_t, p_h, p_w = patch_embed.patch_size
    return patch_embed.proj.in_features // (p_t * p_h * p_w)


def source_channels(config: Mapping) -> int:
    """Channels of the latent of a clip to edit that a transformer of this config reads after its state's (InsV2V,
    2311.00213), 0 where it is no edit model; masks come after both."""
    return config["out_channels"] if config["in_channels"] >= 2 * config["out_channels"] else 0


def cosmos_forward(
    transformer: torch.nn.Module,
    controls: Sequence[Control],
    x: torch.Tensor,
    timestep: torch.Tensor,
    text: torch.Tensor,
    condition_mask: torch.Tensor | None = None,
    fps: float | None = None,
    cache: FirstBlockCache | None = None,
) -> torch.Tensor:
    """Velocity v(x_t, t) of a CosmosTransformer3DModel under several controls (Transfer1 eq. 2-3, v = e - x0).

    transformer: diffusers CosmosTransformer3DModel.
    controls: (CosmosControlNetModel, hint latent (B, C, T, H, W), weight) per branch. Weights are already
        normalised: a float, or a tensor broadcastable to (B, tokens, 1), tokens = T*H*W / patch volume.
        A branch with the float weight 0 is not run, so strength 0 is the base model bit for bit.
    x: (B, C, T, H, W) flow state, unit-variance latents. timestep: flow time in [0, 1], (B,) or (B, 1, T, 1, 1).
    text: (B, tokens, channels). condition_mask: (B, 1, T, H, W), 1 where a frame is given; None means none is.
    cache: of the pass this call belongs to, see step_cache.py; None computes everything.
    Returns v shaped like x, in the dtype of the network's computation.
    Raises UserError when H, W or T do not divide into patches or are more than the model has places for, and when a
    branch does not fit the transformer.
    """
    frames, height, width = x.shape[2:]
    p_t, p_h, p_w = transformer.config.patch_size
    if frames % p_t or height % p_h or width % p_w:
        raise UserError(
            f"The latent is {frames}x{height}x{width}; give a clip whose latent divides by the model's "
            f"patch {p_t}x{p_h}x{p_w}."
        )
    patches, places = (frames // p_t, height // p_h, width // p_w), max(transformer.rope.max_size)
    if max(patches) > places:
        raise UserError(
            f"The latent is {'x'.join(map(str, patches))} patches but the model knows {places} places a side; make the "
            "clip smaller, or the preset's size and window."
        )
    active = [c for c in controls if torch.is_tensor(c[2]) or c[2] != 0]
    residuals = _control_residuals(active, x, timestep, text, condition_mask, fps)
    targets = _targets(transformer) if active else range(0)

    tokens = add_masks(x, input_channels(transformer.patch_embed), condition_mask)
    rotary = transformer.rope(tokens, fps=fps)
    position = transformer.learnable_pos_embed(tokens) if transformer.learnable_pos_embed is not None else None
    h = patchify(transformer.patch_embed, tokens)
    temb, embedded = _embed_time(transformer.time_embed, timestep, h, x.shape, transformer.config.patch_size)
    context = _context(transformer, text)
    saving = torch.is_grad_enabled() and transformer.is_gradient_checkpointing
    call = partial(checkpoint, use_reentrant=False) if saving else _call
    for index, block in enumerate(transformer.transformer_blocks):
        before, residual = h, next(residuals, None) if index in targets else None
        h = call(block, h, context, embedded, temb, rotary, position, None, residual)
        if index == 0 and cache is not None:
            first = h
            rest = cache.rest_of(h - before, timestep.max())
            if rest is not None:
                h = first + rest
                break
    else:
        if cache is not None:
            cache.keep(h - first)
    h = transformer.proj_out(transformer.norm_out(h, embedded, temb))

    # The head orders a patch as (p_h, p_w, p_t, C) although the patch embedding reads (C, p_t, p_h, p_w).
    grid = {"t": frames // p_t, "h": height // p_h, "w": width // p_w, "ph": p_h, "pw": p_w, "pt": p_t}
    return rearrange(h, "b (t h w) (ph pw pt c) -> b c (t pt) (h ph) (w pw)", **grid)


def _call(block: torch.nn.Module, *inputs: object) -> torch.Tensor:
    return block(*inputs)


def _targets(transformer: torch.nn.Module) -> range:
    """The base blocks that receive control."""
    every = transformer.config.controlnet_block_every_n
    if not every:
        raise UserError(
            "This transformer has no controlnet_block_every_n in its config; load one made for control branches."
        )
    return range(0, len(transformer.transformer_blocks), every)


def _control_residuals(
    controls: Sequence[Control],
    x: torch.Tensor,
    timestep: torch.Tensor,
    text: torch.Tensor,
    condition_mask: torch.Tensor | None,
    fps: float | None,
) -> Iterator[torch.Tensor]:
    """sum_m w_m h_m,l (Transfer1 eq. 3), (B, N, D), for one base block that receives control after the other.

    Each is computed when it is asked for: a step that stops early does not pay for the branches either.
    """
    # Released branches cover every target; a branch may also stop earlier (ours: the first three blocks).
    running = [
        (_branch_hints(branch, hint, x, timestep, text, condition_mask, fps), weight)
        for branch, hint, weight in controls
    ]
    while running:
        total, going = None, []
        for hints, weight in running:
            hint = next(hints, None)
            if hint is not None:
                going.append((hints, weight))
                total = hint * weight if total is None else total + hint * weight
        if total is not None:
            yield total
        running = going


def _branch_hints(
    branch: torch.nn.Module,
    hint: torch.Tensor,
    x: torch.Tensor,
    timestep: torch.Tensor,
    text: torch.Tensor,
    condition_mask: torch.Tensor | None,
    fps: float | None,
) -> Iterator[torch.Tensor]:
    """h_m,l of one CosmosControlNetModel: block 0 reads before_proj(hint) + base, each block emits after_proj."""
    if hint.shape[1] + 2 > branch.config.in_channels:
        raise UserError(
            f"A control hint has {hint.shape[1]} channels and its branch reads {branch.config.in_channels - 2}; "
            "encode the control map with this model's own VAE."
        )
    hint = hint.to(x)
    if hint.shape[0] != x.shape[0]:
        hint = hint.expand(x.shape[0], *hint.shape[1:])
    padding = branch.config.in_channels - 2 - hint.shape[1]
    hint = torch.cat([hint, hint.new_zeros(hint.shape[0], padding, *hint.shape[2:])], 1) if padding else hint
    hint = add_masks(hint, branch.config.in_channels, condition_mask)
    rotary = branch.rope(hint, fps=fps)
    position = branch.learnable_pos_embed(hint) if branch.learnable_pos_embed is not None else None
    h = patchify(branch.patch_embed, hint)
    base = patchify(branch.patch_embed_base, add_masks(x, branch.config.latent_channels, condition_mask))
    temb, embedded = _embed_time(branch.time_embed, timestep, base, x.shape, branch.config.patch_size)
    context = _context(branch, text)
    for index, block in enumerate(branch.control_blocks):
        h, emitted = block(h, context, embedded, temb, rotary, position, None, None, base, index)
        yield emitted


def add_masks(x: torch.Tensor, channels: int, condition_mask: torch.Tensor | None) -> torch.Tensor:
    """Append the condition mask and the all-zero padding mask (= no padding) up to `channels` channels."""
    missing = channels - x.shape[1]
    if missing not in (0, 1, 2):
        raise UserError(
            f"The latent has {x.shape[1]} channels and the network reads {channels} with its masks; "
            "use the VAE that belongs to this model."
        )
    masks = x.new_zeros(x.shape[0], missing, *x.shape[2:])
    if condition_mask is not None:
        if missing != 2:
            raise UserError("This model has no condition-mask channel; leave the given frames out.")
        masks[:, :1] = condition_mask
    return torch.cat([x, masks], dim=1)


def patchify(embed: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """(B, C, T, H, W) -> (B, N, D); the residual stream keeps the weights' dtype under autocast."""
    return embed(x).flatten(1, 3).to(embed.proj.weight.dtype)


def _embed_time(
    embed: torch.nn.Module, timestep: torch.Tensor, h: torch.Tensor, shape: torch.Size, patch: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """temb (.., 3D) and normalised sinusoid (.., D), per sample for (B,), per token for (B, 1, T, 1, 1)."""
    temb, embedded = embed(h, timestep.flatten())
    if timestep.ndim == 1:
        return temb, embedded
    batch, _, frames, height, width = shape
    per_frame = (height // patch[1]) * (width // patch[2])

    def to_tokens(value: torch.Tensor) -> torch.Tensor:
        return repeat(value, "(b t) d -> b (t n) d", b=batch, t=frames, n=per_frame)

    return to_tokens(temb), to_tokens(embedded)


def _context(network: torch.nn.Module, text: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
    """The text through the network's own projection; models with an image context get the released zeros."""
    config = network.config
    if config.use_crossattn_projection:
        text = network.crossattn_proj(text)
    if not config.img_context_dim_in:
        return text
    image = text.new_zeros(text.shape[0], config.get("img_context_num_tokens", 256), config.img_context_dim_in)
    return text, network.img_context_proj(image)
