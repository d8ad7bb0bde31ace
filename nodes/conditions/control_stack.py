"""ControlNet Condition Stack: one more control on the prompts, all weights of the stack kept in balance."""

import json

from comfy_api.latest import io, ui
from torch import Tensor

from ...pipeline_core.doors.limits import check_range
from ...pipeline_core.errors import UserError
from ..host.controls.stack import StackedControl, apply_stack, stacked
from ..host.outputs import missing_output
from ..shared.schema import search_words


class ControlNetStack(io.ComfyNode):
    MAY_BE_NOTHING = ("map",)  # inputs: an empty map adds no control

    @classmethod
    def define_schema(cls):
        weight_help = "How much this control counts, 0 (off) to 10. Where the weights of the stack sum to more than 1, "
        return io.Schema(
            node_id="VideoRealismControlNetStack",
            display_name="ControlNet Condition Stack",
            category="video realism/conditions",
            description="Adds one control (edges, depth, segmentation, ...) to your prompts, with a weight and a mask. "
            "Chain one node for each control: the weights of the whole stack are kept in balance.",
            inputs=[
                io.Conditioning.Input("positive", tooltip="The prompt for the result, or the stack so far."),
                io.Conditioning.Input("negative", tooltip="The prompt for what to avoid, or the stack so far."),
                io.Conditioning.Input(
                    "inversion",
                    optional=True,
                    tooltip="The prompt that describes the clip as it is, for DDIM Invert and dual-prompt guidance.",
                ),
                io.ControlNet.Input("control_net", tooltip="The control network or control branch for this map."),
                io.Image.Input(
                    "map",
                    tooltip="The structure map, one frame for each frame of the clip or one for all. An empty map of "
                    "Structure Maps adds no control.",
                ),
                io.Mask.Input(
                    "weight_mask",
                    optional=True,
                    tooltip="Where and when the control counts: white (1) fully, black (0) not at all. One frame for "
                    "each frame of the map, or one for all.",
                ),
                io.Vae.Input("vae", optional=True, tooltip="Only for control networks that encode their map."),
                io.Float.Input(
                    "weight",
                    default=1.0,
                    min=0.0,
                    max=10.0,
                    step=0.01,
                    tooltip=weight_help + "each is divided by that sum.",
                ),
                io.Float.Input(
                    "start_percent",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    tooltip="Where in the sampling the control begins to act: 0 at its first step, 1 at its end.",
                ),
                io.Float.Input(
                    "end_percent",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    tooltip="Where in the sampling the control stops, 0 to 1. Lower it to free the fine details.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive"),
                io.Conditioning.Output(display_name="negative"),
                io.Conditioning.Output(display_name="inversion", tooltip="Only with the inversion input connected."),
                io.String.Output(display_name="report", tooltip="Weights of the whole stack, given and used, as JSON."),
            ],
            **search_words("controlnet", "apply controlnet", "multi control", "control weight", "depth", "edges"),
        )

    @classmethod
    def execute(
        cls,
        positive,
        negative,
        control_net,
        map,
        weight,
        start_percent,
        end_percent,
        inversion=None,
        weight_mask=None,
        vae=None,
    ) -> io.NodeOutput:
        check_range("weight", weight, (0, 10))  # a widget lets NaN through
        check_range("start_percent", start_percent, (0, 1))
        check_range("end_percent", end_percent, (0, 1))
        if start_percent > end_percent:
            raise UserError(
                f"start_percent is {start_percent:g} and end_percent {end_percent:g}: set end_percent higher."
            )
        if getattr(control_net, "latent_format", None) is not None and vae is None:
            raise UserError("This control_net encodes its map: connect the model's VAE to the vae input.")
        named = {"positive": positive, "negative": negative, "inversion": inversion}
        named = {name: conditioning for name, conditioning in named.items() if conditioning is not None}
        acts = map is not None  # Structure Maps gives an empty map where it has no model for it
        if acts:
            hint, mask = _hint(map), _mask(weight_mask, map)
            acts = weight > 0 and (mask is None or mask.any())
        if acts:

            def make():
                inner = control_net.copy().set_cond_hint(hint, weight, (start_percent, end_percent), vae=vae)
                return StackedControl(inner, weight, mask)

            named = dict(zip(named, apply_stack(list(named.values()), make)))
        chains = {}
        for name, conditioning in named.items():
            for _, options in conditioning:
                head = options.get("control")
                chains.setdefault(id(head), (stacked(head), []))[1].append(name)
        text, report = _reports(list(chains.values()))
        if map is None:
            text = f"The map is empty: this node adds no control.\n{text}"
        missing = missing_output(
            "The inversion output of ControlNet Condition Stack is used: connect its inversion input."
        )
        outputs = named["positive"], named["negative"], named.get("inversion", missing), report
        return io.NodeOutput(*outputs, ui=ui.PreviewText(text))


def _hint(frames: Tensor) -> Tensor:
    if frames.shape[-1] != 3:
        raise UserError(f"The map has {frames.shape[-1]} channels: give the map input an IMAGE of 3 (RGB).")
    return frames.movedim(-1, 1)


def _mask(weight_mask: Tensor | None, frames: Tensor) -> Tensor | None:
    """(F, H, W) or (1, H, W) in [0, 1] over the map's frames; None where the mask is missing or all white."""
    if weight_mask is None:
        return None
    mask = weight_mask[None] if weight_mask.ndim == 2 else weight_mask
    if len(mask) not in (1, len(frames)):
        raise UserError(
            f"The weight_mask has {len(mask)} frames and the map {len(frames)}: give weight_mask as many, or one."
        )
    low, high = mask.aminmax()
    if not (low >= 0 and high <= 1):  # NaN as well
        raise UserError(f"The weight_mask holds values from {low:g} to {high:g}: give weight_mask values from 0 to 1.")
    return None if bool((mask == 1).all()) else mask


def _reports(chains: list) -> tuple[str, str]:
    """(lines for the node, JSON) of [(stacked controls, names of the conditionings that carry them)]."""
    lines, stacks = [], []
    for controls, names in chains:
        names, count = list(dict.fromkeys(names)), len(controls)
        who = ", ".join(names)
        lines.append({0: f"{who}: no controls", 1: f"{who}: 1 control"}.get(count, f"{who}: {count} controls"))
        entries = []
        for number, control in enumerate(controls, start=1):
            frames, _, height, width = control.map.shape
            start, end = control.timestep_percent_range
            peak, mean = f"{control.peak:.3g}", f"{control.mean:.3g}"
            used = peak if peak == mean else f"{peak} where highest ({mean} on average)"
            lines.append(
                f"{number}. weight {control.weight:g} -> {used}, sampling {start:g} to {end:g}, "
                f"map {frames} x {height} x {width}"
            )
            weights = {"weight": control.weight, "effective": control.peak, "effective_mean": control.mean}
            entries.append({**weights, "start_percent": start, "end_percent": end, "map": [frames, height, width]})
        stacks.append({"conditionings": names, "controls": entries})
    if len(chains) > 1:
        lines.append("The prompts carry different controls, so each step takes more than one forward.")
    return "\n".join(lines), json.dumps({"stacks": stacks})
