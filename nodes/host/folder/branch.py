"""One control branch of a model folder as ComfyUI's CONTROL_NET, which brings the model's own VAE along."""

from __future__ import annotations

from pathlib import Path

import comfy.model_management
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ....pipeline_core.errors import UserError
from ....pipeline_core.models.folders.layout import branch_parts, part_folder, read_headers
from ....pipeline_core.models.folders.memory import chosen_weights
from ....pipeline_core.models.networks.grid import token_grid_weights
from ..controls.map_control import MapControl
from ..controls.terms import MISFIT
from .casts import load_castable
from .model import VideoDiT
from .parts import Part, shared_patcher
from .vae import PATCH, VideoVAE, vae_patcher


class BranchControl(MapControl):
    """A CosmosControlNetModel, its control map and its strength; the network of Load Video Model runs it.

    Strengths are used as given: chained controls add up, 0 is off.
    """

    def __init__(self, modality: str, branch: ModelPatcher, vae: ModelPatcher):
        super().__init__(modality, branch)
        self.own_vae = vae
        self.temporal_ratio, self.spatial_ratio = vae.model.preset.temporal_ratio, vae.model.preset.spatial_ratio
        self._bf16 = False

    def copy(self) -> BranchControl:
        return self.copied_to(BranchControl(self.modality, self.branch, self.own_vae))

    def pre_run(self, model, percent_to_timestep_function) -> None:
        super().pre_run(model, percent_to_timestep_function)
        network = model.diffusion_model
        if not isinstance(network, VideoDiT):
            raise UserError(MISFIT)
        branch = self.branch.model.network
        if branch.control_blocks[0].after_proj.out_features != network.transformer.patch_embed.proj.out_features:
            raise UserError(
                f"The {self.modality} control branch belongs to another model; load the branch and the MODEL from the "
                "same folder."
            )
        if branch.patch_embed.proj.weight.dtype != network.dtype:
            raise UserError(
                f"The {self.modality} control branch and the MODEL have different weights; set weights to the same in "
                "Load Control Branch and Load Video Model."
            )
        self._bf16 = network.bf16

    def _term(self, hint: Tensor, weight: float | Tensor, transformer_options: dict) -> tuple:
        weight = weight.flatten()[None, :, None] if torch.is_tensor(weight) else weight
        return self.branch.model.network, hint, weight

    def _latent(self, frames: Tensor) -> Tensor:
        return VideoVAE(self.own_vae, self._bf16).encode(frames)

    def _token_weights(self, mask: Tensor, latent_size: tuple[int, int, int]) -> Tensor:
        """The mask's mean over each token."""
        if len(mask) not in (1, len(self.cond_hint_original)):
            raise UserError(
                f"The weight mask has {len(mask)} frames and the {self.modality} map {len(self.cond_hint_original)}; "
                "give the mask as many frames, or one for all."
            )
        return token_grid_weights(mask.to(self.cond_hint.device), latent_size, PATCH)


def load_control(folder: Path, modality: str, weights: str = "auto") -> BranchControl:
    """The CONTROL_NET of one modality, in weights as the MODEL's. UserError when the folder has no such branch."""
    parts = branch_parts(folder)
    if modality not in parts:
        raise UserError(
            f"The model {folder.name} has no {modality} branch; set modality to {' or '.join(parts) or 'none'}."
        )
    weights = chosen_weights(weights, read_headers(part_folder(folder, "transformer")))
    branch = shared_patcher(
        folder,
        parts[modality],
        weights,
        lambda: Part(load_castable(folder, parts[modality], weights)),
        comfy.model_management.get_torch_device(),
        comfy.model_management.unet_offload_device(),
    )
    return BranchControl(modality, branch, vae_patcher(folder))
