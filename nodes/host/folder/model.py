"""A model folder's transformer as ComfyUI's MODEL: x0 as the core predicts it, at the preset's noise levels."""

from pathlib import Path

import comfy.conds
import comfy.latent_formats
import comfy.model_base
import comfy.model_management
import comfy.model_sampling
import comfy.patcher_extension
import comfy.supported_models_base
import comfy.utils
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ....pipeline_core.errors import UserError
from ....pipeline_core.models.folders.layout import read_index
from ....pipeline_core.models.folders.precision import runs_bf16
from ....pipeline_core.models.folders.preset import Preset
from ....pipeline_core.models.folders.preset_file import read_latent_rgb, read_preset
from ....pipeline_core.models.networks.cosmos import cosmos_forward, source_channels
from ....pipeline_core.models.networks.prediction import clean_prediction, flow_state, network_input
from ..controls.terms import MISFIT, terms_of
from ..first_blocks import first_block_cache
from .casts import load_castable
from .parts import Part


class _VESampling(comfy.model_sampling.ModelSamplingCosmosRFlow, comfy.model_sampling.COSMOS_RFLOW):
    """x = x0 + sigma n; the network sees the flow state x / (1 + sigma) at the time sigma / (1 + sigma)."""

    def __init__(self, config, prediction: str):
        super().__init__(config)
        self.prediction = prediction

    def calculate_input(self, sigma: Tensor, noise: Tensor) -> Tensor:
        return network_input(*flow_state(noise, sigma, ve=True), self.prediction)

    def calculate_denoised(self, sigma: Tensor, model_output: Tensor, model_input: Tensor) -> Tensor:
        flow, t = flow_state(model_input, sigma, ve=True)
        return clean_prediction(flow, model_output, t, self.prediction)


class _FlowSampling(comfy.model_sampling.ModelSamplingDiscreteFlow, comfy.model_sampling.CONST):
    """x = (1 - sigma) x0 + sigma n, which the network sees at the time sigma."""

    def __init__(self, config, prediction: str):
        super().__init__(config)
        self.prediction = prediction

    def calculate_input(self, sigma: Tensor, noise: Tensor) -> Tensor:
        return network_input(*flow_state(noise, sigma, ve=False), self.prediction)

    def calculate_denoised(self, sigma: Tensor, model_output: Tensor, model_input: Tensor) -> Tensor:
        flow, t = flow_state(model_input, sigma, ve=False)
        return clean_prediction(flow, model_output, t, self.prediction)


class VideoLatent(comfy.latent_formats.LatentFormat):
    """Latents are normalised by the VAE already; the colours are for previews."""

    latent_dimensions = 3

    def __init__(self, preset: Preset, channels: int, rgb: tuple[list, list] | None):
        self.latent_channels = channels
        self.spacial_downscale_ratio, self.temporal_downscale_ratio = preset.spatial_ratio, preset.temporal_ratio
        if rgb is not None:
            self.latent_rgb_factors, self.latent_rgb_factors_bias = rgb


class VideoDiT(torch.nn.Module):
    """The network ComfyUI calls: flow state, time, text and control terms in, the network's own answer out."""

    def __init__(self, transformer: torch.nn.Module, bf16: bool, given_time: float | None = None):
        super().__init__()
        self.transformer, self.bf16, self.given_time = transformer, bf16, given_time

    @property
    def dtype(self) -> torch.dtype:
        return self.transformer.patch_embed.proj.weight.dtype

    @property
    def text_width(self) -> int:
        config = self.transformer.config
        return config.crossattn_proj_in_channels if config.use_crossattn_projection else config.text_embed_dim

    def forward(self, x, timesteps, context=None, control=None, transformer_options={}, **kwargs):  # noqa: B006
        wrappers = comfy.patcher_extension.get_all_wrappers(
            comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, transformer_options
        )
        executor = comfy.patcher_extension.WrapperExecutor.new_class_executor(self._forward, self, wrappers)
        return executor.execute(x, timesteps, context, control, transformer_options, **kwargs)

    def _forward(self, x, timesteps, context=None, control=None, transformer_options={}, condition_mask=None, **_):  # noqa: B006
        controls = [
            (branch, hint.to(x), weight.to(x.device) if torch.is_tensor(weight) else weight)
            for branch, hint, weight in terms_of(control)
        ]
        times = timesteps.float()
        if condition_mask is not None:
            # The network reads which frames are given, and another time for them.
            times = torch.where(condition_mask[:, :, :, :1, :1] > 0, self.given_time, times.view(-1, 1, 1, 1, 1))
        with torch.no_grad(), torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            cache = first_block_cache(transformer_options)
            return cosmos_forward(self.transformer, controls, x, times, context, condition_mask, cache=cache)


class VideoModelBase(comfy.model_base.BaseModel):
    """BaseModel whose sampling is the preset's and whose conditions are checked before the first step."""

    def __init__(self, config, network: VideoDiT, preset: Preset):
        ve = preset.interpolant == "ve"
        kind = comfy.model_base.ModelType.FLOW_COSMOS if ve else comfy.model_base.ModelType.FLOW
        super().__init__(config, kind)
        self.diffusion_model, self.preset = network, preset
        self.model_sampling = (_VESampling if ve else _FlowSampling)(config, preset.prediction)

    def extra_conds(self, **kwargs):
        shape, text = tuple(kwargs["noise"].shape), kwargs.get("cross_attn")
        channels, width = self.latent_format.latent_channels, self.diffusion_model.text_width
        if len(shape) != 5 or shape[1] != channels:
            raise UserError(
                f"A latent of shape {shape} came; this model needs (batch, {channels}, frames, height, width), so "
                "encode the clip with the VAE of Load Video Model, or give an empty video latent."
            )
        if text is None or text.shape[-1] != width:
            came = "no text" if text is None else f"text embeddings {text.shape[-1]} wide"
            raise UserError(
                f"A conditioning with {came} came and this model reads {width}; make positive and negative with CLIP "
                "Text Encode and the CLIP of Load Video Model."
            )
        control = kwargs.get("control")
        if control is not None and any(not isinstance(patcher.model, Part) for patcher in control.get_models()):
            raise UserError(MISFIT)
        conds, mask = super().extra_conds(**kwargs), kwargs.get("denoise_mask")
        if mask is not None and self.diffusion_model.given_time is not None:
            conds["condition_mask"] = comfy.conds.CONDRegular(given_frames(mask))
        return conds

    def concat_cond(self, **kwargs):
        """The latent of the clip to edit for a model that does, as InstructPixToPixConditioning gives it; zeros where a
        conditioning has none, which is the unconditional branch."""
        if not source_channels(self.diffusion_model.transformer.config):
            return super().concat_cond(**kwargs)
        source, noise = kwargs.get("concat_latent_image"), kwargs["noise"]
        if source is None:
            return torch.zeros_like(noise)
        if source.shape[1:] != noise.shape[1:]:
            raise UserError(
                f"The clip to edit came as a latent of shape {tuple(source.shape)}, and the latent to sample has "
                f"{tuple(noise.shape)}; make both of one clip with InstructPixToPixConditioning."
            )
        return comfy.utils.repeat_to_batch_size(source.to(kwargs["device"]), len(noise))

    def scale_latent_inpaint(self, sigma, noise, latent_image, **kwargs):
        """What the network is shown of a masked part: given frames are clean, whatever the noise around them."""
        if self.diffusion_model.given_time is None:
            return super().scale_latent_inpaint(sigma=sigma, noise=noise, latent_image=latent_image, **kwargs)
        ve = isinstance(self.model_sampling, _VESampling)
        return latent_image * (1 + sigma.reshape(-1, *[1] * (noise.ndim - 1))) if ve else latent_image


def given_frames(mask: Tensor) -> Tensor:
    """(B, 1, T, H, W), 1 where a frame is given, of ComfyUI's noise mask. UserError for frames given in part."""
    clean = 1 - mask[:, :1].float()
    if bool((clean != clean[..., :1, :1]).any()) or bool(((clean != 0) & (clean != 1)).any()):
        raise UserError(
            "The noise mask gives parts of frames, and this model takes whole frames as given or none; make the mask "
            "0 or 1 all over each frame."
        )
    return clean


def _wan_rgb(folder: Path) -> tuple[list, list] | None:
    """ComfyUI's preview colours of Wan 2.1's latents, which a folder with that VAE has too."""
    if read_index(folder).get("vae", [""])[-1] != "AutoencoderKLWan":
        return None
    known = comfy.latent_formats.Wan21()
    return known.latent_rgb_factors, known.latent_rgb_factors_bias


def load_model(folder: Path, precision: str, weights: str) -> ModelPatcher:
    """The MODEL of a model folder. precision: auto, bf16 or fp32, as on the command line.

    weights: fp32, bf16 or fp8, see load_castable; the network computes in bf16 with the last two.
    """
    preset, device = read_preset(folder), comfy.model_management.get_torch_device()
    bf16 = weights == "fp32" and runs_bf16(precision, device)
    network = VideoDiT(load_castable(folder, "transformer", weights), bf16, preset.given_time)
    settings = network.transformer.config
    config = comfy.supported_models_base.BASE({"image_model": "cosmos_transfer", "disable_unet_model_creation": True})
    config.latent_format = VideoLatent(preset, settings.out_channels, read_latent_rgb(folder) or _wan_rgb(folder))
    flow = {"shift": 1.0, "multiplier": 1.0}
    noise_levels = {"sigma_min": preset.sigma_min, "sigma_max": preset.sigma_max, "sigma_data": 1.0}
    config.sampling_settings = noise_levels if preset.interpolant == "ve" else flow
    # ComfyUI's own Cosmos of width 2048 has 1; activations grow with the width.
    config.memory_usage_factor = settings.num_attention_heads * settings.attention_head_dim / 2048
    config.supported_inference_dtypes = [network.dtype]
    config.set_inference_dtype(network.dtype, None)
    offload = comfy.model_management.unet_offload_device()
    model = VideoModelBase(config, network, preset).to(offload)
    return ModelPatcher(model, load_device=device, offload_device=offload)
