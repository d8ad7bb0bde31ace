"""Prompts to text embeddings: a transformers encoder, padding positions set to zero as Cosmos reads them."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def tokenise(tokenizer, prompts: Sequence[str], length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and mask, each (B, length) int64; longer prompts are cut, shorter ones padded."""
    tokens = tokenizer(list(prompts), padding="max_length", truncation=True, max_length=length, return_tensors="pt")
    return tokens["input_ids"], tokens["attention_mask"]


def embed_tokens(text_encoder: torch.nn.Module, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Embeddings (B, length, D), zero where the mask is zero: the DiT attends without a mask, as Cosmos does."""
    hidden = text_encoder(input_ids=ids, attention_mask=mask).last_hidden_state
    return hidden * mask[..., None].to(hidden.dtype)
