"""Prompts to text embeddings: T5 as Cosmos 1 reads it, or Cosmos-Reason1 (a Qwen2.5-VL) as Cosmos 2.5 does.

Cosmos 3 reads token ids itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...errors import UserError

# What Cosmos 2.5 was trained with: Qwen's chat form around a fixed instruction. Written here and not taken from the
# folder's chat template, which is a program.
CHAT = (
    "<|im_start|>system\nYou are a helpful assistant who will provide prompts to an image generator.<|im_end|>\n"
    "<|im_start|>user\n{}<|im_end|>\n"
)
# What Cosmos 3's transfer was trained with, as diffusers' step has it: the chat up to where the answer begins, then the
# end of text and the start of vision.
COSMOS3_CHAT = (
    "<|im_start|>system\nYou are a helpful assistant that generates images or videos following the user's instructions "
    "and control signals (edge maps, blur, depth, or segmentation).<|im_end|>\n"
    "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n<|im_end|><|vision_start|>"
)


def is_chat(class_name: str) -> bool:
    """Whether a text encoder of this class reads prompts inside CHAT."""
    return class_name.startswith("Qwen")


def language_part(text_encoder: torch.nn.Module) -> torch.nn.Module:
    """The part of a text encoder that embeds prompts: a Qwen2.5-VL without its eyes and its vocabulary head, a sixth
    of its weights; a T5 encoder as it is."""
    model = getattr(text_encoder, "model", None)
    return getattr(model, "language_model", text_encoder)


def text_width(text_encoder: torch.nn.Module) -> int:
    """Channels of an embedding."""
    config = text_encoder.config
    if is_chat(type(text_encoder).__name__):
        return config.num_hidden_layers * config.hidden_size
    return config.d_model


def tokenise(tokenizer, prompts: Sequence[str], length: int, chat: bool = False) -> tuple[Tensor, Tensor]:
    """Token ids and mask, each (B, length) int64; longer prompts are cut, shorter ones padded. chat: see is_chat."""
    texts = [CHAT.format(prompt) for prompt in prompts] if chat else list(prompts)
    options = {"padding": "max_length", "truncation": True, "max_length": length, "return_tensors": "pt"}
    tokens = tokenizer(texts, add_special_tokens=not chat, **options)
    return tokens["input_ids"], tokens["attention_mask"]


def cosmos3_tokens(tokenizer, prompts: Sequence[str], most: int) -> list[list[int]]:
    """Token ids of each prompt inside COSMOS3_CHAT. UserError for one of more than `most`: none is cut."""
    texts = [COSMOS3_CHAT.format(prompt) for prompt in prompts]
    tokens = tokenizer(texts, add_special_tokens=False)["input_ids"]
    longest = max(map(len, tokens))
    if longest > most:
        raise UserError(f"A prompt came with {longest} tokens; this model takes {most}: make it shorter.")
    return tokens


def embed_tokens(text_encoder: torch.nn.Module, ids: Tensor, mask: Tensor) -> Tensor:
    """Embeddings (B, length, D): T5's, zero where the mask is zero (the DiT attends without a mask, as Cosmos does);
    Reason1's of all layers, each normalised, side by side, padding and all, as its DiT was trained."""
    if not is_chat(type(text_encoder).__name__):
        hidden = text_encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        return hidden * mask[..., None].to(hidden.dtype)
    layers = text_encoder(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states[1:]
    return torch.cat([_normalised(layer) for layer in layers], dim=-1)


def _normalised(hidden: Tensor) -> Tensor:
    return (hidden - hidden.mean(-1, keepdim=True)) / (hidden.std(-1, keepdim=True) + 1e-8)
