"""Enhance Realism: the whole job in one node, for people who want one."""

from comfy_api.latest import io

from ...pipeline_core.enhance import EnhanceSettings
from ...pipeline_core.models.folders.preset_file import read_preset
from ..host.folder.folders import model_folder
from ..shared.clips import clip_input
from ..shared.packages import require_packages
from ..shared.schema import search_words
from ..shared.whole_job import whole_job, whole_job_outputs
from ..shared.widgets import detail_input, dial_inputs, keep_input, pass_inputs, settings_input, widget_settings


class EnhanceRealism(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismEnhanceRealism",
            display_name="Enhance Realism",
            category="video realism/sampling",
            description="Makes simulated driving video look filmed and keeps its geometry, motion and lights. The "
            "whole job in one node: structure maps, inversion, guided sampling, any length.",
            inputs=[
                io.Image.Input("frames", tooltip="The clip to enhance, of any length and size."),
                io.Image.Input(
                    "edge", optional=True, tooltip="Edge map of the clip. Not connected: made from the frames."
                ),
                io.Image.Input(
                    "depth",
                    optional=True,
                    tooltip="Depth map of the clip, near white. Not connected: estimated where the clip is of this "
                    "pack's own world, else none is used.",
                ),
                io.Image.Input(
                    "segmentation",
                    optional=True,
                    tooltip="Segmentation map in CARLA's colours. Not connected: as for depth.",
                ),
                io.String.Input(
                    "description",
                    optional=True,
                    force_input=True,
                    tooltip="What is in the clip, added to the preset's prompts, such as Demo Drive's description.",
                ),
                *dial_inputs(),
                *pass_inputs(),
                settings_input(),
                detail_input(optional=True),
                keep_input(),
            ],
            outputs=whole_job_outputs("enhanced"),
            **search_words("sim2real", "photoreal", "video to video", "relight", "style transfer", "carla"),
        )

    @classmethod
    def execute(
        cls, frames, realism, faithfulness, prompt, model, seed, steps,
        edge=None, depth=None, segmentation=None, description=None, settings="",
        detail=EnhanceSettings.detail, keep=None,
    ) -> io.NodeOutput:  # fmt: skip
        require_packages("kornia", "diffusers", "transformers")
        frames = clip_input(frames, "frames")
        inputs = {"edge": edge, "depth": depth, "segmentation": segmentation}
        maps = {name: clip_input(values, name) for name, values in inputs.items() if values is not None}
        folder = model_folder(model)
        preset = read_preset(folder)
        wanted = widget_settings(preset, realism, faithfulness, prompt, seed, steps, settings, detail=detail)
        return whole_job(frames, folder, wanted, keep, maps=maps, description=description or "")
