"""Colours of a chunk anchored to the source clip: what lies between the two is the first chunk's, in every chunk.

A style changes colours by the same amount all along; what a chunk differs from that is taken for drift, and shifted
away. That is wrong where the style's change depends on what is in the picture, so that it costs a little fidelity where
nothing drifts: it is for runs that do.
"""

from torch import Tensor


def colour_offset(frames: Tensor, source: Tensor) -> Tensor:
    """Mean per channel (3,) of frames minus that of source, both (T, H, W, 3)."""
    return frames.mean((0, 1, 2)) - source.to(frames).mean((0, 1, 2))


def anchored_colours(frames: Tensor, source: Tensor, offset: Tensor) -> Tensor:
    """frames (T, H, W, 3) in [0, 1], shifted per channel so that their `colour_offset` from source becomes offset."""
    return (frames + (offset.to(frames) - colour_offset(frames, source))).clamp(0, 1)
