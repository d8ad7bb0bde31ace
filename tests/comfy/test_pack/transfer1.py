"""A tiny Cosmos-Transfer1: its base from a converted file in ComfyUI's own class, its VAE, and what a branch adds."""

import os
import tempfile
from unittest import mock

import comfy.ldm.cosmos.vae
import comfy.model_detection
import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.supported_models
import comfy.utils
import folder_paths
import numpy as np
import torch
from comfy_api.latest import io, ui

from .models import COSMOS, SEED, fill
from .probes import schema

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp8": torch.float8_e4m3fn}


class TinyTransfer1Base(io.ComfyNode):
    """models/diffusion_models/NAME.safetensors as Load Diffusion Model builds it: only the sizes are not the 7B's."""

    @classmethod
    def define_schema(cls):
        inputs = [io.String.Input("name"), io.Combo.Input("dtype", options=list(DTYPES), default="fp32")]
        return schema("TinyTransfer1Base", "tiny Cosmos-Transfer1 base", inputs, [io.Model.Output()])

    @classmethod
    def execute(cls, name, dtype):
        path = folder_paths.get_full_path_or_raise("diffusion_models", name)
        state = comfy.utils.load_torch_file(path)
        prefix = comfy.model_detection.unet_prefix_from_state_dict(state)
        detected = comfy.model_detection.detect_unet_config(state, prefix)
        state = comfy.utils.state_dict_prefix_replace(state, {prefix: ""}, filter_keys=True)
        size = {**detected, **{key: COSMOS[key] for key in ("adaln_lora_dim", "mlp_ratio", "num_heads")}}
        size["num_blocks"] = sum(key.endswith(".blocks.2.block.layer1.weight") for key in state)
        size["crossattn_emb_channels"] = state["blocks.block0.blocks.1.block.attn.to_k.0.weight"].shape[1]
        size |= {f"rope_{axis}_extrapolation_ratio": ratio for axis, ratio in (("h", 1.0), ("w", 1.0), ("t", 2.0))}
        config = comfy.supported_models.CosmosI2V(size)
        config.set_inference_dtype(DTYPES[dtype], torch.float32 if dtype == "fp8" else None)
        model = config.get_model({}, "", device=torch.device("cpu"))
        weights = {key: value.to(DTYPES[dtype]) for key, value in state.items()}
        model.diffusion_model.load_state_dict(weights, strict=True)
        load, offload = comfy.model_management.get_torch_device(), comfy.model_management.unet_offload_device()
        patcher = comfy.model_patcher.ModelPatcher(model.eval(), load_device=load, offload_device=offload)
        return io.NodeOutput(patcher)


class TinyCosmosVAE(io.ComfyNode):
    """The CV8x8x8 tokenizer with fewer channels: 16 latent ones, 8 frames and 8 x 8 pixels to a cell."""

    @classmethod
    def define_schema(cls):
        return schema("TinyCosmosVAE", "tiny Cosmos VAE", [SEED], [io.Vae.Output()])

    @classmethod
    def execute(cls, seed):
        full_size = comfy.ldm.cosmos.vae.CausalContinuousVideoTokenizer

        def narrow(**size):
            return full_size(
                **{**size, "channels": 16, "num_groups": 1, "num_res_blocks": 1, "channels_mult": [1, 1, 1]}
            )

        with mock.patch.object(comfy.ldm.cosmos.vae, "CausalContinuousVideoTokenizer", narrow):
            state = fill(build(narrow), seed).state_dict()
            # By this key of the released file ComfyUI knows it; the values are constants of the code.
            made = comfy.sd.VAE(sd={**state, "decoder.unpatcher3d.wavelets": torch.zeros(2)})
        return io.NodeOutput(made)


def build(narrow):
    size = {"z_channels": 16, "latent_channels": 16, "z_factor": 1, "resolution": 1024, "in_channels": 3}
    size |= {"out_channels": 3, "attn_resolutions": [32], "dropout": 0.0, "patch_size": 4}
    return narrow(**size, temporal_compression=8, spacial_compression=8)


class Transfer1Hints(io.ComfyNode):
    """What the branch of a Transfer1 CONTROL_NET adds after each block, as .npy: (blocks, t, h, w, B, D)."""

    @classmethod
    def define_schema(cls):
        inputs = [io.ControlNet.Input("control_net"), io.Latent.Input("x"), io.Latent.Input("hint")]
        inputs += [io.Conditioning.Input("text"), io.Float.Input("time"), io.Float.Input("fps", default=24.0)]
        return schema("Transfer1Hints", "hints of a control branch", inputs, [], is_output_node=True)

    @classmethod
    def execute(cls, control_net, x, hint, text, time, fps):
        x = x["samples"]
        context = text[0][0].expand(len(x), -1, -1)
        with torch.no_grad():
            branch = control_net.branch.model
            found = list(branch.hints(x, torch.full((len(x),), time), context, hint["samples"], fps, {}))
        handle, path = tempfile.mkstemp(".npy", dir=folder_paths.get_temp_directory())
        with os.fdopen(handle, "wb") as file:
            np.save(file, torch.stack(found).numpy())
        return io.NodeOutput(ui=ui.PreviewText(path))


TRANSFER1 = [TinyTransfer1Base, TinyCosmosVAE, Transfer1Hints]
