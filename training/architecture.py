"""The embedded model's architecture: a miniature Cosmos-Transfer2.5 in diffusers' classes, freshly initialised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

MODALITIES = ("edge", "depth", "segmentation")

# in_channels counts the condition mask; the padding mask is added by the class, as in the released 2B model.
TRANSFORMER = {
    "num_attention_heads": 6,
    "attention_head_dim": 32,
    "num_layers": 6,
    "mlp_ratio": 4.0,
    "text_embed_dim": 96,
    "adaln_lora_dim": 64,
    "max_size": (32, 64, 64),
    "patch_size": (1, 2, 2),
    "rope_scale": (1.0, 1.0, 1.0),
    "concat_padding_mask": True,
    "extra_pos_embed_type": None,
    "controlnet_block_every_n": 1,
}
CONTROL = {"n_controlnet_blocks": 3, "mlp_ratio": 1.0, "adaln_lora_dim": 32}
TEXT = {
    "d_model": 96,
    "d_kv": 32,
    "num_heads": 3,
    "d_ff": 192,
    "num_layers": 2,
    "dropout_rate": 0.0,
    "feed_forward_proj": "gated-gelu",
    "pad_token_id": 0,
    "eos_token_id": 1,
}


ARCHITECTURE = {"transformer": TRANSFORMER, "control": CONTROL, "text": TEXT}


class EmbeddedNetworks(torch.nn.Module):
    """Everything the DiT training updates: transformer, one control branch per modality, text encoder."""

    def __init__(self, transformer, branches: Mapping[str, torch.nn.Module], text_encoder) -> None:
        super().__init__()
        self.transformer = transformer
        self.branches = torch.nn.ModuleDict(branches)
        self.text_encoder = text_encoder


def build_networks(
    latent_channels: int,
    vocab_size: int,
    seed: int,
    architecture: Mapping[str, Mapping] = ARCHITECTURE,
    modalities: Sequence[str] = MODALITIES,
) -> EmbeddedNetworks:
    """Fresh networks in fp32 on the CPU, every weight drawn from a generator seeded with `seed`.

    architecture: config values of the "transformer", the "control" branches and the "text" encoder.
    latent_channels: channels of the VAE latent. vocab_size: the tokenizer's. Control branches emit exactly zero
    at the start (after_proj = 0, ControlNet's zero convolution); the velocity head starts at zero too.
    """
    from diffusers import CosmosControlNetModel, CosmosTransformer3DModel
    from transformers import T5Config, T5EncoderModel

    transformer, control, text = (architecture[part] for part in ("transformer", "control", "text"))
    base = CosmosTransformer3DModel(in_channels=latent_channels + 1, out_channels=latent_channels, **dict(transformer))
    shared = {
        k: transformer[k]
        for k in (
            "num_attention_heads",
            "attention_head_dim",
            "text_embed_dim",
            "max_size",
            "patch_size",
            "rope_scale",
            "extra_pos_embed_type",
        )
    }
    width = transformer["num_attention_heads"] * transformer["attention_head_dim"]
    branches = {
        name: CosmosControlNetModel(
            in_channels=latent_channels + 2,
            latent_channels=latent_channels + 2,
            model_channels=width,
            **shared,
            **dict(control),
        )
        for name in modalities
    }
    encoder = T5EncoderModel(T5Config(vocab_size=vocab_size, **dict(text)))
    networks = EmbeddedNetworks(base, branches, encoder).float()
    initialise(networks, seed)
    return networks


@torch.no_grad()
def initialise(networks: EmbeddedNetworks, seed: int) -> None:
    """Draw every weight anew: fan-in normal, residual outputs scaled by depth, gates open, heads zero."""
    generator = torch.Generator().manual_seed(seed)
    for module in networks.modules():
        if isinstance(module, torch.nn.Linear):
            module.weight.normal_(0.0, module.in_features**-0.5, generator=generator)
            if module.bias is not None:
                module.bias.zero_()
        elif isinstance(module, torch.nn.Embedding):
            module.weight.normal_(0.0, 1.0 if module.embedding_dim > 8 else 0.1, generator=generator)
    stacks = [(networks.transformer, networks.transformer.transformer_blocks)]
    stacks += [(branch, branch.control_blocks) for branch in networks.branches.values()]
    for owner, blocks in stacks:
        _initialise_stack(owner, blocks)
    networks.transformer.norm_out.linear_2.weight.zero_()
    networks.transformer.proj_out.weight.zero_()


def _initialise_stack(owner: torch.nn.Module, blocks: torch.nn.ModuleList) -> None:
    """One stack of Cosmos blocks: gates start near one at every time, shift and scale at zero."""
    # temb is shared by all blocks; starting it at zero leaves the modulation to each block's own projection.
    owner.time_embed.t_embedder.linear_2.weight.zero_()
    middle = torch.tensor([0.5])
    _, embedded = owner.time_embed(torch.zeros(1, 1), middle)
    residual_scale = (3 * len(blocks)) ** -0.5
    for block in blocks:
        for output in (block.attn1.to_out[0], block.attn2.to_out[0], block.ff.net[2]):
            output.weight.mul_(residual_scale)
        for norm in (block.norm1, block.norm2, block.norm3):
            # The projections have no bias, so "gate = 1" is written along the mean direction of their input.
            direction = norm.linear_1(norm.activation(embedded))[0]
            norm.linear_2.weight.zero_()
            norm.linear_2.weight[2 * norm.linear_2.out_features // 3 :] = direction / direction.square().sum()
        if block.after_proj is not None:
            block.after_proj.weight.zero_()


def parameter_counts(networks: EmbeddedNetworks) -> dict[str, int]:
    """Parameters per part, for the model card."""
    parts = {"transformer": networks.transformer, "text_encoder": networks.text_encoder}
    parts |= {f"controlnet_{name}": branch for name, branch in networks.branches.items()}
    return {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
