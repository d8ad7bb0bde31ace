"""Model Control: the control input that a model has inside itself, as a CONTROL_NET."""

from comfy_api.latest import io, ui

from ...pipeline_core.errors import UserError
from ...pipeline_core.models.families import FUN, GUIDE, VACE, control_kind
from ..host.controls.context import CONTROLS
from ..host.families import model_family
from ..shared.schema import search_words

TOLD = {
    VACE: "Wan VACE: every map becomes a VACE context of its own, as strong as its weight.",
    FUN: "Wan Fun-Control: one control video; several maps are blended in it by their weights.",
    GUIDE: "LTX-Video with an IC-LoRA: the map goes beside the clip as guide frames; load the LoRA made for this kind "
    "of map before the model.",
}


class ModelControl(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismModelControl",
            display_name="Model Control",
            category="video realism/loaders",
            description="Makes the control input inside a Wan VACE, Wan Fun-Control or LTX-Video model usable like a "
            "ControlNet: with weights, masks, ranges and several maps in one ControlNet Condition Stack, and cut to "
            "the frames of every context window.",
            inputs=[io.Model.Input("model", tooltip="The model that will sample, of the kinds above.")],
            outputs=[
                io.ControlNet.Output(
                    display_name="control_net",
                    tooltip="For ControlNet Condition Stack or Apply ControlNet; connect the model's VAE there.",
                )
            ],
            **search_words("vace", "fun control", "ic-lora", "wan", "ltx", "controlnet", "control video"),
        )

    @classmethod
    def execute(cls, model) -> io.NodeOutput:
        kind = control_kind(model.model.model_config.unet_config)
        if not kind:
            raise UserError(
                f"This model ({type(model.model).__name__}) has no control input of its own: connect a Wan VACE, a Wan "
                "Fun-Control or an LTX-Video model to model, or load a ControlNet made for it."
            )
        family = model_family(model)
        weights = ", ".join(f"{name} {weight:g}" for name, weight in family.control_weights.items()) if family else ""
        text = TOLD[kind] + (f"\nWeights to begin with: {weights}" if weights else "")
        return io.NodeOutput(CONTROLS[kind](model.model.latent_format), ui=ui.PreviewText(text))
