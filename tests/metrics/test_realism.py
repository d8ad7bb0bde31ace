"""Oracles: scipy's matrix square root, the closed form in one dimension, torch's own mean and covariance."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from pipeline_core.errors import UserError
from pipeline_core.metrics.realism import FeatureStatistics, Realism, frechet_distance


def features(n, d, seed, scale=1.0, shift=0.0):
    g = torch.Generator().manual_seed(seed)
    mix = torch.randn(d, d, generator=g, dtype=torch.float64)
    return scale * torch.randn(n, d, generator=g, dtype=torch.float64) @ mix + shift


@pytest.mark.parametrize("n", [200, 5])  # full rank, and fewer samples than dimensions
def test_frechet_distance_is_scipy_s(n):
    a, b = features(n, 8, 0), features(n, 8, 1, 1.4, 0.5)
    means, covariances = [x.mean(0) for x in (a, b)], [x.T.cov() for x in (a, b)]
    root = sqrtm((covariances[0] @ covariances[1]).numpy())
    expected = (
        ((means[0] - means[1]) ** 2).sum() + covariances[0].trace() + covariances[1].trace() - 2 * np.trace(root).real
    )
    result = frechet_distance(means[0], covariances[0], means[1], covariances[1])
    assert result == pytest.approx(expected.item(), rel=1e-6)


def test_one_dimension_and_identity():
    one = lambda m, s: (torch.tensor([m]), torch.tensor([[s**2]]))  # noqa: E731
    assert frechet_distance(*one(1.0, 3.0), *one(-1.0, 0.5)) == pytest.approx(4 + 2.5**2)
    mean, covariance = features(50, 6, 2).mean(0), features(50, 6, 2).T.cov()
    assert frechet_distance(mean, covariance, mean, covariance) == pytest.approx(0, abs=1e-9)


def test_running_statistics_are_exact_even_far_from_zero():
    x = features(40, 5, 3, shift=1e4)
    statistics = FeatureStatistics()
    for chunk in x.split([1, 20, 2, 17]):
        statistics.update(chunk)
    assert statistics.count == 40
    assert torch.allclose(statistics.mean, x.mean(0), rtol=1e-12)
    assert torch.allclose(statistics.covariance, x.T.cov(), rtol=1e-8)
    with pytest.raises(UserError):
        statistics.update(x[:2] * torch.nan)


def critic(frames):
    """Probability one half at mean brightness 0.5; the features are the mean colour."""
    colour = frames.mean((1, 2))
    return 8 * (colour.mean(1) - 0.5), colour


def run(metric, output, reference, chunks):
    for chunk in output.split(chunks):
        metric.update(chunk)
    for chunk in reference.split(chunks):
        metric.update_reference(chunk)
    return {name: figure.value for name, figure in metric.compute().items()}


def test_critic_and_streaming():
    g = torch.Generator().manual_seed(4)
    output, reference = (torch.rand(9, 6, 6, 3, generator=g) for _ in range(2))
    whole, pieces = (run(Realism(critic), output, reference, n) for n in (9, 2))
    assert pieces == pytest.approx(whole, rel=1e-9)
    logits, vectors = critic(output)
    assert whole["critic"] == pytest.approx(logits.sigmoid().mean().item(), rel=1e-6)
    assert whole["critic_logit"] == pytest.approx(logits.mean().item(), rel=1e-5)
    other = critic(reference)[1]
    expected = frechet_distance(vectors.mean(0), vectors.T.cov(), other.mean(0), other.T.cov())
    assert whole["frechet"] == pytest.approx(expected, rel=1e-4)
    assert run(Realism(critic), output, output, 4)["frechet"] == pytest.approx(0, abs=1e-9)


def test_what_is_missing_is_said():
    frames = torch.full((3, 4, 4, 3), 0.5)
    metric = Realism(critic)
    assert {f.value for f in metric.compute().values()} == {None}
    metric.update(frames)
    assert metric.compute()["critic"].value == pytest.approx(0.5)
    assert metric.compute()["frechet"].value is None and "reference" in metric.compute()["frechet"].note
    metric.update_reference(frames[:1])
    assert metric.compute()["frechet"].value is None and "two" in metric.compute()["frechet"].note
    metric.update_reference(frames)
    assert "upwards" not in metric.compute()["critic"].note
    assert metric.compute()["frechet"].value is not None and "upwards" in metric.compute()["frechet"].note
