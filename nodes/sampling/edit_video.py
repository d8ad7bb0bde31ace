"""Edit Video: a clip changed by an instruction, with one model for all clips (InsV2V)."""

from comfy_api.latest import io

from ...pipeline_core.enhance import EnhanceSettings
from ...pipeline_core.job.settings import edit_settings
from ...pipeline_core.job.table import parse_settings
from ...pipeline_core.models.folders.preset_file import read_preset
from ..host.folder.folders import EDIT_NAME, edit_model_folder, edit_models
from ..shared.clips import clip_input
from ..shared.packages import require_packages
from ..shared.schema import search_words
from ..shared.whole_job import whole_job, whole_job_outputs
from ..shared.widgets import detail_input, keep_input, pass_inputs, pass_values, settings_input


def _scale(name: str, default: float, most: float, tooltip: str) -> io.Float.Input:
    shown = {"step": 0.05, "round": 0.001, "display_mode": io.NumberDisplay.slider}
    return io.Float.Input(name, default=default, min=0.0, max=most, tooltip=tooltip, **shown)


class EditVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismEditVideo",
            display_name="Edit Video",
            category="video realism/sampling",
            description="Changes a clip by an instruction, such as make it night, and keeps the rest. Needs no words "
            "for what the clip shows and no training on it; any length.",
            inputs=[
                io.Image.Input("frames", tooltip="The clip to edit, of any length and size."),
                io.String.Input(
                    "instruction",
                    default="make it night",
                    multiline=True,
                    tooltip="What to change, such as: make it night, let it rain, turn it into a real video.",
                ),
                _scale("video_scale", 1.0, 3.0, "How strongly to follow the clip; 1 is neutral."),
                _scale("text_scale", 1.5, 10.0, "How strongly to follow the instruction; 1 is neutral."),
                io.Combo.Input(
                    "model",
                    options=edit_models(),
                    default=EDIT_NAME,
                    tooltip="embedded_edit: the small model of this pack, or a model that edits by instruction under "
                    "models/diffusers.",
                ),
                *pass_inputs(),
                settings_input(),
                detail_input(optional=True),
                keep_input(),
            ],
            outputs=whole_job_outputs("edited"),
            **search_words("instruction", "instruct", "insv2v", "pix2pix", "video to video", "relight", "weather"),
        )

    @classmethod
    def execute(
        cls, frames, instruction, video_scale, text_scale, model, seed, steps,
        settings="", detail=EnhanceSettings.detail, keep=None,
    ) -> io.NodeOutput:  # fmt: skip
        require_packages("kornia", "diffusers", "transformers")
        values = {"video_scale": video_scale, "cfg": text_scale, "detail": detail, **pass_values(seed, steps)}
        folder = edit_model_folder(model)
        wanted = edit_settings(instruction, read_preset(folder), values | parse_settings(settings))
        return whole_job(clip_input(frames, "frames"), folder, wanted, keep)
