"""Tiny models with control inputs of their own, a VAE whose latents can be read, and what a network saw."""

import json
import os
from unittest import mock

import comfy.patcher_extension
import comfy.sd
import comfy.supported_models
import folder_paths
import torch
from comfy_api.latest import io, ui
from safetensors.torch import save_file

from .models import SEED, TEXT_DIM, WAN, model_patcher
from .probes import Fresh, schema

FUN = {"2.1": ("i2v", 48), "2.2": ("t2v", 52)}
LTXV = dict(
    image_model="ltxv",
    in_channels=128,
    cross_attention_dim=24,
    attention_head_dim=12,
    num_attention_heads=2,
    num_layers=2,
    causal_temporal_positioning=True,
)


class TinyWanFun(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        kind = io.Combo.Input("version", options=list(FUN), default="2.1", tooltip="Of Wan.")
        return schema("TinyWanFun", "tiny Wan Fun-Control", [SEED, TEXT_DIM, kind], [io.Model.Output()])

    @classmethod
    def execute(cls, seed, text_dim, version):
        kind, width = FUN[version]
        size = {**WAN, "model_type": "t2v", "in_dim": width, "text_dim": text_dim}
        family = comfy.supported_models.WAN21_FunControl2V if version == "2.1" else comfy.supported_models.WAN21_T2V
        config = family(size)
        made = model_patcher(config, seed)
        config.unet_config["model_type"] = kind  # the image encoder that makes 2.1 an "i2v" is left out
        return io.NodeOutput(made)


class TinyLTXV(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema("TinyLTXV", "tiny LTX-Video (flow)", [SEED, TEXT_DIM], [io.Model.Output()])

    @classmethod
    def execute(cls, seed, text_dim):
        config = comfy.supported_models.LTXV({**LTXV, "caption_channels": text_dim})
        return io.NodeOutput(model_patcher(config, seed))


# The smallest sizes that ComfyUI's detection can read back from a file: heads of 128, text of 4096 channels.
FILE_WAN = dict(WAN, dim=128, num_heads=1, ffn_dim=64, freq_dim=256, text_dim=4096)
FILES = {
    "vace": ("WAN21_Vace", dict(FILE_WAN, model_type="vace", vace_layers=1, vace_in_dim=96)),
    "fun-2.1": ("WAN21_FunControl2V", dict(FILE_WAN, model_type="i2v", in_dim=48)),
    "fun-2.2": ("WAN21_T2V", dict(FILE_WAN, model_type="t2v", in_dim=52)),
    "ltxv": (
        "LTXV",
        dict(LTXV, attention_head_dim=6, num_attention_heads=32, cross_attention_dim=192, caption_channels=4096),
    ),
}


class WriteModel(io.ComfyNode):
    """A file for Load Diffusion Model: every key of the class, as in the released file."""

    @classmethod
    def define_schema(cls):
        inputs = [io.Combo.Input("kind", options=list(FILES)), SEED, io.String.Input("name", default="tiny")]
        return schema("WriteModel", "a tiny model file", inputs, [io.String.Output()], is_output_node=True)

    @classmethod
    def execute(cls, kind, seed, name):
        family, size = FILES[kind]
        model = model_patcher(getattr(comfy.supported_models, family)(size), seed).model.diffusion_model
        folder = folder_paths.get_folder_paths("diffusion_models")[0]
        os.makedirs(folder, exist_ok=True)
        save_file(model.state_dict(), os.path.join(folder, f"{name}.safetensors"))
        return io.NodeOutput(name, ui=ui.PreviewText(", ".join(sorted(model.state_dict())[:3])))


class PaddedText(io.ComfyNode):
    """With the attention mask that LTX-Video's text encoder gives, the last token being padding."""

    @classmethod
    def define_schema(cls):
        inputs = [io.Conditioning.Input("conditioning")]
        return schema("PaddedText", "text with a mask", inputs, [io.Conditioning.Output()])

    @classmethod
    def execute(cls, conditioning):
        made = []
        for text, options in conditioning:
            mask = torch.ones(1, text.shape[1], dtype=torch.int64)
            mask[:, -1] = 0
            made.append([text, {**options, "attention_mask": mask}])
        return io.NodeOutput(made)


class FrameVAE:
    """A latent value is the brightness of its cell in its last frame: frame numbers as grey levels come out again."""

    def __init__(self, channels, temporal, spatial):
        self.latent_channels, self.temporal, self.spatial = channels, temporal, spatial
        self.calls = 0
        self.upscale_ratio = (lambda frames: max(0, (frames - 1) * temporal + 1), spatial, spatial)
        self.downscale_ratio = (lambda frames: (frames - 1) // temporal + 1, spatial, spatial)
        self.downscale_index_formula = (temporal, spatial, spatial)

    def spacial_compression_encode(self):
        return self.spatial

    def temporal_compression_decode(self):
        return self.temporal

    def encode(self, pixels):
        self.calls += 1
        grey = pixels[:: self.temporal].mean(-1)[None, None]
        cells = torch.nn.functional.avg_pool3d(grey, (1, self.spatial, self.spatial))
        gain = torch.linspace(1, 2, self.latent_channels).view(1, -1, 1, 1, 1)
        return cells * gain

    def decode(self, latent):
        grey = torch.sigmoid(latent.float().mean(1))[..., None]
        frames = grey.repeat_interleave(self.temporal, 1)[:, self.temporal - 1 :]
        return frames.repeat_interleave(self.spatial, 2).repeat_interleave(self.spatial, 3).expand(-1, -1, -1, -1, 3)


class TinyFrameVAE(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Int.Input("channels", default=16, min=1, max=512),
            io.Int.Input("temporal", default=4, min=1, max=16),
            io.Int.Input("spatial", default=8, min=1, max=64),
            io.Int.Input("number", default=0, min=0, max=1000, tooltip="Another number is another object."),
        ]
        return schema("FrameVAE", "VAE of readable latents", inputs, [io.Vae.Output()])

    @classmethod
    def execute(cls, channels, temporal, spatial, number=0):
        return io.NodeOutput(FrameVAE(channels, temporal, spatial))


class EncodeCalls(Fresh):
    """How often a FrameVAE has encoded; `after` makes it wait."""

    @classmethod
    def define_schema(cls):
        inputs = [io.Vae.Input("vae"), io.AnyType.Input("after")]
        return schema("EncodeCalls", "calls of a VAE", inputs, [io.String.Output()], is_output_node=True)

    @classmethod
    def execute(cls, vae, after):
        return io.NodeOutput(str(vae.calls), ui=ui.PreviewText(str(vae.calls)))


class FrameNumbers(io.ComfyNode):
    """IMAGE whose frame k is k / 100 everywhere."""

    @classmethod
    def define_schema(cls):
        inputs = [io.Int.Input("frames", default=9, min=1, max=1000), io.Int.Input("size", default=64, min=8, max=512)]
        inputs.append(io.Float.Input("offset", default=0.0, min=-10.0, max=10.0))
        return schema("FrameNumbers", "frames that say their number", inputs, [io.Image.Output()])

    @classmethod
    def execute(cls, frames, size, offset):
        levels = torch.arange(frames) / 100 + offset
        return io.NodeOutput(levels[:, None, None, None].expand(-1, size, size, 3).clone())


SeenLog = io.Custom("VIDEO_REALISM_TEST_SEEN")


class WatchNetwork(Fresh):
    """Notes what each call of the network gets beside the state; never served from the cache, nor is what follows."""

    @classmethod
    def define_schema(cls):
        outputs = [io.Model.Output(), SeenLog.Output()]
        return schema("WatchNetwork", "what the network sees", [io.Model.Input("model")], outputs)

    @classmethod
    def execute(cls, model):
        seen = []

        def note(executor, x, t, *args, **kwargs):
            network = executor.class_obj.diffusion_model
            found = {"weights": float(next(network.parameters()).double().sum()), "sigma": float(t.flatten()[0])}
            found["shape"] = list(x.shape)
            concat = kwargs.get("c_concat", args[0] if args else None)
            inner = executor.class_obj.process_latent_out
            if concat is not None:
                found["concat"] = inner(concat[:, :16])[0, :, :, 0, 0].tolist()
                found["rest"] = float(concat[:, 16:].abs().max())
            if "vace_context" in kwargs:
                context = kwargs["vace_context"]
                found["contexts"] = [inner(one[:, 16:32])[0, 0, :, 0, 0].tolist() for one in context.unbind(1)]
                found["grey"] = [inner(one[:, :16])[0, 0, :, 0, 0].tolist() for one in context.unbind(1)]
                found["masks"] = [float(one[:, 32:].mean()) for one in context.unbind(1)]
                weights = kwargs["vace_strength"]
                found["strengths"] = [w.flatten().tolist() if torch.is_tensor(w) else float(w) for w in weights]
            seen.append(found)
            return executor(x, t, *args, **kwargs)

        def inside(executor, x, t, *args, **kwargs):
            """What a control has added on the way: the frames the network computes and their own noise levels."""
            seen[-1] |= {"frames": x[0, 0, :, 0, 0].tolist(), "levels": t.flatten(1)[0].tolist() if t.ndim > 1 else []}
            places = [arg for arg in args if torch.is_tensor(arg) and arg.ndim in (3, 4) and arg.shape[1] == 3]
            seen[-1]["places"] = [place[0].flatten().tolist() for place in places]
            return executor(x, t, *args, **kwargs)

        model, kinds = model.clone(), comfy.patcher_extension.WrappersMP
        model.add_wrapper_with_key(kinds.APPLY_MODEL, "vr_test_watch", note)
        model.add_wrapper_with_key(kinds.DIFFUSION_MODEL, "vr_test_watch", inside)
        return io.NodeOutput(model, seen)


class ReadSeen(io.ComfyNode):
    """JSON list of what the network saw; `after` makes it wait for the sampler."""

    @classmethod
    def define_schema(cls):
        inputs = [SeenLog.Input("log"), io.AnyType.Input("after")]
        return schema("ReadSeen", "what the network saw", inputs, [io.String.Output()], is_output_node=True)

    @classmethod
    def execute(cls, log, after):
        text = json.dumps(log)
        return io.NodeOutput(text, ui=ui.PreviewText(text))


class ModelFacts(io.ComfyNode):
    """JSON of what ComfyUI itself knows of every model class that is in the table of families."""

    @classmethod
    def define_schema(cls):
        return schema("ModelFacts", "facts of ComfyUI's model classes", [], [io.String.Output()], is_output_node=True)

    @classmethod
    def execute(cls):
        known, found = comfy.supported_models, {}
        names = ("CosmosT2V", "WAN21_T2V", "WAN21_Vace", "WAN21_FunControl2V", "WAN22_T2V", "LTXV", "SD15")
        for name in names:
            config = getattr(known, name)
            form = config.latent_format()
            fixed = {key: value for key, value in config.unet_config.items() if isinstance(value, (int, str))}
            found[name] = {
                "unet_config": fixed,
                "sampling": dict(config.sampling_settings),
                "channels": form.latent_channels,
                "dimensions": form.latent_dimensions,
            }
        text = json.dumps(found)
        return io.NodeOutput(text, ui=ui.PreviewText(text))


class _NoNetwork(torch.nn.Module):
    """In the place of an autoencoder of full size: what is asked here is what ComfyUI says around it."""

    def __init__(self, **_):
        super().__init__()
        self.parameter = torch.nn.Parameter(torch.zeros(1))


# By family: what ComfyUI's detection looks at in the file, and the class it would build.
VAES = {
    "wan": (
        {
            "decoder.middle.0.residual.0.gamma": (1,),
            "decoder.head.0.gamma": (96,),
            "encoder.conv1.weight": (96, 3, 1, 1, 1),
            "decoder.head.2.weight": (3, 96, 1, 1, 1),
        },
        "comfy.ldm.wan.vae.WanVAE",
    ),
    "wan_5b": (
        {"decoder.middle.0.residual.0.gamma": (1,), "decoder.upsamples.0.upsamples.0.residual.2.weight": (1,)},
        "comfy.ldm.wan.vae2_2.WanVAE",
    ),
    "ltxv": (
        {"decoder.up_blocks.0.res_blocks.0.conv1.conv.weight": (1024, 1)},
        "comfy.ldm.lightricks.vae.causal_video_autoencoder.VideoVAE",
    ),
    "cosmos_transfer1": (
        {"decoder.unpatcher3d.wavelets": (2,)},
        "comfy.ldm.cosmos.vae.CausalContinuousVideoTokenizer",
    ),
    "sd15": ({"taesd_decoder.1.weight": (64, 4, 3, 3)}, "comfy.taesd.taesd.TAESD"),
}


class VAEFacts(io.ComfyNode):
    """JSON of the ratios ComfyUI's own VAE object has for a file of a family."""

    @classmethod
    def define_schema(cls):
        inputs = [io.Combo.Input("family", options=list(VAES))]
        return schema("VAEFacts", "facts of ComfyUI's VAEs", inputs, [io.String.Output()], is_output_node=True)

    @classmethod
    def execute(cls, family):
        shapes, network = VAES[family]
        with mock.patch(network, _NoNetwork):
            vae = comfy.sd.VAE(sd={key: torch.zeros(shape) for key, shape in shapes.items()})
        found = {
            "temporal": vae.temporal_compression_decode(),
            "spatial": vae.spacial_compression_encode(),
            "channels": vae.latent_channels,
            "pixel_frames": [vae.upscale_ratio[0](n) for n in (1, 2, 5)] if family != "sd15" else [],
        }
        text = json.dumps(found)
        return io.NodeOutput(text, ui=ui.PreviewText(text))


FAMILIES = [
    TinyWanFun,
    TinyLTXV,
    WriteModel,
    PaddedText,
    TinyFrameVAE,
    EncodeCalls,
    FrameNumbers,
    WatchNetwork,
    ReadSeen,
    ModelFacts,
    VAEFacts,
]
