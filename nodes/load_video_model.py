"""Load Video Model: a diffusers-format folder as ComfyUI's MODEL, CLIP and VAE."""

from comfy_api.latest import io, ui

from ..pipeline_core.models.loading import PRECISIONS, branch_names, runs_bf16
from ..pipeline_core.models.preset import read_preset
from .adapter import compute_device
from .native.folders import EMBEDDED_NAME, model_folder, model_folders, stamp
from .native.model import load_model
from .native.text import load_clip
from .native.vae import VideoVAE, vae_patcher
from .packages import require_packages
from .schema import search_words


class LoadVideoModel(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismLoadVideoModel",
            display_name="Load Video Model",
            category="video realism/loaders",
            description="Loads a video model that follows control maps, with its text encoder and VAE. The embedded "
            "one comes with this pack: small, made for driving scenes of 96x160 pixels, nothing to download.",
            inputs=[
                io.Combo.Input(
                    "model",
                    options=list(model_folders()),
                    default=EMBEDDED_NAME,
                    tooltip="embedded, or a Cosmos-Transfer folder in diffusers' layout under models/diffusers.",
                ),
                io.Combo.Input(
                    "precision",
                    options=list(PRECISIONS),
                    default="auto",
                    tooltip="auto: bfloat16 where the hardware has it. fp32: equal numbers on every machine, slower. "
                    "bf16: always bfloat16. Weights stay in 32 bits.",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="For KSampler, the guiders and DDIM Invert."),
                io.Clip.Output(display_name="clip", tooltip="For CLIP Text Encode."),
                io.Vae.Output(display_name="vae", tooltip="For VAE Encode and VAE Decode."),
            ],
            **search_words("cosmos", "transfer", "diffusers", "checkpoint", "embedded", "world model"),
        )

    @classmethod
    def fingerprint_inputs(cls, model, precision):
        folder = model_folders().get(model)
        return stamp(folder) if folder else model

    @classmethod
    def execute(cls, model, precision):
        require_packages("diffusers", "transformers", "accelerate")
        folder = model_folder(model)
        vae = vae_patcher(folder)
        bf16 = runs_bf16(precision, vae.load_device)
        preset, device = read_preset(folder), compute_device()
        text = (
            f"{preset.name}: clips of {preset.window} frames, about {preset.size[1]}x{preset.size[0]} pixels\n"
            f"controls: {', '.join(branch_names(folder)) or 'none'}\n"
            f"on {device} in {'bfloat16' if runs_bf16(precision, device) else '32-bit floats'}\n"
            f"try: euler, karras, {preset.steps} steps, cfg {preset.cfg:g}"
        )
        outputs = load_model(folder, precision), load_clip(folder, precision), VideoVAE(vae, bf16)
        return io.NodeOutput(*outputs, ui=ui.PreviewText(text))
