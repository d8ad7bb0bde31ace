"""The embedded DiT as an edit model: the source's latent as extra channels, an instruction in the caption's place."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from pipeline_core.models.folders.loading import EMBEDDED
from pipeline_core.models.networks.cosmos import cosmos_forward
from pipeline_core.models.networks.text import embed_tokens

from ..architecture import EmbeddedNetworks
from ..export import load_networks


def build() -> EmbeddedNetworks:
    """The embedded model's transformer, widened, and its text encoder, both with their trained weights."""
    return edit_networks(load_networks(EMBEDDED))


def edit_networks(base: EmbeddedNetworks) -> EmbeddedNetworks:
    """Without control branches: the source says where everything is. `base` stays as it is."""
    return EmbeddedNetworks(widened(base.transformer), {}, copy.deepcopy(base.text_encoder))


@torch.no_grad()
def widened(transformer: torch.nn.Module) -> torch.nn.Module:
    """A CosmosTransformer3DModel that reads as many channels more as it writes, between its latent and its masks.

    The new weights are zero: whatever stands in the new channels, it answers what `transformer` does.
    """
    extra = transformer.config.out_channels
    config = {name: value for name, value in transformer.config.items() if not name.startswith("_")}
    wide = type(transformer).from_config({**config, "in_channels": config["in_channels"] + extra})
    state = transformer.state_dict()
    name, volume = "patch_embed.proj.weight", int(torch.tensor(config["patch_size"]).prod())
    latent, masks = state[name].split([extra * volume, state[name].shape[1] - extra * volume], dim=1)
    state[name] = torch.cat([latent, torch.zeros_like(latent), masks], dim=1)
    wide.load_state_dict(state)
    return wide.train(transformer.training)


def edit_forward(
    networks: EmbeddedNetworks, x: Tensor, source: Tensor, time: Tensor, ids: Tensor, mask: Tensor
) -> Tensor:
    """The network's answer (B, C, t, h, w) to a state x under noise of flow time (B,), as prediction.py reads it.

    source: latent of the clip to edit, zeros for none; ids, mask (B, length): the instruction's tokens, those of "" for
    none. Without either it is the unconditional branch of three-term guidance (diffusion.VideoText).
    """
    text = embed_tokens(networks.text_encoder, ids, mask)
    return cosmos_forward(networks.transformer, [], torch.cat([x, source.to(x)], 1), time, text)
