"""What a step trains on: windows of clips as latents, captions as embeddings, each computed once and kept on disk."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from ..models.folders.layout import TRAINABLE
from ..models.folders.loading import check_vocabulary, load_part, load_tokenizer
from ..models.folders.preset import Preset
from ..models.networks.coder import Coder
from ..models.networks.text import embed_tokens, is_chat, tokenise
from ..models.networks.vae import check_statistics
from ..video.facts import ClipFacts, examine, frames_of
from ..video.files import atomic_file
from ..video.frames import as_floats, resize, working_size
from .clips import CaptionedClip

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Window:
    """A piece of a clip: `length` frames from `start` on, at `size` (height, width); source, weight: the clip's."""

    facts: ClipFacts
    caption: str
    start: int
    length: int
    size: tuple[int, int]
    source: str = ""
    weight: float = 1.0

    @property
    def key(self) -> str:
        """Hash of everything that its latent is made from."""
        return _hash(f"{self.facts.original.digest} {self.start} {self.length} {self.size}")


def cut_clips(clips: Sequence[CaptionedClip], preset: Preset) -> tuple[list[Window], int]:
    """(the windows of all clips, frames at their ends that are in none).

    Windows have the preset's length, follow one another, and keep their clip's shape at about the preset's area; a
    shorter clip is one window of the longest length that the VAE takes. UserError for a clip that cannot be read whole.
    """
    windows, left = [], 0
    for clip in clips:
        facts = examine(clip.path)
        facts.refuse_damage(", or take it out of the folder")
        frames, ratio = facts.info.frames, preset.temporal_ratio
        length = min(preset.window, 1 + (frames - 1) // ratio * ratio)
        size = working_size(facts.size, preset.size, 2 * preset.spatial_ratio)
        starts = range(0, frames - length + 1, length)
        windows += [Window(facts, clip.caption, start, length, size, clip.source, clip.weight) for start in starts]
        left += frames - length * len(starts)
    return windows, left


class Samples:
    """The windows' latents and embeddings in a folder: `samples[i]` is (x0 (1, C, t, h, w) float32, text (1, L, D))."""

    def __init__(self, windows: Sequence[Window], folder: Path):
        self.windows, self.folder = windows, folder

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        window = self.windows[index]
        return _read(self._latent(window)).float(), _read(self._text(window.caption))

    def prepare(
        self, model: Path, preset: Preset, device: torch.device, dtype: torch.dtype, bf16: bool, progress: Progress
    ) -> None:
        """Compute what is not there yet; text encoder and VAE are loaded for that one after the other, and let go.

        dtype: of the embeddings. bf16: run networks of 32 bits under bfloat16 autocast. progress: gets windows and
        captions done, and their number. UserError as `load_part`, and for a clip that changed since it was looked at.
        """
        captions = [text for text in dict.fromkeys(w.caption for w in self.windows) if not self._text(text).exists()]
        missing = [window for window in self.windows if not self._latent(window).exists()]
        done, count = 0, len(captions) + len(missing)
        for kind in ("texts", "latents"):
            (self.folder / kind).mkdir(parents=True, exist_ok=True)
        work = [(captions, _embedded, dtype), (missing, _encoded, torch.float16)]
        for items, compute, kind in work:
            if items:
                for item, tensor in compute(items, model, preset, device, dtype, bf16):
                    path = self._text(item) if isinstance(item, str) else self._latent(item)
                    _write(path, tensor.to("cpu", kind))
                    progress(done := done + 1, count)
                gc.collect()  # the network goes before the next one comes

    def _latent(self, window: Window) -> Path:
        return self.folder / "latents" / f"{window.key}.safetensors"

    def _text(self, caption: str) -> Path:
        return self.folder / "texts" / f"{_hash(caption)}.safetensors"


@torch.no_grad()
def _embedded(
    captions: Sequence[str], model: Path, preset: Preset, device: torch.device, dtype: torch.dtype, bf16: bool
) -> Iterator[tuple[str, Tensor]]:
    text_encoder = load_part(model, "text_encoder", dtype, TRAINABLE).to(device)
    tokenizer = load_tokenizer(model)
    check_vocabulary(model / "tokenizer", tokenizer, text_encoder)
    chat = is_chat(type(text_encoder).__name__)
    for caption in captions:
        ids, mask = tokenise(tokenizer, [caption], preset.max_text_tokens, chat)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16 and dtype == torch.float32):
            embedding = embed_tokens(text_encoder, ids.to(device), mask.to(device))
        yield caption, embedding


@torch.no_grad()
def _encoded(
    windows: Sequence[Window], model: Path, preset: Preset, device: torch.device, dtype: torch.dtype, bf16: bool
) -> Iterator[tuple[Window, Tensor]]:
    vae = load_part(model, "vae", classes=TRAINABLE).to(device)
    check_statistics(vae)
    coder = Coder(vae, preset.spatial_ratio, device)
    for window, frames in _read_windows(windows):
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            latent = coder.encode(frames[None])
        yield window, latent


def _read_windows(windows: Sequence[Window]) -> Iterator[tuple[Window, Tensor]]:
    """Each window with its frames (T, H, W, 3); a clip is decoded once for all of its windows."""
    for facts in dict.fromkeys(window.facts for window in windows):
        facts.original.refuse_change(facts.path)
        frames, position = frames_of(facts), 0
        for window in (window for window in windows if window.facts is facts):
            skipped = window.start - position
            piece = [
                resize(as_floats(frame)[None], window.size)
                for frame in islice(frames, skipped, skipped + window.length)
            ]
            position = window.start + window.length
            yield window, torch.cat(piece)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _write(path: Path, tensor: Tensor) -> None:
    from safetensors.torch import save_file

    with atomic_file(path) as unfinished:
        save_file({"values": tensor.contiguous()}, str(unfinished))


def _read(path: Path) -> Tensor:
    from ..doors import load_tensors

    return load_tensors(path)["values"]
