"""Tiny random networks that find, follow and describe things, saved as real ones are: config, weights, tokenizer."""

import json

import torch

WORDS = "car traffic light sign person bus truck bicycle".split()


def shaken(network):
    """Every weight moved: a network as it is born hardly looks at its picture."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return network


def save_detector(folder):
    """Grounding DINO with a word-level tokenizer."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import (
        BertConfig,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        PreTrainedTokenizerFast,
        SwinConfig,
    )

    torch.manual_seed(1)
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[CLS]", "[SEP]", "[UNK]", ".", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, "[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 1), ("[SEP]", 2)])
    special = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]"}
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_input_names=inputs, **special).save_pretrained(folder)
    config = GroundingDinoConfig(
        backbone_config=SwinConfig(
            embed_dim=8, depths=[1, 1, 1], num_heads=[1, 1, 1], window_size=4, out_indices=[2, 3], image_size=64
        ),
        text_config=BertConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, vocab_size=len(vocabulary)
        ),
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        num_queries=10,
        num_feature_levels=2,
    )
    GroundingDinoForObjectDetection(config).save_pretrained(folder)
    size = {"shortest_edge": 48, "longest_edge": 80}
    told = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25], "size": size}
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    return folder


def save_tracker(folder):
    """SAM 2 for video on squares of 64 pixels."""
    from transformers import Sam2VideoConfig, Sam2VideoModel

    torch.manual_seed(1)
    wide = 128  # twice the width of its memory, which is fixed at 64
    config = Sam2VideoConfig(
        vision_config={
            "backbone_config": {
                "model_type": "sam2_hiera_det_model",
                "hidden_size": 8,
                "num_attention_heads": 1,
                "image_size": [64, 64],
                "blocks_per_stage": [1, 1, 1, 1],
                "embed_dim_per_stage": [8, 16, 32, 64],
                "num_attention_heads_per_stage": [1, 1, 1, 1],
                "global_attention_blocks": [],
                "window_positional_embedding_background_size": [2, 2],
                "window_size_per_stage": [8, 4, 4, 4],
            },
            "backbone_channel_list": [64, 32, 16, 8],
            "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
            "fpn_hidden_size": wide,
        },
        prompt_encoder_config={"hidden_size": wide, "image_size": 64, "patch_size": 16},
        mask_decoder_config={
            "hidden_size": wide,
            "mlp_dim": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 16,
        },
        image_size=64,
        memory_attention_hidden_size=wide,
        memory_attention_feed_forward_hidden_size=32,
        memory_attention_num_layers=1,
        memory_attention_rope_feat_sizes=[4, 4],
        memory_encoder_hidden_size=wide,
        memory_encoder_output_channels=64,
        memory_fuser_embed_dim=wide,
        memory_fuser_intermediate_dim=32,
        memory_fuser_num_layers=1,
        mask_downsampler_embed_dim=wide,
    )
    Sam2VideoModel(config).save_pretrained(folder)
    return folder


CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for c in m.content %}{% if c.type == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c.text }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
               "<|video_pad|>"]  # fmt: skip


# Family -> classes of configuration, network, processor and image processor, and what the family has besides.
ROPE = {"rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}}
VISION = {"depth": 2, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2, "out_hidden_size": 32}
CAPTIONERS = {
    "qwen2_vl": (
        "Qwen2VL", "Qwen2VLImageProcessor", ROPE,
        {"depth": 1, "embed_dim": 16, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2}, {},
    ),
    "qwen2_5_vl": (
        "Qwen2_5_VL", "Qwen2VLImageProcessor", ROPE, {**VISION, "fullatt_block_indexes": [1], "window_size": 56}, {},
    ),
    "qwen3_vl": (
        "Qwen3VL", "Qwen2VLImageProcessorFast", {**ROPE, "head_dim": 8},
        {**VISION, "patch_size": 14, "deepstack_visual_indexes": [0], "num_position_embeddings": 256}, {},
    ),
    "video_llama_3": (
        "VideoLlama3", "VideoLlama3ImageProcessor", {},
        {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
         "patch_size": 14},
        {"merge_size": 1, "temporal_patch_size": 1},
    ),
}  # fmt: skip


def save_captioner(folder, family="qwen2_vl"):
    """A vision-language model of the family with a byte-level tokenizer and its chat template."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    torch.manual_seed(1)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=QWEN_TOKENS, initial_alphabet=alphabet)
    tokenizer.train_from_iterator([" ".join(WORDS)] * 4, trainer)
    special = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
    fast.chat_template = CHAT
    fast.save_pretrained(folder)
    number = {token: fast.convert_tokens_to_ids(token) for token in QWEN_TOKENS}
    name, images, words, vision, preparation = CAPTIONERS[family]
    text = {
        "vocab_size": len(fast),
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "eos_token_id": number["<|im_end|>"],
        "pad_token_id": number["<|endoftext|>"],
        "bos_token_id": None,
        **words,
    }
    marks = {"image_token_id": number["<|image_pad|>"], "video_token_id": number["<|video_pad|>"]}
    if words:  # the Qwen families know where a picture starts and ends
        marks |= {"vision_start_token_id": number["<|vision_start|>"], "vision_end_token_id": number["<|vision_end|>"]}
    config = getattr(transformers, f"{name}Config")(text_config=text, vision_config=vision, **marks)
    shaken(getattr(transformers, f"{name}ForConditionalGeneration")(config)).save_pretrained(folder)
    told = {
        "image_processor_type": images,
        "processor_class": f"{name}Processor",
        "patch_size": 14,
        "merge_size": 2,
        "temporal_patch_size": 2,
        "min_pixels": 28 * 28,
        "max_pixels": 28 * 28 * 16,
        "image_mean": [0.48, 0.46, 0.41],
        "image_std": [0.27, 0.26, 0.28],
        **preparation,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    return folder


def save_mask2former(folder, labels):
    """Mask2Former for the given labels on a tiny Swin backbone."""
    from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

    torch.manual_seed(1)
    config = Mask2FormerConfig(
        backbone_config=SwinConfig(
            embed_dim=8,
            depths=[1, 1, 1, 1],
            num_heads=[1, 1, 1, 1],
            window_size=4,
            out_features=["stage1", "stage2", "stage3", "stage4"],
            image_size=64,
        ),
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=16,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        dim_feedforward=16,
        num_queries=7,
        id2label=dict(enumerate(labels)),
    )
    shaken(Mask2FormerForUniversalSegmentation(config)).save_pretrained(folder)
    told = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3, "size": {"height": 64, "width": 64}}
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    return folder


def save_rt_detr(folder, labels):
    """RT-DETR for the given labels on a tiny residual network, whose pictures are 64 x 96 as they are."""
    from transformers import RTDetrConfig, RTDetrForObjectDetection, RTDetrResNetConfig

    torch.manual_seed(1)
    backbone = RTDetrResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    config = RTDetrConfig(
        backbone_config=backbone,
        encoder_in_channels=[8, 16, 16],
        encoder_hidden_dim=16,
        d_model=16,
        encoder_ffn_dim=16,
        encoder_attention_heads=2,
        decoder_in_channels=[16, 16, 16],
        decoder_attention_heads=2,
        decoder_ffn_dim=16,
        decoder_layers=1,
        hidden_expansion=0.5,
        num_queries=6,
        num_denoising=0,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
        anchor_image_size=None,
        eval_size=None,
    )
    shaken(RTDetrForObjectDetection(config)).save_pretrained(folder)
    told = {"do_normalize": False, "size": {"height": 64, "width": 96}}
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    return folder
