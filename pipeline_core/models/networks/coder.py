"""Clips through a VAE: whole, or by tiles where the device cannot hold what that takes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from ...devices import free_memory
from ...video.tiles import Tiles, plan_tiles
from ..folders.memory import ROOM, wan_coding_bytes
from .vae import decode_latents, encode_clips, is_wan

SIDES = (512, 256)  # pixels of a tile's side, the larger first; 512 with this overlap is ComfyUI's own
OVERLAP = 64  # pixels that neighbours share and that are blended


class Coder:
    """A VAE at work on a device. side: pixels of a tile's side, 0 while clips go through whole.

    A tile's pixels go to the device when its turn comes, and what is decoded leaves it before the next one: of a clip
    in tiles the device holds its latent and one tile. Where the device says how much memory it has free and what the
    VAE takes is known, clips that cannot fit are not tried whole. Tiles are for good: so is the device's size. A side
    that would not cut a clip is passed over: it would be the same try again.
    """

    def __init__(self, vae: torch.nn.Module, ratio: int, device: torch.device):
        self.vae, self.ratio, self.device, self.side = vae, ratio, device, 0

    def encode(self, clips: Tensor) -> Tensor:
        """Normalised latents of clips (B, T, H, W, 3) in [0, 1], see vae.py; the clips may lie in main memory."""

        def by_tiles(tiles: Tiles) -> Tensor:
            parts = tiles.scaled(self.ratio).cut(clips.movedim(-1, 2))
            return tiles.join(encode_clips(self.vae, part.movedim(2, -1)) for part in parts)

        size = tuple(side // self.ratio for side in clips.shape[2:4])
        return self._coded(size, lambda: encode_clips(self.vae, clips), by_tiles)

    def decode(self, latent: Tensor) -> Tensor:
        """Clips of normalised latents (B, C, t, h, w), see vae.py; in main memory where they came by tiles."""

        def by_tiles(tiles: Tiles) -> Tensor:
            parts = (decode_latents(self.vae, part).cpu().movedim(-1, 2) for part in tiles.cut(latent))
            return tiles.scaled(self.ratio).join(parts).movedim(2, -1)

        return self._coded(tuple(latent.shape[-2:]), lambda: decode_latents(self.vae, latent), by_tiles)

    def _coded(self, size: tuple[int, int], whole: Callable[[], Tensor], by_tiles: Callable[[Tiles], Tensor]) -> Tensor:
        """What `whole` gives, or `by_tiles`, for frames of `size` latent cells."""
        if not self.side and not self._fits(size):
            self._cut(size)
        while True:
            try:
                if not self.side:
                    return whole()
                side, overlap = self.side // self.ratio, OVERLAP // self.ratio
                return by_tiles(plan_tiles(size, (side, side), overlap))
            except torch.OutOfMemoryError:
                if not self._cut(size):
                    raise

    def _fits(self, size: tuple[int, int]) -> bool:
        """Whether frames may be coded whole; for devices and VAEs of which too little is known the try will tell."""
        free = free_memory(self.device)
        if free is None or not is_wan(self.vae):
            return True
        narrow = torch.is_autocast_enabled(self.device.type)
        each = 2 if narrow else next(self.vae.parameters()).element_size()
        return wan_coding_bytes(self.vae.config, size, each) <= ROOM * free

    def _cut(self, size: tuple[int, int]) -> bool:
        """From here on by tiles, or by smaller ones; whether there are any that cut frames of `size` latent cells."""
        least = min(self.side or math.inf, max(size) * self.ratio)
        side = next((side for side in SIDES if side < least), 0)
        if side:
            self.side = side
            warnings.warn(
                f"The clip is too large for the VAE on {self.device}: it is coded by tiles of {side} pixels, whose "
                "seams are blended.",
                stacklevel=4,
            )
        return bool(side)
