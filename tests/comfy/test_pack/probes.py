"""Random inputs without a text encoder or an image, and read-outs of what a graph computed."""

import hashlib
import json

import comfy.patcher_extension
import torch
from comfy_api.latest import io, ui

CATEGORY = "video realism/tests"
BatchLog = io.Custom("VRTEST_BATCH_LOG")


def randn(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def schema(name, title, inputs, outputs, **extra):
    return io.Schema(
        node_id=f"VRTest{name}",
        display_name=f"Test: {title}",
        category=CATEGORY,
        description=f"For tests: {title}.",
        inputs=inputs,
        outputs=outputs,
        **extra,
    )


class Fresh(io.ComfyNode):
    """A node that runs anew in every prompt: what it reads changes without any input."""

    @classmethod
    def fingerprint_inputs(cls, **inputs):
        return float("nan")


class RandomConditioning(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Int.Input("dim", default=32, min=1, max=8192),
            io.Int.Input("tokens", default=8, min=1, max=4096),
            io.Int.Input("seed", default=0, min=0, max=2**31),
            io.Boolean.Input("text", default=True, tooltip="Off: conditioning without any text entry."),
        ]
        return schema("RandomConditioning", "random conditioning", inputs, [io.Conditioning.Output()])

    @classmethod
    def execute(cls, dim, tokens, seed, text=True):
        return io.NodeOutput([[randn(seed, 1, tokens, dim), {}]] if text else [])


class RandomLatent(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Int.Input("channels", default=16, min=1, max=128),
            io.Int.Input("frames", default=3, min=0, max=1024, tooltip="0: a 4-D image latent; else 5-D, a video."),
            io.Int.Input("height", default=8, min=1, max=1024),
            io.Int.Input("width", default=8, min=1, max=1024),
            io.Int.Input("batch", default=1, min=1, max=1024),
            io.Int.Input("seed", default=0, min=0, max=2**31),
            io.Float.Input("scale", default=1.0, min=0.0, max=1000.0, step=0.01, tooltip="0: an empty latent."),
        ]
        return schema("RandomLatent", "random latent", inputs, [io.Latent.Output()])

    @classmethod
    def execute(cls, channels, frames, height, width, batch, seed, scale):
        shape = (batch, channels, *([frames] if frames else []), height, width)
        return io.NodeOutput({"samples": randn(seed, *shape) * scale})


class RandomImages(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Int.Input("frames", default=9, min=1, max=1024),
            io.Int.Input("height", default=64, min=1, max=4096),
            io.Int.Input("width", default=64, min=1, max=4096),
            io.Int.Input("seed", default=0, min=0, max=2**31),
        ]
        return schema("RandomImages", "random images", inputs, [io.Image.Output()])

    @classmethod
    def execute(cls, frames, height, width, seed):
        return io.NodeOutput(torch.rand(frames, height, width, 3, generator=torch.Generator().manual_seed(seed)))


class CompareLatents(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        inputs = [io.Latent.Input("latent"), io.Latent.Input("reference")]
        outputs = [io.String.Output()]
        return schema("CompareLatents", "relative L2 error of two latents", inputs, outputs, is_output_node=True)

    @classmethod
    def execute(cls, latent, reference):
        found, wanted = latent["samples"].double(), reference["samples"].double()
        if found.shape != wanted.shape:
            raise ValueError(f"shapes differ: {tuple(found.shape)} and {tuple(wanted.shape)}")
        text = repr(float((found - wanted).norm() / wanted.norm()))
        return io.NodeOutput(text, ui=ui.PreviewText(text))


class Statistics(io.ComfyNode):
    """JSON with shape, mean, std, finite and the SHA-256 of the values, of a LATENT or an IMAGE."""

    @classmethod
    def define_schema(cls):
        inputs = [io.MultiType.Input("value", [io.Latent, io.Image])]
        return schema("Statistics", "statistics of a tensor", inputs, [io.String.Output()], is_output_node=True)

    @classmethod
    def execute(cls, value):
        x = value["samples"] if isinstance(value, dict) else value
        x = x.detach().cpu().float().contiguous()
        found = {
            "shape": list(x.shape),
            "mean": float(x.mean()),
            "std": float(x.std()),
            "finite": bool(x.isfinite().all()),
            "sha256": hashlib.sha256(x.numpy().tobytes()).hexdigest(),
        }
        text = json.dumps(found)
        return io.NodeOutput(text, ui=ui.PreviewText(text))


class BatchSizes(Fresh):
    """Notes the batch size of every call of the network; never served from the cache, nor is what follows it."""

    @classmethod
    def define_schema(cls):
        outputs = [io.Model.Output(), BatchLog.Output()]
        return schema("BatchSizes", "batch sizes the network sees", [io.Model.Input("model")], outputs)

    @classmethod
    def execute(cls, model):
        sizes = []

        def note(executor, x, *args, **kwargs):
            sizes.append(x.shape[0])
            return executor(x, *args, **kwargs)

        model = model.clone()
        model.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.APPLY_MODEL, "vr_test_batch_sizes", note)
        return io.NodeOutput(model, sizes)


class ReadBatchSizes(io.ComfyNode):
    """JSON list of the batch sizes; `after` makes it wait for the sampler."""

    @classmethod
    def define_schema(cls):
        inputs = [BatchLog.Input("log"), io.AnyType.Input("after")]
        return schema("ReadBatchSizes", "read the batch sizes", inputs, [io.String.Output()], is_output_node=True)

    @classmethod
    def execute(cls, log, after):
        text = json.dumps(log)
        return io.NodeOutput(text, ui=ui.PreviewText(text))


class SeenFrames(Fresh):
    """Notes for every call of the network the window it is of, its length, and the mean of each frame of what the
    control maps and the VACE context hold; read with ReadBatchSizes."""

    @classmethod
    def define_schema(cls):
        outputs = [io.Model.Output(), BatchLog.Output()]
        return schema("SeenFrames", "frames the network sees", [io.Model.Input("model")], outputs)

    @classmethod
    def execute(cls, model):
        seen = []

        def note(executor, x, t, c_concat, c_crossattn, control, transformer_options, **kwargs):
            window = transformer_options.get("context_window")
            entry = {"window": window and list(window.index_list), "shape": list(x.shape)}
            first = next((v for group in (control or {}).values() for v in group if v is not None), None)
            if hasattr(first, "terms"):
                entry["hints"] = [means(hint, 2) for _, hint, _ in first.terms]
            elif first is not None:
                entry["control"] = means(first, 0)
            if "vace_context" in kwargs:
                entry["vace"] = means(kwargs["vace_context"][:1, :, 16:32], 3)
            seen.append(entry)
            return executor(x, t, c_concat, c_crossattn, control, transformer_options, **kwargs)

        model = model.clone()
        model.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.APPLY_MODEL, "vr_test_seen", note)
        return io.NodeOutput(model, seen)


class PatchedCFG(io.ComfyNode):
    """A MODEL with one kind of patch around CFG whose effect is a factor on the guided prediction's way."""

    @classmethod
    def define_schema(cls):
        kinds = ["post_cfg", "cfg", "pre_cfg", "predict_noise"]
        inputs = [io.Model.Input("model"), io.Combo.Input("kind", options=kinds), io.Float.Input("factor", default=0.9)]
        return schema("PatchedCFG", "a patch around CFG", inputs, [io.Model.Output()])

    @classmethod
    def execute(cls, model, kind, factor):
        model = model.clone()
        if kind == "post_cfg":
            model.set_model_sampler_post_cfg_function(lambda args: args["denoised"] * factor)
        elif kind == "cfg":
            plain = "uncond", "cond", "cond_scale"

            def guide(args):
                uncond, cond, scale = (args[name] for name in plain)
                return args["input"] - factor * (args["input"] - uncond - scale * (cond - uncond))

            model.set_model_sampler_cfg_function(guide)
        elif kind == "pre_cfg":
            model.set_model_sampler_pre_cfg_function(lambda args: [out * factor for out in args["conds_out"]])
        else:
            wrapper = comfy.patcher_extension.WrappersMP.PREDICT_NOISE
            model.add_wrapper_with_key(wrapper, "vr_test", lambda ask, *args, **kwargs: factor * ask(*args, **kwargs))
        return io.NodeOutput(model)


def means(values, dim):
    return values.detach().float().movedim(dim, 0).flatten(1).mean(1).tolist()


PROBES = [
    PatchedCFG,
    SeenFrames,
    RandomConditioning,
    RandomLatent,
    RandomImages,
    CompareLatents,
    Statistics,
    BatchSizes,
    ReadBatchSizes,
]
