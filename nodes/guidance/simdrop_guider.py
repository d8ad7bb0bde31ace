"""SimDrop Guider: guidance away from what a reference says a simulator looks like."""

from comfy_api.latest import io

from ...pipeline_core.diffusion import CFG, SimDrop
from ...pipeline_core.errors import UserError
from ..host.guiders import BranchGuider, ReferenceGuider, within
from ..host.loras import lora_names, with_lora
from ..host.paths import NONE
from ..shared.schema import search_words
from ..shared.widgets import END_PERCENT, SHARE, START_PERCENT, cfg_input


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
                io.Combo.Input(
                    "reference_lora",
                    options=[NONE, *lora_names()],
                    default=NONE,
                    optional=True,
                    tooltip="A LoRA of this model, trained on synthetic video: the model with it on is the reference, "
                    "and reads the reference prompt or else the positive one. That of the embedded model comes with "
                    "this pack, others lie in models/loras.",
                ),
                io.Float.Input(
                    "rescale",
                    default=0.0,
                    **SHARE,
                    optional=True,
                    tooltip="How far a pushed step is brought back to the contrast it had without; 1 is all the way.",
                ),
                io.Float.Input(
                    "low",
                    default=0.0,
                    **SHARE,
                    optional=True,
                    tooltip="Share of spatial frequencies, from the lowest, that the push leaves alone, so that "
                    "brightness and broad colours stay. 0 leaves out nothing.",
                ),
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
        reference_lora=NONE,
        rescale=0.0,
        low=0.0,
    ) -> io.NodeOutput:
        if reference is None and reference_model is None and reference_lora == NONE:
            raise UserError(
                "SimDrop has nothing to move away from; connect reference or reference_model, or choose reference_lora."
            )
        if reference_model is not None and reference_lora != NONE:
            raise UserError("reference_model and reference_lora are both there; take one of them.")
        guidance = within(model, SimDrop(CFG(cfg), weight, cap, rescale=rescale, low=low), start_percent, end_percent)
        branches = {"positive": positive, "negative": negative}
        if reference_lora != NONE:
            reference = with_lora(model, reference or positive, reference_lora)
        if reference_model is not None:
            return io.NodeOutput(
                ReferenceGuider(model, branches, guidance, cfg, reference_model, reference or positive)
            )
        return io.NodeOutput(BranchGuider(model, {**branches, "reference": reference}, guidance, cfg))
