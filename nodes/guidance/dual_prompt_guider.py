"""Dual-Prompt CFG Guider: classifier-free guidance that knows what the clip showed before."""

from comfy_api.latest import io

from ...pipeline_core.diffusion import CFG, ConflictDamping, Guidance, Rescale
from ...pipeline_core.errors import UserError
from ..host.guiders import BranchGuider, within
from ..shared.schema import search_words
from ..shared.widgets import END_PERCENT, START_PERCENT, cache_input, cfg_input


class DualPromptCFGGuider(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismDualPromptGuider",
            display_name="Dual-Prompt CFG Guider",
            category="video realism/guidance",
            description="Steers sampling towards the positive prompt and away from the negative one, and can hold "
            "back where that would erase what the inverted clip carries. For SamplerCustomAdvanced.",
            inputs=[
                io.Model.Input("model", tooltip="The model that samples."),
                io.Conditioning.Input("positive", tooltip="The photoreal prompt, with the controls applied."),
                io.Conditioning.Input("negative", tooltip="What to avoid (may be empty text), with the same controls."),
                io.Conditioning.Input(
                    "inversion",
                    optional=True,
                    tooltip="The prompt DDIM Invert used; only conflict damping reads it.",
                ),
                cfg_input(),
                io.Float.Input(
                    "conflict_damping",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    round=0.001,
                    tooltip="Holds guidance back where both prompts see the same, such as a lit lamp: 0 is plain CFG, "
                    "at 1 no scale undoes what the inversion kept. Needs inversion; costs one more branch.",
                ),
                io.Float.Input(
                    "rescale",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    round=0.001,
                    tooltip="Share of CFG rescale (0.7 is usual) against over-saturated frames; 0 is off.",
                ),
                START_PERCENT,
                END_PERCENT,
                cache_input(),
            ],
            outputs=[io.Guider.Output(display_name="guider", tooltip="For SamplerCustomAdvanced or Noise Calibrate.")],
            **search_words("cfg", "classifier-free guidance", "dual prompt", "guider"),
        )

    @classmethod
    def execute(
        cls, model, positive, negative, cfg, conflict_damping, rescale, start_percent, end_percent, inversion=None,
        cache=0.0,
    ) -> io.NodeOutput:  # fmt: skip
        branches = {"positive": positive, "negative": negative}
        if inversion is not None:
            branches["inversion"] = inversion
        guidance: Guidance = CFG(cfg)
        if conflict_damping > 0:
            if inversion is None:
                raise UserError(
                    "Conflict damping compares with the inversion prompt; connect inversion, or set conflict_damping "
                    "to 0."
                )
            guidance = ConflictDamping(guidance, conflict_damping)
        if rescale > 0:
            guidance = Rescale(guidance, rescale)
        guidance = within(model, guidance, start_percent, end_percent)
        return io.NodeOutput(BranchGuider(model, branches, guidance, cfg, cache))
