"""Channel weights against a linear decoder, whose energy per channel is known in closed form."""

from types import SimpleNamespace

import torch

from training.channel_weights import channel_weights, decoder_energy

GAINS = torch.tensor([3.0, 1.0, 0.5])


class LinearDecoder(torch.nn.Module):
    """Each latent channel is one colour channel times its gain."""

    def __init__(self):
        super().__init__()
        self.gains = torch.nn.Parameter(GAINS.view(-1, 1, 1, 1))
        self.config = {"latents_mean": [0.0] * 3, "latents_std": [1.0] * 3, "scaling_factor": 1.0}

    def decode(self, latent):
        return SimpleNamespace(sample=latent * self.gains)


def test_energy_of_a_linear_decoder_is_its_squared_gain():
    # Frames are half the decoder's range, so each channel adds (gain / 2)^2 to one of three colours. The noise is
    # small enough that nothing is clamped.
    energy = decoder_energy(LinearDecoder(), torch.zeros(1, 3, 4, 32, 32), size=0.05)
    assert torch.allclose(energy, (GAINS / 2) ** 2 / 3, rtol=0.05)


def test_weights_have_mean_one_and_keep_half_even():
    weights = channel_weights(torch.tensor([8.0, 1.0, 0.0]))
    assert weights.shape == (3, 1, 1, 1)
    assert torch.allclose(weights.flatten(), torch.tensor([0.5 + 0.5 * 8 / 3, 0.5 + 0.5 / 3, 0.5]))
    assert torch.isclose(weights.mean(), torch.tensor(1.0))
