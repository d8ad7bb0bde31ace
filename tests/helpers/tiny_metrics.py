"""Tiny random networks that metrics ask, saved as real ones are."""

import torch

WORDS = "[PAD] <s> </s> good bad natural synthetic photo . a street at night".split()
# (name, kernel, stride, padding, pooling before it), in order; "*" marks the last of a tapped stage.
ALEX = [("1.0*", 11, 4, 2, None), ("2.3*", 5, 1, 2, (3, 2)), ("3.6*", 3, 1, 1, (3, 2)), ("4.8*", 3, 1, 1, None),
        ("5.10*", 3, 1, 1, None)]  # fmt: skip
VGG = [("1.0", 3, 1, 1, None), ("1.2*", 3, 1, 1, None), ("2.5", 3, 1, 1, (2, 2)), ("2.7*", 3, 1, 1, None),
       ("3.10", 3, 1, 1, (2, 2)), ("3.12", 3, 1, 1, None), ("3.14*", 3, 1, 1, None), ("4.17", 3, 1, 1, (2, 2)),
       ("4.19", 3, 1, 1, None), ("4.21*", 3, 1, 1, None), ("5.24", 3, 1, 1, (2, 2)), ("5.26", 3, 1, 1, None),
       ("5.28*", 3, 1, 1, None)]  # fmt: skip


def lpips_weights(layers, seed=0):
    """The lpips package's state of a network with these layers, narrow."""
    g = torch.Generator().manual_seed(seed)
    state, channels, tapped = {"scaling_layer.shift": torch.zeros(1, 3, 1, 1)}, 3, 0
    for i, (name, kernel, *_) in enumerate(layers):
        key, width = f"net.slice{name.rstrip('*')}", 4 + i % 3
        weight = torch.randn(width, channels, kernel, kernel, generator=g)
        state[f"{key}.weight"] = weight * (2 / channels) ** 0.5 / kernel
        state[f"{key}.bias"] = 0.1 * torch.randn(width, generator=g)
        channels = width
        if name.endswith("*"):
            state[f"lin{tapped}.model.1.weight"] = torch.rand(1, width, 1, 1, generator=g)
            tapped += 1
    return state


def save_clip(folder):
    """CLIP with both halves and a word-level tokenizer."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from tokenizers.processors import TemplateProcessing
    from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    half = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    ids = {"vocab_size": 40, "max_position_embeddings": 12, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    config = CLIPConfig(
        text_config={**half, **ids}, vision_config={**half, "image_size": 28, "patch_size": 14}, projection_dim=8
    )
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[PAD]"))
    words.normalizer, words.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    words.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    CLIPModel(config).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", bos_token="<s>", eos_token="</s>"
    ).save_pretrained(folder)
    return folder


def save_video_encoder(folder):
    """VideoMAE that watches four frames of 16 pixels."""
    from transformers import VideoMAEConfig, VideoMAEModel

    torch.manual_seed(0)
    config = VideoMAEConfig(
        image_size=16, patch_size=8, num_frames=4, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, decoder_hidden_size=8, decoder_num_hidden_layers=1, decoder_num_attention_heads=2,
        decoder_intermediate_size=8,
    )  # fmt: skip
    VideoMAEModel(config).save_pretrained(folder)
    return folder


def save_judge(folder):
    """LLaVA with a chat template that shows two pictures."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    torch.manual_seed(0)
    words = "[PAD] <image> A B picture USER".split()
    half = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**half, image_size=28, patch_size=14),
        text_config=LlamaConfig(**half, vocab_size=len(words)), image_token_index=1, vision_feature_layer=-1,
    )  # fmt: skip
    known = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[PAD]"))
    known.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=known, pad_token="[PAD]", additional_special_tokens=["<image>"]
    )
    pictures = CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    template = (
        "{% for part in messages[0].content %}{% if part.type == 'image' %} <image> {% else %}{{ part.text }}"
        "{% endif %}{% endfor %} USER"
    )
    processor = LlavaProcessor(
        pictures, tokenizer, patch_size=14, vision_feature_select_strategy="default", chat_template=template,
        num_additional_image_tokens=1,
    )  # fmt: skip
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
