"""A loaded video model: frames, prompts and maps in, and one batched clean prediction for all branches out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from ...devices import free_memory
from ...diffusion import FLOW, VE, Interpolant
from ...errors import UserError
from ..folders.lora import reference_on
from ..folders.memory import ROOM, forward_bytes
from ..folders.placement import Turns
from ..folders.preset import Preset
from .coder import Coder
from .cosmos import cosmos_forward, source_channels
from .grid import check_frames, token_grid_weights
from .prediction import clean_prediction, flow_state, network_input
from .step_cache import FirstBlockCache
from .text import embed_tokens, is_chat, tokenise

REFERENCE = "reference"  # the branch of SimDrop's reference
UNCOND = "uncond"  # the branch that is not shown the clip to edit
Predict = Callable[[Tensor, float, Sequence[str]], list[Tensor]]


@dataclass(frozen=True)
class VideoModel:
    """The parts of a diffusers Cosmos-Transfer folder, ready to run. Made by `load_video_model`.

    branches: modality -> CosmosControlNetModel. text_encoder: None where the transformer reads text itself. device:
    where the networks are and latents come out. bf16: whether networks with weights of 32 bits run under bfloat16
    autocast; results differ slightly from float32, so two runs are comparable only with the same value. preset: the
    model's own defaults. together: the most conditions that go through the network in one batch, 0 is all; fewer need
    less memory and the same work, and each pass takes no more than the device has memory free for (see `predictor`).
    turns: moves the networks to the device where they do not fit there together; None leaves them where they are.
    notes: what is otherwise than it was asked for, a sentence each, for the report. reference: which LoRA is on the
    transformer while the branch "reference" is answered, and only then, in words; "" for none.
    """

    transformer: torch.nn.Module
    branches: Mapping[str, torch.nn.Module]
    vae: torch.nn.Module
    text_encoder: torch.nn.Module | None
    tokenizer: object
    preset: Preset
    device: torch.device
    bf16: bool
    together: int = 0
    turns: Turns | None = None
    notes: tuple[str, ...] = ()
    reference: str = ""

    @property
    def controls(self) -> tuple[str, ...]:
        """The modalities that it takes maps of."""
        return tuple(self.branches)

    @property
    def edits(self) -> bool:
        """Whether it edits by instruction: its transformer reads the latent of the clip to edit beside its state."""
        return source_channels(self.transformer.config) > 0

    @property
    def dtype(self) -> torch.dtype:
        """What the transformer's state and text come in."""
        return self.transformer.patch_embed.proj.weight.dtype

    @property
    def patch(self) -> tuple[int, int, int]:
        """Latent cells (t, h, w) of a token."""
        return self.transformer.config.patch_size

    def encode(self, frames: Tensor) -> Tensor:
        """Latent (1, C, t, h, w), float32, normalised, of frames (T, H, W, 3) in [0, 1]; t = 1 + (T - 1) / ratio.

        UserError when T, H or W do not fit the model's latent grid or the frames are not RGB.
        """
        self._check_frames(frames, "frames")
        with self._coding() as coder:
            return coder.encode(frames[None]).float()

    def decode(self, latent: Tensor) -> Tensor:
        """Frames (T, H, W, 3) in [0, 1], float32, of a normalised latent (1, C, t, h, w).

        On the model's device, or in main memory where they are too large to be decoded whole (see coder.py).
        """
        if latent.ndim != 5 or latent.shape[0] != 1:
            raise UserError(f"A latent of shape {tuple(latent.shape)} came; decode one (1, C, t, h, w) at a time.")
        with self._coding() as coder:
            return coder.decode(latent)[0].float()

    @torch.no_grad()
    def encode_text(self, prompts: Sequence[str]) -> Tensor:
        """Embeddings (B, tokens, D) of prompts; any text, "" included. See text.py for what stands in the padding."""
        chat = is_chat(type(self.text_encoder).__name__)
        ids, mask = tokenise(self.tokenizer, prompts, self.preset.max_text_tokens, chat)
        self._enter("text")
        with self._autocast():
            return embed_tokens(self.text_encoder, ids.to(self.device), mask.to(self.device)).float()

    def encode_hint(self, control_map: Tensor) -> Tensor:
        """Hint latent (1, C, t, h, w) of a control map (T, H, W) or (T, H, W, 3) in [0, 1], as a video of its own."""
        if control_map.ndim == 3:
            control_map = control_map[..., None].expand(*control_map.shape, 3)
        self._check_frames(control_map, "a control map")
        return self.encode(control_map)

    def predictor(
        self,
        conditions: Mapping[str, Tensor],
        hints: Mapping[str, Tensor],
        weights: Mapping[str, float | Tensor],
        interpolant: Interpolant,
        cache: float = 0.0,
        source: Tensor | None = None,
    ) -> Predict:
        """predict(x, sigma, branches) -> [x0 per branch] by one batched forward; see prediction.py for x0.

        conditions: branch name -> text embedding (1, tokens, D). hints: modality -> hint latent.
        weights: modality -> weight after the w / max(1, sum w) rule: a float, or a map (T, H, W) in pixels or
        latent cells, averaged per token. A modality without a weight is off. interpolant: what x and sigma mean;
        a VE state becomes the network's flow state by x_t = x / (1 + sigma), t = sigma / (1 + sigma).
        x: (B, C, t, h, w), any float dtype; x0 comes back in it. UserError for an unknown modality or branch.
        cache: threshold of the first-block cache (see step_cache.py), 0 is off. An inversion has to be retraced, so
        calls for the branch "inversion" alone are never cached. With a reference LoRA, the branch "reference" is
        answered in a forward of its own. source: latent of the clip to edit, as `encode` gives it, for a model that
        edits; every branch but "uncond" is shown it.
        How many conditions go through the network in one batch is decided at the first call for several: all, or as
        many as there is memory free for on the device then; one by one from where a batch did not fit after all.
        """
        if interpolant not in (VE, FLOW):
            raise UserError(f"The interpolant is {interpolant!r}; give VE or FLOW.")
        for modality in [*weights, *hints]:
            if modality not in self.controls:
                raise UserError(f"This model has no {modality} control; it has {', '.join(self.controls) or 'none'}.")
        for modality, weight in weights.items():
            if modality not in hints and (isinstance(weight, Tensor) or weight != 0):
                raise UserError(f"The control {modality} has a weight but no map; give its map or weight 0.")
        if self.edits != (source is not None):
            needed = "edits a clip: give its latent as the source" if self.edits else "edits none: leave the source out"
            raise UserError(f"This model {needed}.")
        used = {m: w for m, w in weights.items() if isinstance(w, Tensor) or w != 0}
        # Once for the pass and not at every call: the texts of a large model are hundreds of megabytes.
        texts = self._bound_texts(conditions)
        shown_hints = {m: hints[m].to(self.device, self.dtype) for m in used}
        source = None if source is None else source.to(self.device, torch.float32)
        token_weights = functools.cache(lambda shape: {m: self._token_weights(w, shape) for m, w in used.items()})
        together: int | None = None
        caches: dict[tuple[str, ...], FirstBlockCache] = {}

        def cache_of(branches: tuple[str, ...]) -> FirstBlockCache | None:
            if cache == 0 or branches == ("inversion",):
                return None
            return caches.setdefault(branches, FirstBlockCache(cache))

        def predict(x: Tensor, sigma: float, branches: Sequence[str]) -> list[Tensor]:
            if not self.reference or REFERENCE not in branches:
                return batched(x, sigma, branches)
            others = [name for name in branches if name != REFERENCE]
            answers = dict(zip(others, batched(x, sigma, others)))
            with reference_on(self.transformer):
                (answers[REFERENCE],) = batched(x, sigma, [REFERENCE])
            return [answers[name] for name in branches]

        @torch.no_grad()
        def batched(x: Tensor, sigma: float, branches: Sequence[str]) -> list[Tensor]:
            nonlocal together
            missing = [name for name in branches if name not in conditions]
            if missing:
                raise UserError(f"No prompt was given for the branch {missing[0]!r}; add it to the conditions.")
            # Filled there: a tensor of a number made here would be copied, and the copy waited for.
            level = torch.full((1,), sigma, dtype=torch.float32, device=x.device)
            flow, t = flow_state(x, level, interpolant == VE)
            shown = network_input(flow, t, self.preset.prediction).to(self.device, torch.float32)
            if together is None and len(branches) > 1:
                together = self._fitting(shown, len(used))
            answers: list[Tensor] = []
            while len(answers) < len(branches):
                names = tuple(branches[len(answers) :][: together or None])
                weighted = token_weights(shown.shape[2:])
                try:
                    answer = self._answer(shown, t, names, texts, shown_hints, weighted, cache_of(names), source)
                except torch.OutOfMemoryError:
                    if len(names) == 1:
                        raise
                    together = 1  # the same work in less memory, from here to the end of the pass
                    continue
                answers += answer.to(flow).chunk(len(names))
            return [clean_prediction(flow, answer, t, self.preset.prediction) for answer in answers]

        return predict

    def _bound_texts(self, conditions: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The texts of a pass as the network is shown them."""
        return {name: text.to(self.device, self.dtype) for name, text in conditions.items()}

    def _answer(
        self,
        shown: Tensor,
        t: Tensor,
        names: Sequence[str],
        texts: Mapping[str, Tensor],
        hints: Mapping[str, Tensor],
        weights: Mapping[str, float | Tensor],  # of tokens
        cache: FirstBlockCache | None,
        source: Tensor | None,
    ) -> Tensor:
        """The network's answer for every named text of a batch, text by text, to what it is shown."""
        text = torch.cat([texts[name].expand(len(shown), -1, -1) for name in names])
        state = shown.repeat(len(text) // len(shown), 1, 1, 1, 1)
        if source is not None:
            seen = [source.expand_as(shown) if name != UNCOND else torch.zeros_like(shown) for name in names]
            state = torch.cat([state, torch.cat(seen)], 1)
        controls = [
            (self.branches[m], hints[m].repeat(len(state) // len(hints[m]), 1, 1, 1, 1), w) for m, w in weights.items()
        ]
        timestep = t.flatten().to(self.device).expand(len(state))
        self._enter("steps")
        # Networks whose weights are bfloat16 compute in it by themselves; autocast would make their norms 32 bits wide.
        with self._autocast(text.dtype == torch.float32):
            return cosmos_forward(self.transformer, controls, state.to(text.dtype), timestep, text, cache=cache)

    def _token_weights(self, weight: float | Tensor, shape: torch.Size) -> float | Tensor:
        """A float as it is; a map (T, H, W) averaged over each token's cells of a latent (t, h, w): (1, tokens, 1)."""
        if not isinstance(weight, Tensor):
            return float(weight)
        return token_grid_weights(weight.to(self.device), shape, self.patch).flatten()[None, :, None]

    def _fitting(self, shown: Tensor, controls: int) -> int:
        """The most conditions of one batch, 0 is all: as planned, and as the device has room for now."""
        self._enter("steps")
        free = free_memory(self.device)
        if free is None:
            return self.together
        each = len(shown) * forward_bytes(self.transformer.config, shown.shape[2:], controls, self.dtype.itemsize)
        fitting = max(1, int(ROOM * free) // each)
        return min(fitting, self.together or fitting)

    @functools.cached_property
    def _coder(self) -> Coder:
        return Coder(self.vae, self.preset.spatial_ratio, self.device)

    @contextmanager
    def _coding(self) -> Iterator[Coder]:
        """The VAE at work: on the device, in the type it computes in."""
        self._enter("frames")
        with self._autocast():
            yield self._coder

    def _check_frames(self, frames: Tensor, what: str) -> None:
        check_frames(frames, what, self.preset, self.patch)

    def _enter(self, stage: str) -> None:
        if self.turns is not None:
            self.turns.enter(stage)

    def _autocast(self, wide: bool = True):
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16 and wide)
