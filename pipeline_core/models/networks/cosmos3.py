"""Cosmos 3 transfer: text, control maps and video as one sequence through one network (NVIDIA 2026, Cosmos 3).

The order is [text, map 1, ..., map N, video]. Maps are clean latents at noise level 0 in the video's own places; text
is read by weights of its own and sees itself alone; the network answers for the video. diffusers' class runs it, and
leaves to its pipeline's steps what is here: how the sequence is packed, and the two axes of guidance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...diffusion import Interpolant
from ...errors import UserError
from ..folders.layout import UNREAD
from .step_cache import FirstBlockCache
from .text import cosmos3_tokens
from .video_model import Predict, VideoModel

# Of the maps in the sequence, as the release orders them; its own names are edge, blur, depth and seg.
ORDER = ("edge", "vis", "depth", "segmentation")
FPS = 24.0  # frames a second that positions in time are counted in: the release's base
NEGATIVE = "negative"  # the branch that the control axis leaves alone


def cosmos3_forward(
    transformer: torch.nn.Module, maps: Sequence[Tensor], x: Tensor, time: Tensor, ids: Tensor
) -> Tensor:
    """Velocity v(x_t, t) = e - x0 of a Cosmos3OmniTransformer for one video under its prompt and control maps.

    maps: latents of control maps, each shaped like x, in their order in the sequence. x: (1, C, t, h, w), flow state.
    time: flow time in [0, 1], one value. ids: (L,) int64, tokens of the prompt. Returns v shaped like x, in the dtype
    of the network's computation.
    """
    config, device, items = transformer.config, x.device, [*maps, x]
    frames, *sides = x.shape[2:]
    grid = (frames, *(math.ceil(side / config.latent_patch_size) for side in sides))
    text, tokens = len(ids), math.prod(grid)
    total = text + len(items) * tokens
    every, none = torch.arange(frames, device=device), ids.new_empty(0)
    answers = transformer(
        input_ids=ids,
        text_indexes=torch.arange(text, device=device),
        position_ids=_positions(config, text, grid, len(items), device),
        und_len=text,
        sequence_length=total,
        vision_tokens=items,
        vision_token_shapes=[grid] * len(items),
        vision_sequence_indexes=torch.arange(text, total, device=device),
        vision_mse_loss_indexes=torch.arange(total - tokens, total, device=device),
        vision_timesteps=(time.flatten() / config.timestep_scale).expand(tokens),
        vision_noisy_frame_indexes=[none] * len(maps) + [every],
        return_dict=False,
    )
    return answers[0][-1]


def without_heads(network: torch.nn.Module) -> torch.nn.Module:
    """A Cosmos 3 without its heads for words (0.6 billion weights), sound and actions; other networks as they are."""
    for name in [*network._modules, *network._parameters]:
        if f"{name}.".startswith(UNREAD):
            setattr(network, name, None)
    return network


def _positions(config: Mapping, text: int, grid: Sequence[int], items: int, device: torch.device) -> Tensor:
    """Places (3, tokens) of a sequence in time, height and width: text on the diagonal, every item in one place."""
    words = torch.arange(text, device=device, dtype=torch.float32).expand(3, -1)
    start = text + config.unified_3d_mrope_temporal_modality_margin
    rate = config.base_fps / FPS if config.enable_fps_modulation else 1.0
    across = 0 if config.unified_3d_mrope_reset_spatial_ids else start
    times, rows, columns = (torch.arange(side, device=device, dtype=torch.float32) for side in grid)
    places = torch.meshgrid(start + times * rate, across + rows, across + columns, indexing="ij")
    item = torch.stack([axis.flatten() for axis in places])
    return torch.cat([words, *[item] * items], 1)


@dataclass(frozen=True)
class Cosmos3Model(VideoModel):
    """The parts of a Cosmos 3 folder, ready to run; made by `load_video_model`. It has no branches and no text encoder.

    What is otherwise than in a VideoModel: `encode_text` gives token ids, (B, longest) int64 with -1 after a prompt's
    end, because the transformer reads them itself. It computes in the type of its weights, never under autocast.
    Conditions go through it one by one, since prompts differ in length. A map is there whole or not at all; the sum of
    the weights counts: D = D_nc + c (D_f - D_nc) with f under prompt and maps, nc under the prompt alone and c = the
    preset's control_guidance times that sum. It holds for every branch but the negative one, which is D_f of its own
    prompt, so that CFG around it is the release's D_u + g (D - D_u).
    """

    @property
    def controls(self) -> tuple[str, ...]:
        return ORDER

    @property
    def edits(self) -> bool:
        return False

    @property
    def dtype(self) -> torch.dtype:
        return self.transformer.proj_in.weight.dtype

    @property
    def patch(self) -> tuple[int, int, int]:
        side = self.transformer.config.latent_patch_size
        return 1, side, side

    def encode_text(self, prompts: Sequence[str]) -> Tensor:
        """Token ids (B, longest) of prompts, on the model's device. UserError for one beyond the preset's limit."""
        tokens = cosmos3_tokens(self.tokenizer, prompts, self.preset.max_text_tokens)
        rows = torch.full((len(tokens), max(map(len, tokens))), -1)
        for row, ids in zip(rows, tokens):
            row[: len(ids)] = torch.tensor(ids)
        return rows.to(self.device)

    def predictor(
        self,
        conditions: Mapping[str, Tensor],
        hints: Mapping[str, Tensor],
        weights: Mapping[str, float | Tensor],
        interpolant: Interpolant,
        cache: float = 0.0,
    ) -> Predict:
        """As VideoModel's. UserError for a cache, and for a map of weights."""
        if cache:
            raise UserError("Cosmos 3 has no first-block cache here: set cache to 0.")
        if any(isinstance(weight, Tensor) for weight in weights.values()):
            raise UserError("Cosmos 3 takes a control map whole: give its weight as a number, not as a map.")
        return super().predictor(conditions, hints, weights, interpolant)

    def _bound_texts(self, conditions: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: ids[ids >= 0].to(self.device) for name, ids in conditions.items()}

    def _answer(
        self,
        shown: Tensor,
        t: Tensor,
        names: Sequence[str],
        texts: Mapping[str, Tensor],
        hints: Mapping[str, Tensor],
        weights: Mapping[str, float | Tensor],
        cache: FirstBlockCache | None,
        source: None,
    ) -> Tensor:
        (name,), shown = names, shown.to(self.dtype)
        maps = [hints[control] for control in ORDER if control in weights]
        self._enter("steps")

        def answer(maps: Sequence[Tensor]) -> Tensor:
            each = (
                cosmos3_forward(self.transformer, [hint[place % len(hint)][None] for hint in maps], x, t, texts[name])
                for place, x in enumerate(shown.split(1))
            )
            return torch.cat(list(each)).float()

        full, scale = answer(maps), self.preset.control_guidance * sum(weights.values())
        if not maps or name == NEGATIVE or scale == 1:
            return full
        bare = answer([])
        return bare + scale * (full - bare)

    def _fitting(self, shown: Tensor, controls: int) -> int:
        return 1
