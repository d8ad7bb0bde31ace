"""Orthogonalised momentum (Muon, Jordan et al. 2024) for inner matrices and convolutions, Adam for everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch

# Quintic whose iteration sends every singular value in (0, 1] close to one (Jordan et al. 2024).
QUINTIC = (3.4445, -4.7750, 2.0315)
ROUNDS = 5


def orthogonalise(gradient: torch.Tensor) -> torch.Tensor:
    """Nearest semi-orthogonal matrix U V^T of the (out, rest) matrix of `gradient`, by Newton-Schulz rounds.

    Approximate: singular values end between 0.7 and 1.2. Same shape; bfloat16 inside.
    """
    matrix = gradient.flatten(1)
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix) / (matrix.norm() + 1e-7)
    x = x.bfloat16()
    a, b, c = QUINTIC
    for _ in range(ROUNDS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.T if tall else x).float().view_as(gradient)


class MixedOptimizer(torch.optim.Optimizer):
    """One optimiser over groups {"params", "lr", "orthogonal"}; states use Adam's names.

    scatter: like map(function, items); a thread pool's map shares the matrix work between cores.
    """

    def __init__(self, groups: Iterable[dict], scatter: Callable = map) -> None:
        super().__init__(groups, {"lr": 1e-3, "orthogonal": False})
        self.scatter = scatter

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient."""
        jobs = [(group, p) for group in self.param_groups for p in group["params"] if p.grad is not None]
        list(self.scatter(lambda job: self._update(*job), jobs))

    @torch.no_grad()
    def _update(self, group: dict, p: torch.Tensor) -> None:
        state = self.state[p]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"] = torch.zeros_like(p)
            if not group["orthogonal"]:
                state["exp_avg_sq"] = torch.zeros_like(p)
        state["step"] += 1
        state["exp_avg"].lerp_(p.grad, 0.1)
        if group["orthogonal"]:
            direction = orthogonalise(p.grad.lerp(state["exp_avg"], 0.9))
            p.sub_(direction, alpha=group["lr"] * max(1.0, p.shape[0] / p[0].numel()) ** 0.5)
            return
        state["exp_avg_sq"].lerp_(p.grad.square(), 0.01)
        count = state["step"].item()
        mean, square = state["exp_avg"] / (1 - 0.9**count), state["exp_avg_sq"] / (1 - 0.99**count)
        p.sub_(mean / (square.sqrt() + 1e-8), alpha=group["lr"])
