import torch
from safetensors.torch import save_file

from training.latents import fingerprint


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
