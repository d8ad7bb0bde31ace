"""Masks of a few kinds of objects as buffers, for clips that come without a simulator's."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..conditions.segmentation import TAG
from ..errors import UserError
from .detected import objects_of

# The class that stands for a group: any of the group's would do.
TAGS = {
    "lights": TAG["traffic light"],
    "signs": TAG["traffic sign"],
    "vehicles": TAG["car"],
    "people": TAG["pedestrian"],
}


class MaskBuffers:
    """What `Buffers` would say of a clip, from masks {group of `TAGS`: (T, H, W), above 0.5 inside}.

    Every connected part of a mask is an object, numbered anew in every frame; where masks overlap the first group
    named wins. UserError for masks that are not of the clip's `size` (frames, height, width).
    """

    channels = ("semantic", "instance")
    folder, scene, lights = None, {}, ()

    def __init__(self, masks: Mapping[str, Tensor], size: tuple[int, int, int]) -> None:
        self.frames, self.height, self.width = size
        self._classes = torch.zeros(size, dtype=torch.uint8)
        for name, mask in reversed(masks.items()):
            if tuple(mask.shape) != tuple(size):
                raise UserError(
                    f"The mask {name} came as {tuple(mask.shape)} (frames, height, width) and the clip has "
                    f"{tuple(size)}: give a mask of the clip's frames and size."
                )
            self._classes[(mask > 0.5).cpu()] = TAGS[name]

    def classes(self, start: int, stop: int) -> Tensor:
        """(T, H, W) uint8 CARLA tags."""
        return self._classes[start:stop]

    def instances(self, start: int, stop: int) -> Tensor:
        """(T, H, W) int32 ids, 0 where there is no object."""
        return objects_of(self._classes[start:stop], tuple(TAGS.values()))
