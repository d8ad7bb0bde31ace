"""ComfyUI's own model classes, a few thousand parameters each, filled with seeded random weights."""

from unittest import mock

import comfy.cldm.cldm
import comfy.controlnet
import comfy.ldm.wan.vae
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.ops
import comfy.sd
import comfy.supported_models
import comfy.taesd.taesd
import torch
from comfy_api.latest import io

CATEGORY = "video realism/tests"
SEED = io.Int.Input("seed", default=0, min=0, max=2**31, tooltip="Seed of the weights.")
TEXT_DIM = io.Int.Input("text_dim", default=32, min=1, max=4096, tooltip="Channels of the conditioning.")


@torch.no_grad()
def fill(module, seed):
    """Every parameter counts: matrices scaled by fan-in, gains near 1, biases near 0. Native layers start empty."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in module.named_parameters():
        values = torch.randn(parameter.shape, generator=generator)
        if "modulation" in name:
            values = values * 0.3
        elif parameter.ndim > 1:
            values = values / parameter[0].numel() ** 0.5
        elif name.endswith("bias"):
            values = values * 0.02
        else:
            values = 1 + values * 0.02
        parameter.copy_(values)
    return module.eval().requires_grad_(False)


def model_patcher(config, seed):
    config.set_inference_dtype(torch.float32, None)
    model = config.get_model({}, "", device=torch.device("cpu"))
    fill(model.diffusion_model, seed)
    load, offload = comfy.model_management.get_torch_device(), comfy.model_management.unet_offload_device()
    return comfy.model_patcher.ModelPatcher(model, load_device=load, offload_device=offload)


def schema(name, title, inputs, outputs):
    return io.Schema(
        node_id=f"VRTest{name}",
        display_name=f"Test: {title}",
        category=CATEGORY,
        description=f"Random weights, for tests: {title}.",
        inputs=inputs,
        outputs=outputs,
    )


WAN = dict(image_model="wan2.1", dim=24, num_heads=2, ffn_dim=32, num_layers=2, in_dim=16, out_dim=16, freq_dim=16)


class TinyWan(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema("TinyWan", "tiny Wan 2.1 (flow)", [SEED, TEXT_DIM], [io.Model.Output()])

    @classmethod
    def execute(cls, seed, text_dim):
        config = comfy.supported_models.WAN21_T2V({**WAN, "model_type": "t2v", "text_dim": text_dim})
        return io.NodeOutput(model_patcher(config, seed))


class TinyWanVACE(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema("TinyWanVACE", "tiny Wan 2.1 VACE (flow)", [SEED, TEXT_DIM], [io.Model.Output()])

    @classmethod
    def execute(cls, seed, text_dim):
        size = {**WAN, "model_type": "vace", "text_dim": text_dim, "vace_layers": 1, "vace_in_dim": 96}
        return io.NodeOutput(model_patcher(comfy.supported_models.WAN21_Vace(size), seed))


COSMOS = dict(
    max_img_h=240,
    max_img_w=240,
    max_frames=128,
    in_channels=16,
    out_channels=16,
    patch_spatial=2,
    patch_temporal=1,
    concat_padding_mask=True,
    model_channels=24,
    num_blocks=2,
    num_heads=2,
    mlp_ratio=2.0,
    pos_emb_cls="rope3d",
    pos_emb_interpolation="crop",
    use_adaln_lora=True,
    adaln_lora_dim=8,
)


class TinyCosmos(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        kind = io.Combo.Input("kind", options=["predict2", "predict1"], default="predict2", tooltip="Flow or EDM.")
        return schema("TinyCosmos", "tiny Cosmos-Predict", [SEED, TEXT_DIM, kind], [io.Model.Output()])

    @classmethod
    def execute(cls, seed, text_dim, kind):
        size = {**COSMOS, "crossattn_emb_channels": text_dim}
        if kind == "predict1":
            size.update(image_model="cosmos", block_config="FA-CA-MLP", block_x_format="THWBD", affline_emb_norm=True)
            size.update(extra_per_block_abs_pos_emb=True, extra_per_block_abs_pos_emb_type="learnable")
            return io.NodeOutput(model_patcher(comfy.supported_models.CosmosT2V(size), seed))
        size.update(image_model="cosmos_predict2", rope_enable_fps_modulation=False)
        return io.NodeOutput(model_patcher(comfy.supported_models.CosmosT2IPredict2(size), seed))


def unet_size(text_dim):
    return dict(
        image_size=32,
        in_channels=4,
        model_channels=32,
        num_res_blocks=[1, 1],
        channel_mult=(1, 2),
        transformer_depth=[1, 1],
        transformer_depth_middle=1,
        context_dim=text_dim,
        use_spatial_transformer=True,
        use_linear_in_transformer=False,
        adm_in_channels=None,
        use_temporal_attention=False,
        legacy=False,
    )


class VPredictionUNet(comfy.supported_models.SD15):
    def model_type(self, state_dict, prefix=""):
        return comfy.model_base.ModelType.V_PREDICTION


class TinySD15(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        kind = io.Combo.Input("prediction", options=["eps", "v"], default="eps", tooltip="What the network predicts.")
        return schema("TinySD15", "tiny SD 1.5 UNet", [SEED, TEXT_DIM, kind], [io.Model.Output()])

    @classmethod
    def execute(cls, seed, text_dim, prediction):
        size = {**unet_size(text_dim), "out_channels": 4, "transformer_depth_output": [1, 1, 1, 1]}
        config = {"eps": comfy.supported_models.SD15, "v": VPredictionUNet}[prediction](size)
        return io.NodeOutput(model_patcher(config, seed))


class TinyControlNet(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema("TinyControlNet", "tiny ControlNet for SD 1.5", [SEED, TEXT_DIM], [io.ControlNet.Output()])

    @classmethod
    def execute(cls, seed, text_dim):
        size = {**unet_size(text_dim), "hint_channels": 3, "num_heads": 8, "dtype": torch.float32}
        net = comfy.cldm.cldm.ControlNet(**size, device="cpu", operations=comfy.ops.disable_weight_init)
        load = comfy.model_management.get_torch_device()
        return io.NodeOutput(comfy.controlnet.ControlNet(fill(net, seed), load_device=load))


class TinyVAE(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        kind = io.Combo.Input("kind", options=["wan", "taesd"], default="wan", tooltip="16 or 4 channels.")
        return schema("TinyVAE", "tiny VAE", [SEED, kind], [io.Vae.Output()])

    @classmethod
    def execute(cls, seed, kind):
        if kind == "taesd":
            return io.NodeOutput(comfy.sd.VAE(sd=fill(comfy.taesd.taesd.TAESD(latent_channels=4), seed).state_dict()))
        full_size = comfy.ldm.wan.vae.WanVAE

        def narrow(**size):
            return full_size(**{**size, "dim": 8})

        net = narrow(z_dim=16, temperal_downsample=[False, True, True])
        # Older cores write the width 96 into the code instead of reading it from the weights.
        with mock.patch.object(comfy.ldm.wan.vae, "WanVAE", narrow):
            return io.NodeOutput(comfy.sd.VAE(sd=fill(net, seed).state_dict()))


MODELS = [TinyWan, TinyWanVACE, TinyCosmos, TinySD15, TinyControlNet, TinyVAE]
