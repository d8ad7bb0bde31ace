"""The two kinds of answer: closed forms, and EDM's published coefficients on the variance-exploding state."""

import pytest
import torch

from pipeline_core.models.networks.prediction import PREDICTIONS, clean_prediction, network_input, training_target


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("t", [0.0, 1e-3, 0.3, 0.9, 1.0])
def test_the_target_gives_the_clean_latent_back(prediction, t):
    generator = torch.Generator().manual_seed(0)
    x0, noise = (torch.randn(2, 3, 4, dtype=torch.float64, generator=generator) for _ in range(2))
    x = (1 - t) * x0 + t * noise
    target = training_target(x0, noise, torch.tensor(t, dtype=torch.float64), prediction)
    assert torch.allclose(clean_prediction(x, target, t, prediction), x0, atol=1e-12)


def test_edm_uses_the_published_coefficients():
    """Karras et al. 2022, table 1 with sigma_data = 1, on y = x / (1 - t), sigma = t / (1 - t)."""
    generator = torch.Generator().manual_seed(1)
    x, answer = (torch.randn(5, dtype=torch.float64, generator=generator) for _ in range(2))
    for t in (0.01, 0.5, 0.98):
        sigma, y = t / (1 - t), x / (1 - t)
        expected = y / (sigma**2 + 1) + sigma / (sigma**2 + 1) ** 0.5 * answer
        assert torch.allclose(clean_prediction(x, answer, t, "edm"), expected, atol=1e-12)
        assert torch.allclose(network_input(x, t, "edm"), y / (sigma**2 + 1) ** 0.5, atol=1e-12)


def test_edm_shows_and_asks_for_unit_variance_at_every_time():
    generator = torch.Generator().manual_seed(2)
    x0, noise = (torch.randn(200_000, dtype=torch.float64, generator=generator) for _ in range(2))
    for t in (0.0, 0.2, 0.5, 0.8, 1.0):
        shown = network_input((1 - t) * x0 + t * noise, t, "edm")
        target = training_target(x0, noise, torch.tensor(t, dtype=torch.float64), "edm")
        assert float(shown.std()) == pytest.approx(1, abs=0.01) and float(target.std()) == pytest.approx(1, abs=0.01)
