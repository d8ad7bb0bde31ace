"""What control branches of both Cosmos generations share: a map as long as the clip, encoded once, cut to windows."""

from __future__ import annotations

import comfy.controlnet
import comfy.utils
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ....pipeline_core.errors import UserError
from ..running import sampling_models_kept
from .clip_maps import TIME, frame_size, frames_of_call, refuse_length, time_window
from .terms import ControlTerms


class MapControl(comfy.controlnet.ControlBase):
    """A branch network, the map it follows and its strength. `set_weight_mask` makes the strength local.

    A subclass says how frames become a latent, how a mask becomes token weights, and which pixels a latent cell has.
    """

    temporal_ratio: int
    spatial_ratio: int

    def __init__(self, modality: str, branch: ModelPatcher):
        super().__init__()
        self.modality, self.branch = modality, branch
        # Class colours must not mix; other maps shrink to the mean of their pixels.
        self.upscale_algorithm = "nearest-exact" if modality == "segmentation" else "area"
        self.weight_mask: Tensor | None = None
        self._weight: float | Tensor = 1.0  # the mask on the tokens of the whole clip, as long as cond_hint is there

    def set_weight_mask(self, mask: Tensor | None) -> MapControl:
        """Multiply the strength by `mask` (T, H, W): pixels of the map's frames, or 1 frame for all of them."""
        if mask is not None and mask.ndim != 3:
            raise UserError(f"A weight mask of shape {tuple(mask.shape)} came; give (frames, height, width).")
        self.weight_mask, self.cond_hint = mask, None
        return self

    def copied_to(self, clone: MapControl) -> MapControl:
        """`clone`, with this control's map, strength, range and mask."""
        self.copy_to(clone)
        clone.weight_mask = self.weight_mask
        return clone

    def get_models(self) -> list[ModelPatcher]:
        return [*super().get_models(), self.branch]

    def get_control(self, x_noisy, t, cond, batched_number, transformer_options):
        before = None
        if self.previous_controlnet is not None:
            before = self.previous_controlnet.get_control(x_noisy, t, cond, batched_number, transformer_options)
        high, low = self.timestep_range or (t[0], t[0])
        if t[0] > high or t[0] < low or self.strength == 0:
            return before
        window = time_window(transformer_options)
        if self.cond_hint is None or tuple(self.cond_hint.shape[-2:]) != frame_size(x_noisy, window):
            self.cond_hint = self._encode(x_noisy, window).to(x_noisy.device)
            mask = self.weight_mask
            self._weight = 1.0 if mask is None else self._token_weights(mask, self.cond_hint.shape[TIME:])
        hint, weight = frames_of_call(self.cond_hint, x_noisy, window, self._refuse_length), self._weight
        if torch.is_tensor(weight):
            weight = frames_of_call(weight[None, None], x_noisy, window, self._refuse_length)[0, 0]
        own = ControlTerms((self._term(hint, weight, transformer_options),))
        return self.control_merge({"input": [own], "middle": [], "output": []}, before, output_dtype=None)

    def _term(self, hint: Tensor, weight: float | Tensor, transformer_options: dict) -> tuple:
        """(network, hint, weight) as the base network takes them. weight: a number or (t, h, w) of tokens."""
        raise NotImplementedError

    def _latent(self, frames: Tensor) -> Tensor:
        """The hint latent (1, C, t, h, w) of frames (F, H, W, 3)."""
        raise NotImplementedError

    def _token_weights(self, mask: Tensor, latent_size: tuple[int, int, int]) -> Tensor:
        """The mask over the tokens of the whole clip, (t, h / p, w / p)."""
        raise NotImplementedError

    def _encode(self, x_noisy: Tensor, window) -> Tensor:
        """The hint latent of the whole map, stretched to the size of the latent's frames."""
        frames = self.cond_hint_original
        latent_frames = x_noisy.shape[TIME] if window is None else getattr(window, "total_frames", 0)
        needed = self._pixel_frames(latent_frames)
        if latent_frames and len(frames) == 1:
            frames = frames.expand(needed, -1, -1, -1)  # a single frame stands for all, as with native ControlNets
        elif latent_frames and len(frames) != needed:
            self._refuse_length(latent_frames)
        height, width = (side * self.spatial_ratio for side in frame_size(x_noisy, window))
        if tuple(frames.shape[-2:]) != (height, width):
            frames = comfy.utils.common_upscale(frames, width, height, self.upscale_algorithm, "disabled")
        with sampling_models_kept():
            return self._latent(frames.movedim(1, -1))

    def _pixel_frames(self, latent_frames: int) -> int:
        return 1 + (latent_frames - 1) * self.temporal_ratio

    def _refuse_length(self, latent_frames: int) -> None:
        refuse_length(f"{self.modality} map", len(self.cond_hint_original), self._pixel_frames(latent_frames))
