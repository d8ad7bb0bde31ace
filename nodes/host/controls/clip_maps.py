"""What every control that shows a clip's map does: find the part of a call, cut the map to it, refuse other lengths."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ....pipeline_core.errors import UserError
from ....pipeline_core.video.tiles import Tile

TIME = 2  # the dimension of a video latent that context windows cut


def time_window(transformer_options: dict):
    """The context window of this call, None where the whole clip is shown at once."""
    window = transformer_options.get("context_window")
    return window if getattr(window, "dim", None) == TIME else None


def tile_of(window) -> Tile | None:
    """The part of its frames that a window is asked for, None for all of them; see windows/tiles.py."""
    return getattr(window, "tile", None)


def frame_size(x_noisy: Tensor, window) -> tuple[int, int]:
    """(height, width) in latent cells of the whole frames that this call shows, or shows a tile of."""
    tile = tile_of(window)
    return tuple(x_noisy.shape[-2:]) if tile is None else tile.size


def frames_of_call(values: Tensor, x_noisy: Tensor, window, refuse: Callable[[int], None]) -> Tensor:
    """The part of this call out of `values` (1, C, t, h, w) of the whole clip; `refuse(latent frames)` is called where
    there are too few or too many of them."""
    if window is not None:
        if max(window.index_list) >= values.shape[TIME]:
            refuse(max(window.index_list) + 1)
        values = window.get_tensor(values, dim=TIME)
    if values.shape[TIME] != x_noisy.shape[TIME]:
        refuse(x_noisy.shape[TIME])
    tile = tile_of(window)
    return values if tile is None else tile.cut(values)


def refuse_length(what: str, frames: int, pixel_frames: int) -> None:
    """UserError: the map has other frames than the clip."""
    raise UserError(
        f"The {what} has {frames} frames and the latent stands for {pixel_frames}; "
        "give the control's image as many frames as the clip."
    )
