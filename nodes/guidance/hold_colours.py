"""Hold Colours: signs, lights or whatever a mask shows keep the source's colours, and are painted in the new style."""

from comfy_api.latest import io

from ...pipeline_core.job.latent import HELD_FROM
from ..host.holding import Holding
from ..host.schedules import model_interpolant
from ..shared.latents import require_content
from ..shared.schema import search_words
from ..shared.widgets import SHARE


class HoldColours(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismHoldColours",
            display_name="Hold Colours",
            category="video realism/guidance",
            description="Holds what a mask shows, such as traffic signs, to the source while the noise is coarse "
            "enough to change what it is. For any sampler; an inversion is left as it is.",
            inputs=[
                io.Model.Input("model", tooltip="The model that samples."),
                io.Latent.Input("source", tooltip="The clip's latent, the same that goes to the sampler."),
                io.Mask.Input(
                    "mask",
                    tooltip="Where to hold: 1 inside and 0 elsewhere, a mask for each frame or one for all, such as "
                    "that of Simulator Buffers with mask_classes traffic sign.",
                ),
                io.Float.Input(
                    "weight",
                    default=1.0,
                    **SHARE,
                    tooltip="How strongly to hold; 0 is off. At 1 nothing in the mask strays farther from the source "
                    "than other places do.",
                ),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="The same model, for the sampler or a guider.")],
            **search_words("traffic signs", "keep colours", "region", "differential diffusion"),
        )

    @classmethod
    def execute(cls, model, source, mask, weight) -> io.NodeOutput:
        require_content(source, "source")
        lowest = model_interpolant(model).from_ve_sigma(HELD_FROM)
        x0 = model.model.process_latent_in(source["samples"])
        holding = Holding(x0, mask, weight, lowest)
        patched = model.clone()
        if weight:
            patched.set_model_sampler_post_cfg_function(holding)
        return io.NodeOutput(patched)
