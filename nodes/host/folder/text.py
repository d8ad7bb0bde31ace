"""A model folder's text encoder as ComfyUI's CLIP: CLIP Text Encode gives (1, tokens, D), zero beyond the prompt."""

from pathlib import Path

import comfy.hooks
import comfy.model_management
import comfy.sd
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ....pipeline_core.models.folders.loading import load_tokenizer
from ....pipeline_core.models.folders.precision import runs_bf16
from ....pipeline_core.models.folders.preset_file import read_preset
from ....pipeline_core.models.networks.text import embed_tokens, is_chat, tokenise
from .casts import load_castable


class Tokenizer:
    """Prompts to {"t5": [[(token, 1.0), ...]]}, a T5's padding left out. Brackets and weights are read as plain text.

    chat: for an encoder that reads prompts inside a chat and was trained with the padding behind them.
    """

    def __init__(self, tokenizer, length: int, chat: bool):
        self.tokenizer, self.length, self.chat = tokenizer, length, chat

    def tokenize_with_weights(self, text: str, return_word_ids: bool = False, **_):
        ids, mask = tokenise(self.tokenizer, [text], self.length, self.chat)
        tokens = ids[0] if self.chat else ids[0][mask[0].bool()]
        words = enumerate(tokens.tolist(), start=1)
        return {"t5": [[(token, 1.0, word) if return_word_ids else (token, 1.0) for word, token in words]]}

    def decode(self, token_ids, skip_special_tokens: bool = True) -> str:
        return self.tokenizer.decode(token_ids, skip_special_tokens=skip_special_tokens)

    def state_dict(self) -> dict:
        return {}


class TextEncoder(torch.nn.Module):
    """What comfy.sd.CLIP calls its cond stage model."""

    def __init__(self, text_encoder: torch.nn.Module, length: int, bf16: bool):
        super().__init__()
        self.text_encoder, self.length, self.bf16 = text_encoder, length, bf16

    @property
    def dtypes(self) -> set[torch.dtype]:
        return {next(self.parameters()).dtype}

    def set_clip_options(self, options: dict) -> None:
        """Layers and projections are CLIP's; a T5 encoder has none to choose."""

    def reset_clip_options(self) -> None:
        """See set_clip_options."""

    def encode_token_weights(self, tokens: dict) -> tuple[Tensor, None]:
        """(embeddings (1, n * length, D) float32, no pooled output) of n blocks of tokens."""
        blocks = tokens["t5"]
        ids = torch.zeros(len(blocks), self.length, dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for row, block in enumerate(blocks):
            count = min(len(block), self.length)
            ids[row, :count] = torch.tensor([token[0] for token in block[:count]])
            mask[row, :count] = 1
        device = next(self.parameters()).device
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=self.bf16):
            embeddings = embed_tokens(self.text_encoder, ids.to(device), mask.to(device))
        embeddings = embeddings.float().flatten(0, 1)[None]
        return embeddings.to(comfy.model_management.intermediate_device()), None


def load_clip(folder: Path, precision: str, weights: str) -> comfy.sd.CLIP:
    """The CLIP of a model folder, filled as CLIP.clone does: CLIP.__init__ builds ComfyUI's own encoders only.

    weights: fp32, bf16 or fp8, see load_castable.
    """
    length = read_preset(folder).max_text_tokens
    device = comfy.model_management.text_encoder_device()
    bf16 = weights == "fp32" and runs_bf16(precision, device)
    encoder = TextEncoder(load_castable(folder, "text_encoder", weights), length, bf16)
    clip = comfy.sd.CLIP(no_init=True)
    offload = comfy.model_management.text_encoder_offload_device()
    clip.patcher = ModelPatcher(encoder.to(offload), load_device=device, offload_device=offload)
    clip.patcher.hook_mode = comfy.hooks.EnumHookMode.MinVram
    clip.patcher.is_clip = True
    clip.cond_stage_model = encoder
    clip.tokenizer = Tokenizer(load_tokenizer(folder), length, is_chat(type(encoder.text_encoder).__name__))
    clip.tokenizer_options = {}
    clip.layer_idx = None
    clip.use_clip_schedule = False
    clip.apply_hooks_to_conds = None
    return clip
