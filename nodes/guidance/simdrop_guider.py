"""SimDrop Guider: guidance away from what a reference says a simulator looks like."""

from comfy_api.latest import io

from ...pipeline_core.diffusion import CFG, SimDrop
from ...pipeline_core.errors import UserError
from ..host.guiders import BranchGuider, ReferenceGuider, within
from ..shared.schema import search_words
from ..shared.widgets import END_PERCENT, START_PERCENT, cfg_input


class SimDropGuider(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismSimDropGuider",
            display_name="SimDrop Guider",
            category="video realism/guidance",
            description="CFG plus a bounded push away from a reference that looks synthetic: a prompt, a model "
            "trained on synthetic video, or a LoRA hooked to the reference prompt.",
            inputs=[
                io.Model.Input("model", tooltip="The model that samples."),
                io.Conditioning.Input("positive", tooltip="The photoreal prompt, with the controls applied."),
                io.Conditioning.Input("negative", tooltip="What to avoid (may be empty text), with the same controls."),
                io.Conditioning.Input(
                    "reference",
                    optional=True,
                    tooltip="A prompt that names the synthetic look (a LoRA: hook it to this conditioning). With a "
                    "reference model it may be left out: that model then reads the positive prompt.",
                ),
                io.Model.Input(
                    "reference_model", optional=True, tooltip="A model of the same latents, trained on synthetic video."
                ),
                cfg_input(),
                io.Float.Input(
                    "weight",
                    default=0.5,
                    min=0.0,
                    max=10.0,
                    step=0.05,
                    round=0.001,
                    tooltip="Strength of the push away from the reference; 0 is off and costs nothing.",
                ),
                io.Float.Input(
                    "cap",
                    default=0.1,
                    min=0.001,
                    max=1.0,
                    step=0.01,
                    round=0.001,
                    tooltip="The push may be at most this share of the prediction (RMS), or frames turn dark.",
                ),
                START_PERCENT,
                END_PERCENT,
            ],
            outputs=[io.Guider.Output(display_name="guider", tooltip="For SamplerCustomAdvanced or Noise Calibrate.")],
            **search_words("simdrop", "autoguidance", "synthetic look", "guider"),
        )

    @classmethod
    def execute(
        cls,
        model,
        positive,
        negative,
        cfg,
        weight,
        cap,
        start_percent,
        end_percent,
        reference=None,
        reference_model=None,
    ) -> io.NodeOutput:
        if reference is None and reference_model is None:
            raise UserError("SimDrop has nothing to move away from; connect reference or reference_model.")
        guidance = within(model, SimDrop(CFG(cfg), weight, cap), start_percent, end_percent)
        branches = {"positive": positive, "negative": negative}
        if reference_model is not None:
            return io.NodeOutput(
                ReferenceGuider(model, branches, guidance, cfg, reference_model, reference or positive)
            )
        return io.NodeOutput(BranchGuider(model, {**branches, "reference": reference}, guidance, cfg))
