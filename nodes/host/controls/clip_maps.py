"""What every control that shows a clip's map does: find the frames of a call, cut the map to them, refuse others."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ....pipeline_core.errors import UserError

TIME = 2  # the dimension of a video latent that context windows cut


def time_window(transformer_options: dict):
    """The context window of this call, None where the whole clip is shown at once."""
    window = transformer_options.get("context_window")
    return window if getattr(window, "dim", None) == TIME else None


def frames_of_call(values: Tensor, x_noisy: Tensor, window, refuse: Callable[[int], None]) -> Tensor:
    """The frames of this call out of `values`, whose dimension 2 is the whole clip's time; `refuse(latent frames)` is
    called where there are too few or too many."""
    if window is not None:
        if max(window.index_list) >= values.shape[TIME]:
            refuse(max(window.index_list) + 1)
        values = window.get_tensor(values, dim=TIME)
    if values.shape[TIME] != x_noisy.shape[TIME]:
        refuse(x_noisy.shape[TIME])
    return values


def refuse_length(what: str, frames: int, pixel_frames: int) -> None:
    """UserError: the map has other frames than the clip."""
    raise UserError(
        f"The {what} has {frames} frames and the latent stands for {pixel_frames}; "
        "give the control's image as many frames as the clip."
    )
