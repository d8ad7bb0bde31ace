"""Dual-Prompt CFG Guider: classifier-free guidance that knows what the clip showed before."""

from comfy_api.latest import io

from ..pipeline_core.diffusion import CFG, ConflictDamping, Guidance, Interval, Rescale
from ..pipeline_core.errors import UserError
from .adapter import BranchGuider, percent_sigmas
from .schema import search_words

START_PERCENT = io.Float.Input(
    "start_percent",
    default=0.0,
    min=0.0,
    max=1.0,
    step=0.01,
    round=0.001,
    tooltip="Guidance begins at this share of the sampling, 0 is the start.",
)
END_PERCENT = io.Float.Input(
    "end_percent",
    default=1.0,
    min=0.0,
    max=1.0,
    step=0.01,
    round=0.001,
    tooltip="Guidance ends at this share of the sampling, 1 is the end; outside only the positive prompt acts.",
)


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
            ],
            outputs=[io.Guider.Output(display_name="guider", tooltip="For SamplerCustomAdvanced or Noise Calibrate.")],
            **search_words("cfg", "classifier-free guidance", "dual prompt", "guider"),
        )

    @classmethod
    def execute(
        cls, model, positive, negative, cfg, conflict_damping, rescale, start_percent, end_percent, inversion=None
    ) -> io.NodeOutput:
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
        return io.NodeOutput(BranchGuider(model, branches, within(model, guidance, start_percent, end_percent), cfg))


def cfg_input(default: float = 1.0) -> io.Float.Input:
    """The cfg widget of every guider."""
    return io.Float.Input(
        "cfg",
        default=default,
        min=0.0,
        max=50.0,
        step=0.1,
        round=0.01,
        tooltip="Guidance scale; 1 is off (and skips the negative prompt). High values undo what an inversion kept.",
    )


def within(model, guidance: Guidance, start_percent: float, end_percent: float) -> Guidance:
    """The guidance between two shares of the sampling; the positive prompt alone outside."""
    if (start_percent, end_percent) == (0.0, 1.0):
        return guidance
    high, low = percent_sigmas(model, start_percent, end_percent)
    return Interval(guidance, low, high)
