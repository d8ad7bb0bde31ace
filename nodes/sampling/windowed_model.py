"""Windowed Model: a MODEL that answers for latents of any length, for every native sampler and node of this pack."""

from comfy_api.latest import io

from ...pipeline_core.job.table import HANDOVERS
from ..host.paths import NONE
from ..host.windows.predictions import WindowedPredictions, layout_of, windowed_model
from ..shared.long_video import MEANINGS, flow_input, plan_inputs, source_motion
from ..shared.schema import search_words


class WindowedModel(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismWindowedModel",
            display_name="Windowed Model",
            category="video realism/sampling",
            description="Makes a video model take clips of any length: at every step it looks at them window by "
            "window. For any sampler, guider, DDIM Invert or Noise Calibrate; control maps are cut along.",
            inputs=[
                io.Model.Input("model", tooltip="The video model, or an image model for a batch of frames."),
                io.Image.Input(
                    "source", optional=True, tooltip="The clip's frames; only the hand-over along motion reads them."
                ),
                *plan_inputs(),
                io.Combo.Input(
                    "handover",
                    options=[name for name in HANDOVERS if name != "none"],
                    default="fused",
                    tooltip=f"How windows agree at every step. {MEANINGS}",
                ),
                flow_input("For the hand-over along motion"),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="The same model for any length.")],
            **search_words("context window", "sliding window", "long video", "any length", "multidiffusion"),
        )

    @classmethod
    def execute(cls, model, window, overlap, temporal_ratio, handover, source=None, flow_model=NONE) -> io.NodeOutput:
        motion = source_motion(handover, source, flow_model)

        def layout(shape):
            return layout_of(shape, window, overlap, temporal_ratio)

        dimensions = getattr(model.model.latent_format, "latent_dimensions", 2)
        layout([1] * (2 + dimensions))  # a window or overlap that cannot be is said here, not in the sampler
        handler = WindowedPredictions(layout, handover, motion)
        return io.NodeOutput(windowed_model(model, handler, -(-window // temporal_ratio)))
