"""Checks on IMAGE inputs that the nodes about whole clips share."""

from torch import Tensor

from ...pipeline_core.errors import UserError
from ...pipeline_core.metrics.base import check_frames


def clip_input(image: Tensor, name: str) -> Tensor:
    """The IMAGE as float32 (F, H, W, 3) within [0, 1]; UserError naming the input for anything that is no clip."""
    frames = check_frames(image, name)
    if frames.numel() == 0:
        raise UserError(f"{name} is an empty clip but at least one frame is needed: connect another clip to {name}.")
    inside = 0 <= float(frames.min()) and float(frames.max()) <= 1
    return frames if inside else frames.clamp(0, 1)  # upscalers overshoot by a thousandth


def same_length(clips: dict[str, Tensor]) -> None:
    """UserError unless all clips have as many frames as the first."""
    (first, clip), *others = clips.items()
    for name, other in others:
        if len(other) != len(clip):
            raise UserError(
                f"{name} has {len(other)} frames and {first} has {len(clip)}: connect a clip of {len(clip)} to {name}."
            )


def grey(planes: Tensor) -> Tensor:
    """(F, H, W) as an IMAGE."""
    return planes[..., None].repeat(1, 1, 1, 3)
