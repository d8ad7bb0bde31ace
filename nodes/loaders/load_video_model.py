"""Load Video Model: a diffusers-format folder as ComfyUI's MODEL, CLIP and VAE."""

from comfy_api.latest import io, ui

from ...pipeline_core.models.families import family_of_preset
from ...pipeline_core.models.folders.loading import branch_names
from ...pipeline_core.models.folders.precision import PRECISIONS, check_bf16_weights, choose_precision, runs_bf16
from ...pipeline_core.models.folders.preset_file import read_preset
from ..host.families import card_plan
from ..host.folder.casts import folder_plan, log_plan
from ..host.folder.folders import EMBEDDED_NAME, model_folder, model_folders, stamp
from ..host.folder.model import load_model
from ..host.folder.text import load_clip
from ..host.folder.vae import VideoVAE, vae_patcher
from ..host.jobs import compute_device
from ..shared.packages import require_packages
from ..shared.schema import search_words
from ..shared.widgets import weights_input


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
                    tooltip="auto: bfloat16 where hardware and torch have it. fp32: slower, the same picture but for "
                    "rounding on every machine. bf16: always bfloat16.",
                ),
                weights_input(),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="For KSampler, the guiders and DDIM Invert."),
                io.Clip.Output(display_name="clip", tooltip="For CLIP Text Encode."),
                io.Vae.Output(display_name="vae", tooltip="For VAE Encode and VAE Decode."),
            ],
            **search_words("cosmos", "transfer", "diffusers", "checkpoint", "embedded", "world model"),
        )

    @classmethod
    def fingerprint_inputs(cls, model, precision, weights="auto"):
        folder = model_folders().get(model)
        return stamp(folder) if folder else model

    @classmethod
    def execute(cls, model, precision, weights="auto"):
        require_packages("diffusers", "transformers", "accelerate")
        folder = model_folder(model)
        plan = folder_plan(folder, weights)
        log_plan(plan)
        vae = vae_patcher(folder)
        preset, device = read_preset(folder), compute_device()
        check_bf16_weights(plan.weights, device)
        half, note = choose_precision(precision, device)
        half = half or plan.weights != "fp32"
        memory = plan.lines() if plan.weights != "fp32" else [plan.sentence()]
        loaded = load_model(folder, precision, plan.weights)
        memory += card_plan(loaded, family_of_preset(preset))
        names = ", ".join(branch_names(folder))
        text = (
            f"{preset.name}: clips of {preset.window} frames, about {preset.size[1]}x{preset.size[0]} pixels\n"
            f"{f'controls: {names}' if names else 'controls: none'}\n"
            f"on {device} in {'bfloat16' if half else '32-bit floats'}\n"
            f"try: euler, karras, {preset.steps} steps, cfg {preset.cfg:g}\n" + "\n".join(filter(None, [note, *memory]))
        )
        outputs = loaded, load_clip(folder, precision, plan.weights)
        outputs = *outputs, VideoVAE(vae, runs_bf16(precision, vae.load_device))
        return io.NodeOutput(*outputs, ui=ui.PreviewText(text))
