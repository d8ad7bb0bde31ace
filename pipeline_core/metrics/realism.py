"""Realism: a critic's probability of "photo", and the Frechet distance between feature vectors of two sets.

The critic is any callable frames (T, H, W, 3) in [0, 1] -> (logits (N,), features (N, D)), N being frames or
clips as the critic likes. A Frechet distance on such features is no FID: it compares only with itself.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import UserError
from .base import Figure, check_frames

Critic = Callable[[Tensor], tuple[Tensor, Tensor]]


class FeatureStatistics:
    """Running mean and covariance of feature vectors, in float64 and constant memory."""

    def __init__(self) -> None:
        self.count, self._mean, self._scatter = 0, None, None

    def update(self, features: Tensor) -> None:
        """features: (N, D), finite."""
        features = features.detach().cpu().double()
        if features.dim() != 2 or not bool(features.isfinite().all()):
            raise UserError(f"Features of shape {tuple(features.shape)} came: give finite vectors (N, D).")
        n = len(features)
        if n == 0:
            return
        mean = features.mean(0)
        scatter = (features - mean).T @ (features - mean)
        if self.count == 0:
            self.count, self._mean, self._scatter = n, mean, scatter
            return
        # Chan's update: exact for any chunking, without the cancellation of sums of squares.
        step = mean - self._mean
        total = self.count + n
        self._scatter = self._scatter + scatter + torch.outer(step, step) * (self.count * n / total)
        self._mean = self._mean + step * (n / total)
        self.count = total

    @property
    def mean(self) -> Tensor:
        return self._mean

    @property
    def covariance(self) -> Tensor:
        """(D, D), unbiased."""
        return self._scatter / (self.count - 1)


def frechet_distance(mean: Tensor, covariance: Tensor, mean2: Tensor, covariance2: Tensor) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), the squared 2-Wasserstein distance of two Gaussians.

    tr (C1 C2)^(1/2) is taken as tr (C1^(1/2) C2 C1^(1/2))^(1/2), whose matrix is symmetric, so no
    eigenvalue is complex. mean (D,), covariance (D, D) symmetric and positive semi-definite.
    """
    values, vectors = torch.linalg.eigh(covariance.double())
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    inner = root @ covariance2.double() @ root
    cross = torch.linalg.eigvalsh((inner + inner.T) / 2).clamp(min=0).sqrt().sum()
    shift = (mean.double() - mean2.double()).square().sum()
    return max(0.0, float(shift + covariance.double().trace() + covariance2.double().trace() - 2 * cross))


class Realism:
    """`critic`: the mean probability of "photo"; `critic_logit`: the mean logit, which does not saturate;
    `frechet`: the Frechet distance of the output's features to those of the reference frames given."""

    def __init__(self, critic: Critic) -> None:
        self._critic = critic
        self._output, self._reference = FeatureStatistics(), FeatureStatistics()
        self._probability, self._logit, self._count, self._frames = 0.0, 0.0, 0, 0
        self.series: dict[str, list] = {"critic": []}  # one value per frame where the critic judges frames

    def update(self, output: Tensor) -> None:
        """output (T, H, W, 3) in [0, 1]."""
        output = check_frames(output, "output", self._frames)
        with torch.no_grad():
            logits, features = self._critic(output)
        logits = logits.cpu().double().flatten()
        if len(logits) == len(output):
            self.series["critic"] += logits.sigmoid().tolist()
        self._probability += float(logits.sigmoid().sum())
        self._logit += float(logits.sum())
        self._count += len(logits)
        self._frames += len(output)
        self._output.update(features)

    def update_reference(self, reference: Tensor) -> None:
        """Real (or photoreal) frames (T, H, W, 3) in [0, 1] to measure the Frechet distance to, as many as
        wanted."""
        with torch.no_grad():
            self._reference.update(self._critic(check_frames(reference, "reference"))[1])

    def compute(self) -> dict[str, Figure]:
        if self._count == 0:
            return {
                "critic": Figure(None, "", "higher", "no frames"),
                "critic_logit": Figure(None, "", "higher", "no frames"),
                "frechet": Figure(None, "", "lower", "no frames"),
            }
        return {
            "critic": Figure(self._probability / self._count, "", "higher"),
            "critic_logit": Figure(self._logit / self._count, "", "higher"),
            "frechet": self._frechet(),
        }

    def _frechet(self) -> Figure:
        a, b = self._output, self._reference
        if b.count == 0:
            return Figure(None, "", "lower", "no reference was given")
        if min(a.count, b.count) < 2:
            return Figure(None, "", "lower", "needs at least two feature vectors on each side")
        note = f"{a.count} and {b.count} feature vectors of size {len(a.mean)}"
        if min(a.count, b.count) <= len(a.mean):
            note += ", fewer than the size asks for, which biases it upwards"
        return Figure(frechet_distance(a.mean, a.covariance, b.mean, b.covariance), "", "lower", note)
