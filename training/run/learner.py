"""A network being trained: its weights, its optimiser and several running averages to choose from afterwards."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..optimizer import MixedOptimizer

# gamma of the power-function averages (Karras et al. 2024, eq. 120): relative widths of .05, .10 and .19 of all
# that was trained, so that no half-life has to be guessed for a run without an end.
EXPONENTS = (16.97, 6.94, 2.0)
CLIP = 1.0


class Learner:
    """groups: of the optimiser, each with "lr_share", its rate as a share of the one `update` is given."""

    def __init__(self, network: torch.nn.Module, groups: Sequence[dict], peak: float) -> None:
        self.network, self.peak, self.step = network, peak, 0
        self.optimizer = MixedOptimizer(groups)
        self.averages = {exponent: _copies(network) for exponent in EXPONENTS}

    def update(self, loss: Tensor, factor: float) -> float:
        """One step down the loss at `factor` of the peak rate; returns the gradient's norm before clipping.

        A gradient that is not finite (inf or NaN is returned) changes nothing but the count of steps.
        """
        loss.backward()
        trained = [p for group in self.optimizer.param_groups for p in group["params"] if p.grad is not None]
        norm = torch.nn.utils.clip_grad_norm_(trained, CLIP).item()
        self.step += 1
        if math.isfinite(norm):
            for group in self.optimizer.param_groups:
                group["lr"] = self.peak * factor * group["lr_share"]
            self.optimizer.step()
            self._average()
        self.optimizer.zero_grad()
        return norm

    @torch.no_grad()
    def _average(self) -> None:
        """average <- beta average + (1 - beta) weights with beta = (1 - 1 / step)^(gamma + 1)."""
        weights = [p.detach() for p in self.network.parameters()]
        for exponent, average in self.averages.items():
            torch._foreach_lerp_(list(average.values()), weights, 1 - (1 - 1 / self.step) ** (exponent + 1))

    def averaged(self, exponent: float, look: Callable[[], object]) -> object:
        """What `look` returns while the network has the weights of one average."""
        self._exchange(self.averages[exponent])
        try:
            return look()
        finally:
            self._exchange(self.averages[exponent])

    def begin_from(self, exponent: float) -> None:
        """Take one average as the weights, and begin averages and momentum anew."""
        self._exchange(self.averages[exponent])
        self.averages = {e: _copies(self.network) for e in EXPONENTS}
        self.optimizer.state.clear()

    @torch.no_grad()
    def _exchange(self, average: dict[str, Tensor]) -> None:
        for name, parameter in self.network.named_parameters():
            parameter.data, average[name] = average[name], parameter.data

    def tensors(self) -> dict[str, Tensor]:
        """Everything but the step, by name, for a checkpoint."""
        found = {f"weights.{name}": tensor for name, tensor in self.network.state_dict().items()}
        for exponent, average in self.averages.items():
            found |= {f"average.{exponent}.{name}": tensor for name, tensor in average.items()}
        for name, parameter in self.network.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                found[f"optimizer.{key}.{name}"] = value
        return found

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor], step: int) -> None:
        """Take what `tensors` gave. RuntimeError when the networks are of another architecture."""
        self.step = step
        parts = {"weights": {}, "average": {}, "optimizer": {}}
        for name, tensor in tensors.items():
            part, rest = name.split(".", 1)
            parts[part][rest] = tensor
        self.network.load_state_dict(parts["weights"])
        for exponent, average in self.averages.items():
            for name in average:
                average[name].copy_(parts["average"][f"{exponent}.{name}"])
        self.optimizer.state.clear()
        for name, parameter in self.network.named_parameters():
            moments = {key: parts["optimizer"].get(f"{key}.{name}") for key in ("step", "exp_avg", "exp_avg_sq")}
            # A parameter that never got a gradient has no moments.
            if moments["step"] is not None:
                self.optimizer.state[parameter] = {k: v for k, v in moments.items() if v is not None}


def _copies(network: torch.nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in network.named_parameters()}
