"""A tiny random Cosmos 3, saved by diffusers in the released layout, and the transfer pipeline around it."""

import torch
from tiny_transfer25 import chat_tokenizer, shaken

FRAMES, SIZE, CHANNELS, RATIO = 9, (64, 96), 8, 16
TRANSFORMER = {
    "head_dim": 8,
    "hidden_size": 32,
    "intermediate_size": 48,
    "latent_channel": CHANNELS,
    "patch_latent_dim": 4 * CHANNELS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 3,
    "rope_axes_dim": [2, 1, 1],
}
VAE = {
    "base_dim": 4,
    "decoder_base_dim": 6,
    "z_dim": CHANNELS,
    "dim_mult": [1, 1, 1, 1],
    "num_res_blocks": 1,
    "is_residual": True,
    "in_channels": 12,
    "out_channels": 12,
    "patch_size": 2,
    "scale_factor_spatial": RATIO,
    "latents_mean": [0.1, -0.2, 0.3, 0.0, 0.0, 0.1, -0.1, 0.2],
    "latents_std": [0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2],
}
SCHEDULER = {
    "use_karras_sigmas": True,
    "use_flow_sigmas": True,
    "prediction_type": "flow_prediction",
    "sigma_max": 200.0,
    "sigma_min": 0.147,
}
# In its words, what Qwen3-VL's chat template makes of a text.
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tiny_parts(seed=0):
    """The pipeline's components but its guardrail."""
    from diffusers import AutoencoderKLWan, Cosmos3OmniTransformer, UniPCMultistepScheduler

    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    tokenizer = chat_tokenizer(["<|vision_start|>"])
    tokenizer.chat_template = TEMPLATE
    transformer = Cosmos3OmniTransformer(vocab_size=len(tokenizer), **TRANSFORMER)
    vae = AutoencoderKLWan(**VAE)
    return {
        "transformer": shaken(transformer, generator),
        "vae": shaken(vae, generator, 0.05),
        "text_tokenizer": tokenizer,
        "scheduler": UniPCMultistepScheduler(**SCHEDULER),
    }


def transfer_pipeline(parts, **changes):
    """diffusers' modular pipeline, which has the transfer; without the guardrail, for random weights only."""
    from diffusers.modular_pipelines.cosmos import Cosmos3OmniBlocks

    pipe = Cosmos3OmniBlocks().init_pipeline()
    pipe.update_components(**{**parts, **changes})
    pipe.disable_safety_checker()
    return pipe


def save(parts, folder):
    """The released layout: the folder of the task pipeline."""
    from diffusers import Cosmos3OmniPipeline

    Cosmos3OmniPipeline(**parts, enable_safety_checker=False).save_pretrained(folder)
    return folder
