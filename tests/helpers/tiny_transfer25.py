"""A tiny random Cosmos-Transfer2.5, saved by diffusers in the released layout, and the pipeline around it."""

from types import SimpleNamespace

import torch

FRAMES, SIZE, CHANNELS = 9, (32, 48), 16
TEXT = {"hidden_size": 16, "num_hidden_layers": 2}
TEXT_WIDTH = TEXT["hidden_size"] * TEXT["num_hidden_layers"]
SHARED = {
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "mlp_ratio": 2.0,
    "text_embed_dim": 20,
    "adaln_lora_dim": 8,
    "max_size": (128, 240, 240),
    "patch_size": (1, 2, 2),
    "rope_scale": (1.0, 3.0, 3.0),
    "extra_pos_embed_type": None,
    "use_crossattn_projection": True,
    "crossattn_proj_in_channels": TEXT_WIDTH,
    "encoder_hidden_states_channels": 20,
    "img_context_dim_in": 10,
    "img_context_dim_out": 24,
}
SCHEDULER = {
    "use_karras_sigmas": True,
    "use_flow_sigmas": True,
    "prediction_type": "flow_prediction",
    "sigma_max": 200.0,
    "sigma_min": 0.01,
}
PADDING = "<|endoftext|>"


class Unguarded:
    """Stands where the pipeline demands NVIDIA's guardrail; for random weights only."""

    def to(self, *_, **__):
        return self

    def check_text_safety(self, _):
        return True


@torch.no_grad()
def shaken(network, generator, by=0.2):
    """Make every weight count: a fresh model's zero heads would let any error pass."""
    for parameter in network.parameters():
        parameter.add_(torch.randn(parameter.shape, generator=generator) * by)
    return network.eval().requires_grad_(False)


def tiny_parts(branches=("edge", "depth", "seg"), seed=0):
    """(pipeline components without a branch and a guardrail, branches by their released names)."""
    from diffusers import AutoencoderKLWan, CosmosControlNetModel, CosmosTransformer3DModel, UniPCMultistepScheduler
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    transformer = CosmosTransformer3DModel(
        in_channels=CHANNELS + 1,
        out_channels=CHANNELS,
        num_layers=4,
        controlnet_block_every_n=2,
        img_context_num_tokens=6,
        **SHARED,
    )
    controlnets = {
        name: CosmosControlNetModel(
            n_controlnet_blocks=2, in_channels=130, latent_channels=CHANNELS + 2, model_channels=24, **SHARED
        )
        for name in branches
    }
    vae = AutoencoderKLWan(base_dim=3, z_dim=CHANNELS, dim_mult=[1, 1, 1, 1], num_res_blocks=1)
    for network in (transformer, *controlnets.values(), vae):
        shaken(network, generator, 0.05 if network is vae else 0.2)
    # The pipeline draws from the VAE's posterior, we take its mode: here the two are the same.
    vae.quant_conv.weight.data[CHANNELS:] = 0
    vae.quant_conv.bias.data[CHANNELS:] = -40
    tokenizer = chat_tokenizer()
    layout = {"rope_scaling": {"type": "default", "rope_type": "default", "mrope_section": [1, 1, 2]}}
    sizes = {"intermediate_size": 24, "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": len(tokenizer)}
    eyes = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16}
    config = Qwen2_5_VLConfig(text_config={**TEXT, **sizes, **layout}, vision_config=eyes)
    parts = {
        "transformer": transformer,
        "vae": vae,
        "text_encoder": shaken(Qwen2_5_VLForConditionalGeneration(config), generator),
        "tokenizer": tokenizer,
        "scheduler": UniPCMultistepScheduler(**SCHEDULER),
    }
    return parts, controlnets


def chat_tokenizer(more=()):
    """A byte-level tokenizer with Qwen's special tokens, `more` beside them, and in its words Qwen2.5-VL's chat
    template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [PADDING, "<|im_start|>", "<|im_end|>", *more]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator([], trainers.BpeTrainer(special_tokens=special, initial_alphabet=alphabet))
    template = (
        "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for content in message['content'] %}"
        "{{ content['text'] }}{% endfor %}<|im_end|>\n{% endfor %}"
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PADDING, eos_token="<|im_end|>", chat_template=template
    )


def pipeline(parts, controlnet=None, **changes):
    from diffusers import Cosmos2_5_TransferPipeline

    made = Cosmos2_5_TransferPipeline(**{**parts, **changes}, controlnet=controlnet, safety_checker=Unguarded())
    made.set_progress_bar_config(disable=True)
    return made


def save(parts, controlnets, folder):
    """The released layout: the pipeline's folder, and the branches put beside its parts one by one."""
    pipeline(parts).save_pretrained(folder)
    for name, branch in controlnets.items():
        branch.save_pretrained(folder / f"controlnet_{name}")
    return folder


class Sum(torch.nn.Module):
    """Several branches as the one that the pipeline takes: their weighted residuals, block by block."""

    def __init__(self, branches, hints, weights):
        super().__init__()
        self.branches, self.hints, self.weights = torch.nn.ModuleList(branches), hints, weights
        self.config, self.device, self.dtype = branches[0].config, branches[0].device, branches[0].dtype

    def forward(self, controls_latents, **kwargs):
        found = [
            branch(controls_latents=hint, **{**kwargs, "conditioning_scale": weight})[0]
            for branch, hint, weight in zip(self.branches, self.hints, self.weights)
        ]
        return ([sum(residuals) for residuals in zip(*found)],)


def stand_in_torchvision(monkeypatch):
    """diffusers' Cosmos forward resizes its padding mask with torchvision, which is not a requirement here."""
    from diffusers.models.controlnets import controlnet_cosmos
    from diffusers.models.transformers import transformer_cosmos

    def resize(image, size, interpolation):
        return torch.nn.functional.interpolate(image, size=size, mode=interpolation)

    made = SimpleNamespace(
        functional=SimpleNamespace(resize=resize), InterpolationMode=SimpleNamespace(NEAREST="nearest")
    )
    for module in (controlnet_cosmos, transformer_cosmos):
        monkeypatch.setattr(module, "transforms", made, raising=False)
