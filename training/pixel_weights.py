"""Signs and lights are a thousandth of the pixels and most of what a driver must read: their errors count more."""

from __future__ import annotations

import torch

from pipeline_core.conditions.segmentation import CARLA_TAGS, TAG

# How much more a pixel of the class counts in the loss.
SMALL_OBJECTS = {"traffic sign": 12.0, "traffic light": 3.0}


def pixel_weights(segmentation: torch.Tensor) -> torch.Tensor:
    """uint8 class colours (T, H, W, 3) -> what each pixel's error counts, (1, T, H, W), 1 for most."""
    weights = torch.ones(segmentation.shape[:-1])
    for name, weight in SMALL_OBJECTS.items():
        colour = torch.tensor(CARLA_TAGS[TAG[name]][1], dtype=segmentation.dtype)
        weights[(segmentation == colour).all(-1)] = weight
    return weights[None]
