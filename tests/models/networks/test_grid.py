import torch

from pipeline_core.models.networks.grid import token_grid_weights


def test_weights_of_pixels_become_means_over_what_a_latent_place_covers():
    """As in a causal VAE: frame 0 has a latent frame alone, then four frames share one; 8x8 pixels share a place."""
    weights = torch.rand(9, 16, 24, generator=torch.Generator().manual_seed(0))
    pooled = token_grid_weights(weights, (3, 2, 3), (1, 1, 1))
    assert pooled.shape == (3, 2, 3)
    for t, frames in enumerate((slice(0, 1), slice(1, 5), slice(5, 9))):
        for y in range(2):
            for x in range(3):
                covered = weights[frames, 8 * y : 8 * y + 8, 8 * x : 8 * x + 8]
                torch.testing.assert_close(pooled[t, y, x], covered.mean())
    torch.testing.assert_close(token_grid_weights(weights[:1], (1, 2, 3), (1, 1, 1)), pooled[:1])
    # One mask for the whole clip, and a map that is in latent cells already.
    assert torch.equal(token_grid_weights(weights[:1], (3, 2, 3), (1, 1, 1)), pooled[:1].expand(3, 2, 3))
    torch.testing.assert_close(token_grid_weights(pooled, (3, 2, 3), (1, 1, 1)), pooled)
