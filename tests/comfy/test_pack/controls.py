"""A control whose output is known in closed form, and read-outs of the controls a conditioning carries."""

import inspect
import json

import comfy.context_windows
import comfy.utils
import torch
from comfy.controlnet import ControlBase, T2IAdapter
from comfy_api.latest import io, ui

from .probes import Fresh, schema


class LinearControl(ControlBase):
    """Adds its map, averaged over the site and its channels, as one channel: 1 x 1 and 2 x 2 latent pixels a site.

    prepared: how often a map was prepared, by it and its copies.
    """

    def __init__(self, prepared: list | None = None):
        super().__init__()
        self.prepared = [] if prepared is None else prepared

    def copy(self):
        made = LinearControl(self.prepared)
        self.copy_to(made)
        return made

    def get_control(self, x_noisy, t, cond, batched_number, transformer_options):
        before = None
        if self.previous_controlnet is not None:
            before = self.previous_controlnet.get_control(x_noisy, t, cond, batched_number, transformer_options)
        if self.timestep_range is not None and not self.timestep_range[1] <= t[0] <= self.timestep_range[0]:
            return before
        if self.cond_hint is None:
            self.prepared.append(len(self.cond_hint_original))
            hint = comfy.utils.common_upscale(self.cond_hint_original, *x_noisy.shape[:1:-1], "area", "center")
            self.cond_hint = hint.mean(1, keepdim=True).repeat(batched_number if len(hint) > 1 else 1, 1, 1, 1)
        fine = self.cond_hint
        made = {"input": [fine.clone()], "middle": [torch.nn.functional.avg_pool2d(fine, 2)], "output": [None]}
        made["output"].append(fine.flatten(2).movedim(1, 2).clone())
        return self.control_merge(made, before, output_dtype=None)


class TinyLinearControl(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema("LinearControl", "control that adds its map", [], [io.ControlNet.Output()])

    @classmethod
    def execute(cls):
        return io.NodeOutput(LinearControl())


class _Sites(torch.nn.Module):
    """The map as it is seen at the sites of a tiny UNet, in the form of a T2I adapter's network."""

    unshuffle_amount = 8

    def forward(self, hint):
        return {"input": [torch.nn.functional.avg_pool2d(hint.mean(1, keepdim=True), 8)]}


class TinyT2IAdapter(io.ComfyNode):
    """ComfyUI's own control for T2I adapters, whose network only averages the map."""

    @classmethod
    def define_schema(cls):
        return schema("T2IAdapter", "T2I adapter that adds its map", [], [io.ControlNet.Output()])

    @classmethod
    def execute(cls):
        return io.NodeOutput(T2IAdapter(_Sites(), 3, 8, "nearest-exact"))


class PreparedMaps(Fresh):
    """JSON list: frames of every map that a LinearControl prepared; `after` makes it wait."""

    @classmethod
    def define_schema(cls):
        inputs = [io.ControlNet.Input("control_net"), io.AnyType.Input("after")]
        return schema("PreparedMaps", "maps a control prepared", inputs, [io.String.Output()], is_output_node=True)

    @classmethod
    def execute(cls, control_net, after):
        text = json.dumps(control_net.prepared)
        control_net.prepared.clear()
        return io.NodeOutput(text, ui=ui.PreviewText(text))


class ReadControl(Fresh):
    """JSON of what the conditioning's control gives at one sigma of an EPS model: {"input": [nested lists], ...}."""

    @classmethod
    def define_schema(cls):
        inputs = [
            io.Model.Input("model"),
            io.Conditioning.Input("conditioning"),
            io.Int.Input("frames", default=1, min=1, max=64),
            io.Int.Input("size", default=4, min=1, max=64),
            io.Int.Input("branches", default=2, min=1, max=8),
            io.Float.Input("percent", default=0.5, min=0.0, max=1.0, step=0.001),
            io.String.Input("windows", default="", tooltip="Lists of frames as JSON; empty: no context windows."),
        ]
        return schema("ReadControl", "what a control adds", inputs, [io.String.Output()], is_output_node=True)

    @classmethod
    def execute(cls, model, conditioning, frames, size, branches, percent, windows):
        control, found = conditioning[0][1].get("control"), []
        if control is not None:
            sampling = model.get_model_object("model_sampling")
            control.pre_run(model.model, sampling.percent_to_sigma)
            sigma = float(sampling.percent_to_sigma(percent)) if percent > 0 else float(sampling.sigma_max)
            for window in json.loads(windows) if windows else [None]:
                count = frames if window is None else len(window)
                x = torch.zeros(branches * count, 4, size, size)
                options = {} if window is None else {"context_window": context_window(window, frames)}
                out = control.get_control(x, torch.full((len(x),), sigma), {"c_crossattn": None}, branches, options)
                found.append(out and {k: [v if v is None else v.tolist() for v in out[k]] for k in out})
            control.cleanup()
        text = json.dumps(found)
        return io.NodeOutput(text, ui=ui.PreviewText(text))


def context_window(frames, total):
    window = comfy.context_windows.IndexListContextWindow
    known = inspect.signature(window).parameters
    return window(frames, dim=0, **({"total_frames": total} if "total_frames" in known else {}))


class ControlObjects(Fresh):
    """JSON of a conditioning's chain of controls, last applied first; `after` makes it wait."""

    @classmethod
    def define_schema(cls):
        inputs = [io.Conditioning.Input("conditioning"), io.AnyType.Input("after", optional=True)]
        return schema("ControlObjects", "chain of controls", inputs, [io.String.Output()], is_output_node=True)

    @classmethod
    def execute(cls, conditioning, after=None):
        control, found = conditioning[0][1].get("control"), []
        while control is not None:
            inner = getattr(control, "inner", control)
            hint = inner.cond_hint_original
            found.append(
                {
                    "id": id(control),
                    "inner": id(inner),
                    "kind": type(inner).__name__,
                    "stacked": inner is not control,
                    "strength": inner.strength,
                    "range": list(inner.timestep_percent_range),
                    "hint": [id(hint), float(hint.double().sum())],
                    "left_over": inner.cond_hint is not None,
                }
            )
            control = control.previous_controlnet
        text = json.dumps(found)
        return io.NodeOutput(text, ui=ui.PreviewText(text))


CONTROLS = [TinyLinearControl, TinyT2IAdapter, PreparedMaps, ReadControl, ControlObjects]
