"""How well a network explains a latent: its denoising error at a noise level, the loss that it is trained by."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..diffusion import FLOW
from ..models.networks.prediction import network_input, training_target
from .networks import answer


@dataclass(frozen=True)
class Denoiser:
    """A transformer on its device, what it answers (see prediction.py), and what it is held and computed in."""

    transformer: torch.nn.Module
    prediction: str
    weights: str
    bf16: bool
    device: torch.device

    def error(self, x0: Tensor, text: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Mean square of what the network answers minus what it should, at flow time t, a scalar.

        x0, noise (1, C, T, H, W); text (1, L, D); t a scalar in [0, 1].
        """
        x0, noise, t = (tensor.to(self.device) for tensor in (x0, noise, t))
        shown = network_input(FLOW.add_noise(x0, noise, t), t, self.prediction)
        dtype = torch.float32 if self.weights == "fp32" else torch.bfloat16
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16 and dtype == torch.float32):
            result = answer(self.transformer, shown.to(dtype), t.reshape(1), text.to(self.device, dtype))
        return (result.float() - training_target(x0, noise, t, self.prediction)).square().mean()
