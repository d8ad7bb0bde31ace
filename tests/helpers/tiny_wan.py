"""A tiny random Wan text-to-video folder, saved by diffusers and transformers in the released layout."""

import torch
from tiny_transfer25 import shaken

CHANNELS = 16


def save_wan(folder, tokenizer, seed=0, **network):
    """The parts of Wan-AI/Wan2.1-T2V-1.3B-Diffusers, small; `network` changes the transformer's configuration."""
    from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, WanPipeline, WanTransformer3DModel
    from transformers import UMT5Config, UMT5EncoderModel

    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    sizes = dict(num_attention_heads=2, attention_head_dim=12, num_layers=2, ffn_dim=32, freq_dim=16, text_dim=16)
    transformer = WanTransformer3DModel(**{**sizes, "in_channels": CHANNELS, "out_channels": CHANNELS, **network})
    text = dict(d_model=16, d_kv=8, num_heads=2, d_ff=16, num_layers=1, vocab_size=len(tokenizer), dropout_rate=0.0)
    vae = AutoencoderKLWan(base_dim=3, z_dim=CHANNELS, dim_mult=[1, 1, 1, 1], num_res_blocks=1)
    WanPipeline(
        transformer=shaken(transformer, generator),
        vae=shaken(vae, generator, 0.05),
        text_encoder=shaken(UMT5EncoderModel(UMT5Config(**text)), generator),
        tokenizer=tokenizer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    ).save_pretrained(folder)
    return folder
