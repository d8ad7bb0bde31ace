"""Attention replacement of Prompt-to-Prompt (Hertz et al., 2208.01626) as diffusers attention processors.

Batches hold pairs: rows 0, 2, ... are sources and rows 1, 3, ... their edits. A source's map M_s on the edit's values
V_e is attention with the source's queries and keys, and M_s A V_e is the same with A V_e for values. So no map is ever
held: fused attention does it all, at any length, and self-attention costs what it did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..diffusion import Predict
from ..errors import UserError
from .alignment import TokenMap


@dataclass(frozen=True)
class Shares:
    """Of the steps, from the first: in which the maps over words (cross) and over places (within) are replaced."""

    cross: float = 0.8
    within: float = 0.4

    def __post_init__(self) -> None:
        for name, value in (("cross", self.cross), ("within", self.within)):
            if not 0 <= value <= 1:
                raise UserError(f"The {name} share is {value} but must be from 0 to 1: change it.")


class Replacement:
    """What the processors of one pass share. cross, within: whether maps over words and over places are replaced now.

    A network whose processors hold it serves one pass at a time.
    """

    def __init__(self, tokens: TokenMap) -> None:
        self.tokens = tokens
        self.cross = self.within = False
        self._keeps = bool(tokens.own.any())

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, cross: bool) -> Tensor:
        """Attention of (B, heads, N, d) queries, (B, heads, L, d) keys and values, replaced where it is on."""
        if not (self.cross if cross else self.within):
            return F.scaled_dot_product_attention(q, k, v, mask)
        if len(q) % 2:
            raise UserError(f"A batch of {len(q)} came, but sources and their edits are needed by turns: give pairs.")
        mask = mask if mask is None else mask.expand(len(q), *mask.shape[1:])
        q_s, k_s, mask_s = (None if x is None else x[0::2].repeat_interleave(2, 0) for x in (q, k, mask))
        values = self._taken(v[1::2]) if cross else v[1::2]
        mixed = F.scaled_dot_product_attention(q_s, k_s, _by_turns(v[0::2], values), mask_s)
        if not (cross and self._keeps):
            return mixed
        own = _per_pair(self.tokens.own.to(v)[:, None, :, None], len(v) // 2)
        own_mask = None if mask is None else mask[1::2]
        rest = F.scaled_dot_product_attention(q[1::2], k[1::2], own * v[1::2], own_mask)
        return _by_turns(mixed[0::2], mixed[1::2] + rest)

    def _taken(self, values: Tensor) -> Tensor:
        """A V of the edits' values (B / 2, heads, L, d)."""
        taken = self.tokens.taken.to(values)
        if taken.shape[-1] != values.shape[2]:
            raise UserError(
                f"The captions were aligned at {taken.shape[-1]} tokens but the network reads {values.shape[2]}: align "
                "them at its own length."
            )
        return _per_pair(taken[:, None], len(values)) @ values


def _by_turns(sources: Tensor, edits: Tensor) -> Tensor:
    return torch.stack([sources, edits], 1).flatten(0, 1)


def _per_pair(values: Tensor, pairs: int) -> Tensor:
    """(P, ...) for a batch of `pairs`, which several branches of P pairs make up."""
    return values if len(values) in (1, pairs) else values.repeat(pairs // len(values), *[1] * (values.ndim - 1))


def _heads(x: Tensor, attn: torch.nn.Module) -> Tensor:
    return x.unflatten(2, (attn.heads, -1)).transpose(1, 2)


def _out(x: Tensor, attn: torch.nn.Module) -> Tensor:
    return attn.to_out[1](attn.to_out[0](x.transpose(1, 2).flatten(2)))


class CosmosReplacing:
    """For the attention of CosmosTransformer3DModel and CosmosControlNetModel, with an image context or without."""

    def __init__(self, replacement: Replacement) -> None:
        self.replacement = replacement

    def __call__(
        self,
        attn: torch.nn.Module,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | tuple | None = None,
        attention_mask: Tensor | tuple | None = None,
        image_rotary_emb: tuple | None = None,
    ) -> Tensor:
        text, image = _two(encoder_hidden_states)
        text_mask, image_mask = _two(attention_mask)
        context = hidden_states if text is None else text
        q, k = attn.norm_q(_heads(attn.to_q(hidden_states), attn)), attn.norm_k(_heads(attn.to_k(context), attn))
        if image_rotary_emb is not None:
            from diffusers.models.embeddings import apply_rotary_emb

            q, k = (apply_rotary_emb(x, image_rotary_emb, use_real=True, use_real_unbind_dim=-2) for x in (q, k))
        v = _heads(attn.to_v(context), attn)
        answer = self.replacement.attend(q, k, v, text_mask, cross=text is not None)
        if image is not None:
            q = attn.q_img_norm(_heads(attn.q_img(hidden_states), attn))
            k, v = attn.k_img_norm(_heads(attn.k_img(image), attn)), _heads(attn.v_img(image), attn)
            answer = answer + F.scaled_dot_product_attention(q, k, v, image_mask)
        return _out(answer, attn)


def _two(value: Tensor | tuple | None) -> tuple:
    return value if isinstance(value, tuple) else (value, None)


class WanReplacing:
    """For the attention of WanTransformer3DModel and its VACE kin, with an image context or without."""

    TEXT = 512  # tokens of text at the end of the context, where an image's come before them

    def __init__(self, replacement: Replacement) -> None:
        self.replacement = replacement

    def __call__(
        self,
        attn: torch.nn.Module,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        text, image = encoder_hidden_states, None
        if attn.add_k_proj is not None:
            image, text = text[:, : -self.TEXT], text[:, -self.TEXT :]
        context = hidden_states if text is None else text
        q = _rotated(_heads(attn.norm_q(attn.to_q(hidden_states)), attn), rotary_emb)
        k = _rotated(_heads(attn.norm_k(attn.to_k(context)), attn), rotary_emb)
        v = _heads(attn.to_v(context), attn)
        answer = self.replacement.attend(q, k, v, attention_mask, cross=text is not None)
        if image is not None:
            k, v = attn.norm_added_k(attn.add_k_proj(image)), attn.add_v_proj(image)
            answer = answer + F.scaled_dot_product_attention(q, _heads(k, attn), _heads(v, attn))
        return _out(answer, attn)


def _rotated(x: Tensor, rotary: tuple[Tensor, Tensor] | None) -> Tensor:
    """Rotary positions on neighbouring channels; rotary: cos and sin (1, N, 1, d), each value twice in a row."""
    if rotary is None:
        return x
    cos, sin = (values.transpose(1, 2) for values in rotary)
    first, second = x.unflatten(-1, (-1, 2)).unbind(-1)
    return (x * cos + torch.stack([-second, first], -1).flatten(-2) * sin).type_as(x)


# Processor that a network comes with -> the one that replaces.
PROCESSORS: dict[str, Callable] = {
    "CosmosAttnProcessor2_0": CosmosReplacing,
    "CosmosAttnProcessor2_5": CosmosReplacing,
    "WanAttnProcessor": WanReplacing,
}


@contextmanager
def replacing(networks: Sequence[torch.nn.Module], tokens: TokenMap) -> Iterator[Replacement]:
    """While the block runs, all attention of the networks goes through the Replacement that is given; nothing is
    replaced until its `cross` or `within` is set. The networks' own processors are put back at the end.

    UserError for a network whose attention is of another kind than Cosmos' and Wan's.
    """
    modules = [m for network in networks for m in network.modules() if hasattr(m, "set_processor")]
    before = [module.processor for module in modules]
    for processor in before:
        if type(processor).__name__ not in PROCESSORS:
            raise UserError(
                f"Attention is replaced in Cosmos and Wan transformers, but this network's is computed by "
                f"{type(processor).__name__}: give one of those, with its usual processors."
            )
    replacement = Replacement(tokens)
    try:
        for module, processor in zip(modules, before):
            module.set_processor(PROCESSORS[type(processor).__name__](replacement))
        yield replacement
    finally:
        for module, processor in zip(modules, before):
            module.set_processor(processor)


def replacing_predict(
    predict: Predict, replacement: Replacement, sigmas: Tensor, shares: Shares, branch: str = "positive"
) -> Predict:
    """`predict` with attention replaced in one of its branches, in the first `shares` of the steps along sigmas.

    Guidance's other branch has one text for both sides and is left alone, as Hertz leaves it: each branch is a forward
    of its own, both sides in one batch.
    """
    grid = [sigma for sigma in sigmas.tolist() if sigma > 0]
    steps = max(1, len(grid) - 1)

    def on(share: float, sigma: float) -> bool:
        step = sum(other > sigma * (1 + 1e-5) for other in grid)
        return share == 1 or step < share * steps

    def predicted(x: Tensor, sigma: float, branches: Sequence[str]) -> list[Tensor]:
        answers = []
        for name in branches:
            replacement.cross = name == branch and on(shares.cross, sigma)
            replacement.within = name == branch and on(shares.within, sigma)
            answers += predict(x, sigma, [name])
        return answers

    return predicted
