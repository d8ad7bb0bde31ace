"""A patch on a MODEL that holds its predictions to the source in some places."""

from __future__ import annotations

import torch
from torch import Tensor

from ...pipeline_core.diffusion import latent_places
from ...pipeline_core.diffusion.hold import hold
from ...pipeline_core.errors import UserError


class Holding:
    """A post-CFG function: the core's `hold` of the result to x0 while sigma is `lowest` or more.

    x0: the source's latent as the model sees it, (B, C, T, H, W), or (T, C, H, W) for an image model, whose batch is
    the clip. mask (T, H, W) in [0, 1], see `latent_places`. Raises UserError when mask and latent do not fit.
    """

    def __init__(self, x0: Tensor, mask: Tensor, weight: float, lowest: float):
        self.weight, self.lowest = weight, lowest
        self.images = x0.ndim == 4
        self.x0 = x0.movedim(0, 1)[None] if self.images else x0
        self.places = latent_places(mask, tuple(self.x0.shape[2:]))

    def __call__(self, args: dict) -> Tensor:
        answer = args["denoised"]
        video = answer.movedim(0, 1)[None] if self.images else answer
        # Brought to the device at the first step and not at every one.
        self.x0, self.places = self.x0.to(answer), self.places.to(answer)
        if video.shape[1:] != self.x0.shape[1:]:
            came, needed = tuple(self.x0.shape), tuple(video.shape)
            raise UserError(
                f"Hold Colours has a source of {came}, but {needed} is sampled: connect the same latent to its source."
            )
        held = hold(video, self.x0, self.places, self.weight)
        held = held[0].movedim(1, 0) if self.images else held
        # Decided where the sigma lies: reading it would wait for the device.
        acts = args["sigma"].to(answer).reshape(-1, *[1] * (answer.ndim - 1)) >= self.lowest
        return torch.where(acts, held, answer)
