"""Model Preset: what a model was trained and released with, as values for the other nodes."""

import json
from dataclasses import asdict, replace

from comfy_api.latest import io, ui
from torch import Tensor

from ...pipeline_core.diffusion import FLOW, VE, flow_from_ve, flow_sigmas, karras_sigmas, truncate
from ...pipeline_core.errors import UserError
from ...pipeline_core.models.families import Family
from ..host.families import card_plan, model_family
from ..shared.schema import search_words

LOWEST = 0.02  # flow levels end here: the clean latent stands at the last level, which must not be 0


class ModelPreset(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismModelPreset",
            display_name="Model Preset",
            category="video realism/loaders",
            description="Recognises a model and gives the values it was released with: noise levels, guidance, window "
            "length, control weights. Connect them instead of looking them up.",
            inputs=[
                io.Model.Input("model", tooltip="Cosmos, Wan, LTX-Video, Stable Diffusion 1.5 or a model folder."),
                io.Int.Input("steps", default=0, min=0, max=1000, tooltip="Noise levels to walk. 0: the preset's."),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.05,
                    max=1.0,
                    step=0.01,
                    round=0.001,
                    tooltip="Share of noise in the start: 1 walks all levels; lower stays nearer to the clip.",
                ),
                io.Float.Input(
                    "shift",
                    default=0.0,
                    min=0.0,
                    max=100.0,
                    step=0.1,
                    round=0.001,
                    tooltip="Of the noise levels of Wan, LTX-Video and other flow models: higher spends more steps "
                    "where the layout is made. 0: the preset's.",
                ),
            ],
            outputs=[
                io.Sigmas.Output(display_name="sigmas", tooltip="Noise levels for both passes, without a last 0."),
                io.Float.Output(display_name="cfg", tooltip="Guidance of the release, on ComfyUI's scale."),
                io.Int.Output(display_name="window", tooltip="Most frames of one pass, for Chunk Plan."),
                io.Int.Output(display_name="overlap", tooltip="Frames neighbouring chunks share, for Chunk Plan."),
                io.Int.Output(display_name="temporal_ratio", tooltip="Frames per latent frame, for Chunk Plan."),
                io.String.Output(display_name="report", tooltip="All values as JSON, control weights too."),
            ],
            **search_words("settings", "defaults", "sigmas", "shift", "scheduler", "window", "wan", "cosmos", "ltx"),
        )

    @classmethod
    def execute(cls, model, steps, strength, shift) -> io.NodeOutput:
        family = model_family(model)
        if family is None:
            raise UserError(
                f"This model ({type(model.model).__name__}) is not in the table: take a scheduler's sigmas and set "
                "window, cfg and temporal ratio by hand."
            )
        family = replace(family, steps=steps or family.steps, shift=shift or family.shift)
        grid = noise_levels(family, strength)
        settings = {**asdict(family), "cfg": family.cfg, "multiple": family.multiple}
        outputs = grid.float(), family.cfg, family.window, family.overlap, family.temporal_ratio, json.dumps(settings)
        text = "\n".join([family_text(family, grid), *card_plan(model, family)])
        return io.NodeOutput(*outputs, ui=ui.PreviewText(text))


def noise_levels(family: Family, strength: float) -> Tensor:
    """The family's grid, float64, descending, without a 0; cut to `strength`."""
    if family.interpolant == "ve":
        return truncate(karras_sigmas(family.steps, family.sigma_min, family.sigma_max, family.rho), strength, VE)
    if family.rho:
        ends = (FLOW.ve_sigma(sigma) for sigma in (family.sigma_min, family.sigma_max))
        return truncate(flow_from_ve(karras_sigmas(family.steps, *ends, family.rho)), strength, FLOW)
    return truncate(flow_sigmas(family.steps, family.shift, LOWEST, family.sigma_max, power=2), strength, FLOW)


def family_text(family: Family, grid: Tensor) -> str:
    """The row of the table in a few lines."""
    height, width = family.size
    lines = [
        f"{family.title}: {family.windows()}, at {family.fps:g} frames a second"
        if family.fps
        else f"{family.title}: {family.windows()}",
        f"about {width}x{height} pixels, multiples of {family.multiple}",
        f"{len(grid) - 1} steps from sigma {float(grid[0]):.4g} to {float(grid[-1]):.4g}"
        + (f", shift {family.shift:g}" if family.shift else ""),
        f"cfg {family.cfg:g} as released"
        + (f" (published as {family.published_cfg:g})" if family.cfg_offset else "")
        + "; on inverted noise begin at 1 to 3",
    ]
    if family.control:
        weights = ", ".join(f"{name} {weight:g}" for name, weight in family.control_weights.items())
        lines.append(f"control by {family.control}: {weights}; maps made for {family.maps}")
    if family.boundary:
        lines.append(f"two experts, changing over at sigma {family.boundary:g}: see Two-Expert Model")
    return "\n".join(lines)
