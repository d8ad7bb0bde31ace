"""Training scenes on disk, rendered and encoded when a step asks for them, and deleted when none will again.

frames/scene_SEED.safetensors holds a scene's renders and maps (3.7 MB), latents/ the same encoded (.7 MB). A file
says what it was made with (world, maps, encoder); one made with something else is made anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from ..dit_data import Scene, load_scene
from ..latents import CRITIC_SEEDS, encode_scene, encoder_mark
from ..render import render_scene
from .schedule import world_of

# The VAE learns from frames: those of the newest scenes are kept, 1.1 GB.
FRAMES_KEPT = 300


class SceneCache:
    """Scenes of a run by seed. vae encodes; give it `use_encoder` again after its encoder changed."""

    def __init__(self, folder: Path, worlds: str, maps: str, vae: torch.nn.Module, tokenizer, length: int) -> None:
        self.folder, self._worlds, self._maps = Path(folder), worlds, maps
        self._tokenizer, self._length = tokenizer, length
        for name in ("frames", "latents"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.use_encoder(vae)

    def use_encoder(self, vae: torch.nn.Module) -> None:
        """From now on latents are this VAE's."""
        self._vae, self._mark = vae, encoder_mark(vae)

    def frames(self, seed: int) -> Path:
        """The file of the scene's uint8 renders and maps, rendered if need be."""
        path, world = self._path("frames", seed), world_of(seed, self._worlds)
        if not _made_with(path, {"world": str(world), "maps": self._maps}):
            render_scene(seed, path, world, self._maps)
        return path

    def latents(self, seed: int) -> Path:
        """The file of the scene's latents, rendered and encoded if need be."""
        path, world = self._path("latents", seed), world_of(seed, self._worlds)
        expected = {"world": str(world), "maps": self._maps, "vae": self._mark}
        if not _made_with(path, expected):
            encode_scene(self._vae, self.frames(seed), path)
        return path

    def scene(self, seed: int) -> Scene:
        """The scene's latents and tokens, read from disk."""
        return load_scene(self.latents(seed), seed, self._tokenizer, self._length)

    def trim(self, pool: range) -> None:
        """Delete what no step from now on draws: training scenes before the pool, and frames but the newest."""
        for name, first in (("latents", pool.start), ("frames", frames_pool(pool).start)):
            for path in (self.folder / name).glob("scene_*"):
                seed = int(path.stem.split("_")[1])
                if seed < first or (pool.stop <= seed < CRITIC_SEEDS):
                    path.unlink()
            for path in (self.folder / name).glob(".scene_*.part"):  # left by a kill
                path.unlink()

    def _path(self, name: str, seed: int) -> Path:
        return self.folder / name / f"scene_{seed:06d}.safetensors"


def frames_pool(pool: range) -> range:
    """The seeds of a pool whose frames are kept."""
    return pool[-FRAMES_KEPT:]


def _made_with(path: Path, expected: dict[str, str]) -> bool:
    """Whether the file is there and says it was made with what is expected."""
    from safetensors import safe_open

    if not path.exists():
        return False
    with safe_open(str(path), framework="pt") as shard:
        metadata = shard.metadata()
    return {name: metadata.get(name) for name in expected} == expected


class ScenePool(Sequence):
    """The scenes of a range of seeds, read when they are indexed."""

    def __init__(self, cache: SceneCache, seeds: range) -> None:
        self._cache, self.seeds = cache, seeds

    def __len__(self) -> int:
        return len(self.seeds)

    def __getitem__(self, index: int) -> Scene:
        return self._cache.scene(self.seeds[index])
