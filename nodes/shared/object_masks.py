"""MASK inputs for the groups of objects that are followed from source to output."""

from comfy_api.latest import io

from ...pipeline_core.metrics.masks import TAGS, MaskBuffers

GROUPS = tuple(TAGS)


def mask_inputs(of: str) -> list:
    """One optional MASK for every group of objects."""
    return [
        io.Mask.Input(
            name,
            optional=True,
            tooltip=f"Where the {of}'s {name} are, 1 inside and 0 elsewhere, a mask for each frame: from Simulator "
            "Buffers or any detector. Parts that do not touch are counted as single objects.",
        )
        for name in GROUPS
    ]


def mask_buffers(masks: dict, source) -> MaskBuffers | None:
    """The masks that are connected as buffers of the clip; None where there is none."""
    connected = {name: mask for name, mask in masks.items() if mask is not None}
    return MaskBuffers(connected, tuple(source.shape[:3])) if connected else None
