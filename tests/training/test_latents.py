import torch
from safetensors.torch import save_file

from training.latents import fingerprint, over_latents


def mark(folder, **changes):
    weights = {name: torch.zeros(3) for name in ("encoder.conv.weight", "decoder.conv.weight", "latents_mean")}
    save_file(weights | {name.replace("_conv", ".conv.weight"): value for name, value in changes.items()},
              str(folder / "vae.safetensors"))  # fmt: skip
    return fingerprint(folder)


def test_latents_belong_to_an_encoder_and_its_normalisation_not_to_a_decoder(tmp_path):
    before = mark(tmp_path)
    assert mark(tmp_path, decoder_conv=torch.ones(3)) == before
    assert mark(tmp_path, encoder_conv=torch.ones(3)) != before
    assert mark(tmp_path, latents_mean=torch.ones(3)) != before


def test_weights_of_pixels_become_means_over_what_a_latent_place_covers():
    """Frame 0 has a latent frame of its own, then four frames share one; 8x8 pixels share a place."""
    weights = torch.rand(9, 16, 24, generator=torch.Generator().manual_seed(0))
    pooled = over_latents(weights, (3, 2, 3))
    assert pooled.shape == (3, 2, 3)
    for t, frames in enumerate((slice(0, 1), slice(1, 5), slice(5, 9))):
        for y in range(2):
            for x in range(3):
                covered = weights[frames, 8 * y : 8 * y + 8, 8 * x : 8 * x + 8]
                torch.testing.assert_close(pooled[t, y, x], covered.mean())
    torch.testing.assert_close(over_latents(weights[:1], (1, 2, 3)), pooled[:1])
