"""One control branch of a model folder as ComfyUI's CONTROL_NET, which brings the model's own VAE along."""

from __future__ import annotations

from pathlib import Path

import comfy.controlnet
import comfy.model_management
import comfy.utils
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...pipeline_core.errors import UserError
from ...pipeline_core.models.folder import branch_parts, part_folder, read_headers
from ...pipeline_core.models.grid import token_grid_weights
from ...pipeline_core.models.memory import chosen_weights
from .casts import load_castable
from .model import VideoDiT
from .parts import Part, shared_patcher
from .terms import MISFIT, ControlTerms
from .vae import PATCH, VideoVAE, vae_patcher


class BranchControl(comfy.controlnet.ControlBase):
    """A CosmosControlNetModel, its control map and its strength; the network of Load Video Model runs it.

    Strengths are used as given: chained controls add up, 0 is off. `set_weight_mask` makes a strength local.
    """

    def __init__(self, modality: str, branch: ModelPatcher, vae: ModelPatcher):
        super().__init__()
        self.modality, self.branch, self.own_vae = modality, branch, vae
        # Class colours must not mix; other maps shrink to the mean of their pixels.
        self.upscale_algorithm = "nearest-exact" if modality == "segmentation" else "area"
        self.weight_mask: Tensor | None = None
        self._bf16 = False

    def set_weight_mask(self, mask: Tensor | None) -> BranchControl:
        """Multiply the strength by `mask` (T, H, W): pixels of the map's frames, or 1 frame for all of them."""
        if mask is not None and mask.ndim != 3:
            raise UserError(f"A weight mask of shape {tuple(mask.shape)} came; give (frames, height, width).")
        self.weight_mask = mask
        return self

    def copy(self) -> BranchControl:
        made = BranchControl(self.modality, self.branch, self.own_vae)
        self.copy_to(made)
        made.weight_mask = self.weight_mask
        return made

    def get_models(self) -> list[ModelPatcher]:
        return [*super().get_models(), self.branch]

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

    def get_control(self, x_noisy, t, cond, batched_number, transformer_options):
        before = None
        if self.previous_controlnet is not None:
            before = self.previous_controlnet.get_control(x_noisy, t, cond, batched_number, transformer_options)
        high, low = self.timestep_range or (t[0], t[0])
        if t[0] > high or t[0] < low or self.strength == 0:
            return before
        window = transformer_options.get("context_window")
        window = window if getattr(window, "dim", None) == 2 else None  # 2: time, the one a clip is windowed in
        if self.cond_hint is None or self.cond_hint.shape[-2:] != x_noisy.shape[-2:]:
            self.cond_hint = self._encode(x_noisy, window).to(x_noisy.device)
        hint, weight = self.cond_hint, self._token_weights()
        if window is not None:
            if max(window.index_list) >= hint.shape[2]:
                self._refuse_length(max(window.index_list) + 1)
            hint = window.get_tensor(hint, dim=2)
            weight = window.get_tensor(weight[None, None], dim=2)[0, 0] if torch.is_tensor(weight) else weight
        if hint.shape[2] != x_noisy.shape[2]:
            self._refuse_length(x_noisy.shape[2])
        weight = weight.flatten()[None, :, None] if torch.is_tensor(weight) else weight
        own = ControlTerms(((self.branch.model.network, hint, weight),))
        return self.control_merge({"input": [own], "middle": [], "output": []}, before, output_dtype=None)

    def _encode(self, x_noisy: Tensor, window) -> Tensor:
        """Hint latent (1, C, t, h, w) of the whole map, stretched to the latent's size."""
        frames, preset = self.cond_hint_original, self.own_vae.model.preset
        latent_frames = x_noisy.shape[2] if window is None else getattr(window, "total_frames", 0)
        needed = 1 + (latent_frames - 1) * preset.temporal_ratio
        if latent_frames and len(frames) == 1:
            frames = frames.expand(needed, -1, -1, -1)  # a single frame stands for all, as with native ControlNets
        elif latent_frames and len(frames) != needed:
            self._refuse_length(latent_frames)
        width, height = (size * preset.spatial_ratio for size in (x_noisy.shape[-1], x_noisy.shape[-2]))
        if tuple(frames.shape[-2:]) != (height, width):
            frames = comfy.utils.common_upscale(frames, width, height, self.upscale_algorithm, "disabled")
        # Loading the VAE may push out the models that are sampling.
        loaded = comfy.model_management.loaded_models(only_currently_used=True)
        hint = VideoVAE(self.own_vae, self._bf16).encode(frames.movedim(1, -1))
        comfy.model_management.load_models_gpu(loaded)
        return hint

    def _token_weights(self) -> float | Tensor:
        """1, or the mask's mean over each token (t, h / 2, w / 2) of the whole clip."""
        if self.weight_mask is None:
            return 1.0
        count = len(self.weight_mask)
        if count not in (1, len(self.cond_hint_original)):
            raise UserError(
                f"The weight mask has {count} frames and the {self.modality} map {len(self.cond_hint_original)}; give "
                "the mask as many frames, or one for all."
            )
        return token_grid_weights(self.weight_mask.to(self.cond_hint.device), self.cond_hint.shape[2:], PATCH)

    def _refuse_length(self, latent_frames: int) -> None:
        needed = 1 + (latent_frames - 1) * self.own_vae.model.preset.temporal_ratio
        raise UserError(
            f"The {self.modality} map has {len(self.cond_hint_original)} frames and the latent stands for {needed}; "
            "give the control's image as many frames as the clip."
        )


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
