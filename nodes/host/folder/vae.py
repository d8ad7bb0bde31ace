"""A model folder's video autoencoder as ComfyUI's VAE: clips in, normalised latents (1, C, t, h, w) out."""

from pathlib import Path

import comfy.model_management
import comfy.sd
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ....pipeline_core.errors import UserError
from ....pipeline_core.models.folders.loading import load_part
from ....pipeline_core.models.folders.preset import Preset
from ....pipeline_core.models.folders.preset_file import read_preset
from ....pipeline_core.models.networks.grid import check_frames
from ....pipeline_core.models.networks.vae import decode_latents, encode_clips, is_wan, latent_statistics
from .parts import shared_patcher

PATCH = (1, 2, 2)  # of every Cosmos transformer; a clip has to divide into it
WAN_FRAMES = 8  # the four that a Wan VAE codes at a time, and what it remembers of those before


class VAENetwork(torch.nn.Module):
    """What comfy.sd.VAE calls its first stage model, with frames and latents as the core's functions want them."""

    def __init__(self, vae: torch.nn.Module, preset: Preset):
        super().__init__()
        self.vae, self.preset = vae, preset

    @property
    def channels(self) -> int:
        return latent_statistics(self.vae)[0].shape[1]

    def encode(self, pixels: Tensor) -> Tensor:
        """(B, 3, T, H, W) in [0, 1] -> (B, C, t, h, w). UserError for clips that do not fit the latent grid."""
        clips = pixels.permute(0, 2, 3, 4, 1)
        check_frames(clips[0], "pixels", self.preset, PATCH)
        return encode_clips(self.vae, clips)

    def decode(self, latent: Tensor) -> Tensor:
        """(B, C, t, h, w) -> (B, 3, T, H, W) in [0, 1]. UserError for latents of another model."""
        if latent.ndim != 5 or latent.shape[1] != self.channels:
            raise UserError(
                f"A latent of shape {tuple(latent.shape)} came as samples; this VAE decodes (batch, {self.channels}, "
                "frames, height, width) made with its own model."
            )
        return decode_latents(self.vae, latent).permute(0, 4, 1, 2, 3)


class VideoVAE(comfy.sd.VAE):
    """comfy.sd.VAE around a shared patcher of a VAENetwork; `bf16` runs it under bfloat16 autocast.

    comfy.sd.VAE.__init__ knows only networks it can detect, so the attributes it would set are set here.
    """

    def __init__(self, patcher: ModelPatcher, bf16: bool):
        network: VAENetwork = patcher.model
        preset = network.preset
        self.patcher, self.first_stage_model, self.bf16 = patcher, network, bf16
        self.device, self.output_device = patcher.load_device, comfy.model_management.intermediate_device()
        self.vae_dtype = next(network.parameters()).dtype
        self.working_dtypes = [self.vae_dtype]
        self.latent_channels, self.latent_dim, self.output_channels = network.channels, 3, 3
        time, space = preset.temporal_ratio, preset.spatial_ratio
        self.upscale_ratio = (lambda t: max(0, t * time - time + 1), space, space)
        self.downscale_ratio = (lambda t: max(0, (t + time - 1) // time), space, space)
        self.upscale_index_formula = self.downscale_index_formula = (time, space, space)
        # Frames and sizes that do not fit are refused with a sentence, not cropped.
        self.crop_input = False
        self.process_input = self.process_output = lambda image: image
        # A Wan VAE codes four frames at a time, others the whole clip: activations of one full-size stage, a few of
        # which are alive at once, (frames x height x width) x width.
        most = WAN_FRAMES if is_wan(network.vae) else 1 << 30
        frames = lambda count: min(count, most)  # noqa: E731
        self.memory_used_encode = lambda shape, dtype: 400 * frames(shape[-3]) * shape[-2] * shape[-1] * 4
        self.memory_used_decode = lambda shape, dtype: (
            400 * frames(shape[-3] * time) * shape[-2] * shape[-1] * space**2 * 4
        )
        self.disable_offload = self.not_video = self.handles_tiling = False
        self.extra_1d_channel = self.pad_channel_value = self.format_encoded = self.size = None
        self.audio_sample_rate = 44100

    def encode(self, pixel_samples):
        with self._autocast():
            return super().encode(pixel_samples)

    def decode(self, samples_in, vae_options={}):  # noqa: B006 (ComfyUI's own signature)
        if samples_in.ndim != 5:
            self.first_stage_model.decode(samples_in)  # says what came and what is needed
        with self._autocast():
            return super().decode(samples_in, vae_options)

    def encode_tiled(self, *args, **kwargs):
        with self._autocast():
            return super().encode_tiled(*args, **kwargs)

    def decode_tiled(self, *args, **kwargs):
        with self._autocast():
            return super().decode_tiled(*args, **kwargs)

    def _autocast(self):
        return torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.bf16)


def vae_patcher(folder: Path) -> ModelPatcher:
    """The shared patcher of a folder's VAENetwork."""
    return shared_patcher(
        folder,
        "vae",
        "fp32",
        lambda: VAENetwork(load_part(folder, "vae"), read_preset(folder)),
        comfy.model_management.vae_device(),
        comfy.model_management.vae_offload_device(),
    )
