"""The core's first-block cache in a sampling run of ComfyUI's: one for every batch of conditions, window and tile."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from ...pipeline_core.models.networks.step_cache import FirstBlockCache

KEY = "video_realism_first_blocks"  # in transformer_options


class FirstBlocks:
    """The caches of one run, see models/networks/step_cache.py. threshold: from 0, off, to 1.

    Two tensors as large as the network's tokens stay on its device for each of them until the run ends.
    """

    def __init__(self, threshold: float):
        self.threshold = threshold
        self._caches = defaultdict(lambda: FirstBlockCache(threshold))

    def added(self, model_options: Mapping) -> dict:
        """Model options that bring these caches to the network."""
        return {**model_options, "transformer_options": {**model_options.get("transformer_options", {}), KEY: self}}

    def sentence(self) -> str:
        """How much was saved."""
        skipped, steps = (sum(getattr(cache, name) for cache in self._caches.values()) for name in ("skipped", "steps"))
        return f"First-block cache {self.threshold:g}: {skipped} of {steps} calls took over all blocks but the first."

    def cache_at(self, place: tuple) -> FirstBlockCache:
        """The cache of these conditions in this window and tile."""
        return self._caches[place]


def first_block_cache(transformer_options: Mapping) -> FirstBlockCache | None:
    """The cache for one call of the network; None where its guider has none."""
    blocks = transformer_options.get(KEY)
    if blocks is None:
        return None
    window = transformer_options.get("context_window")
    frames = () if window is None else (*window.index_list, getattr(window, "tile", None))
    return blocks.cache_at((*transformer_options["uuids"], *frames))
