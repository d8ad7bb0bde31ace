"""What a network reads and answers: flow velocity (Cosmos-Transfer2.5) or EDM's preconditioned residual (Transfer1).

Both are written for the flow state x = (1 - t) x0 + t e of unit-variance latents, t in [0, 1]. EDM's coefficients
(Karras et al. 2022, table 1, sigma_data = 1, sigma = t / (1 - t)) are then finite up to t = 1:
c_in y = x / n,  c_skip y = (1 - t) x / n^2,  c_out = t / n,  with n = sqrt((1 - t)^2 + t^2).
The residual form leaves a small network free of carrying the noise from its input to its output.
"""

from __future__ import annotations

import torch
from torch import Tensor

PREDICTIONS = ("flow", "edm")


def flow_state(x: Tensor, sigma: Tensor, ve: bool) -> tuple[Tensor, Tensor]:
    """The network's flow state and time of a sampler's state x at sigma: x / (1 + sigma), t = sigma / (1 + sigma)
    for VE states, both as they are for flow states.

    sigma: float32, one value or one a batch item; t comes broadcastable to x. Everything that runs the network goes
    through here: bfloat16 turns a difference in the last bit of t into one in the first digits of the answer.
    """
    sigma = sigma.reshape(-1, *[1] * (x.ndim - 1))
    return (x / (1 + sigma), sigma / (1 + sigma)) if ve else (x, sigma)


def _norm(t: float | Tensor) -> float | Tensor:
    return ((1 - t) ** 2 + t**2) ** 0.5


def network_input(x: Tensor, t: float | Tensor, prediction: str) -> Tensor:
    """What the network is shown of the flow state x; t a float or broadcastable."""
    return x if prediction == "flow" else x / _norm(t)


def clean_prediction(x: Tensor, answer: Tensor, t: float | Tensor, prediction: str) -> Tensor:
    """x0 from the network's answer: x - t v, or c_skip y + c_out F."""
    if prediction == "flow":
        return x - t * answer
    n = _norm(t)
    return (1 - t) / n**2 * x + t / n * answer


def training_target(x0: Tensor, noise: Tensor, t: Tensor, prediction: str) -> Tensor:
    """What the network should answer: v = e - x0, or F = (t x0 - (1 - t) e) / n; both of unit variance or two."""
    if prediction == "flow":
        return noise - x0
    return (t * x0 - (1 - t) * noise) / torch.as_tensor(_norm(t))
