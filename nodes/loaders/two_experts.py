"""Two-Expert Model: the high and the low noise network of Wan 2.2 as one MODEL."""

from comfy_api.latest import io

from ..host.experts import joined
from ..shared.schema import search_words


class TwoExperts(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismTwoExperts",
            display_name="Two-Expert Model",
            category="video realism/loaders",
            description="Joins the high noise and the low noise model of Wan 2.2 to one model, so that inversion, "
            "calibration and sampling can walk through all noise levels in one pass. The one that is at work is the "
            "one that is loaded.",
            inputs=[
                io.Model.Input("high_noise", tooltip="The model for the first, noisy part, with its LoRAs."),
                io.Model.Input(
                    "low_noise", tooltip="The model for the rest, with its LoRAs; its noise schedule holds for both."
                ),
                io.Float.Input(
                    "boundary",
                    default=0.875,
                    min=0.0,
                    max=1.0,
                    step=0.005,
                    round=0.0001,
                    tooltip="The sigma from which on the high noise model answers, 0 to 1: 0.875 for Wan 2.2 "
                    "text-to-video and Fun-Control, 0.9 for image-to-video.",
                ),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="For DDIM Invert, the guiders and any sampler.")],
            **search_words("wan 2.2", "high noise", "low noise", "moe", "experts", "switch"),
        )

    @classmethod
    def execute(cls, high_noise, low_noise, boundary) -> io.NodeOutput:
        return io.NodeOutput(joined(high_noise, low_noise, boundary))
