"""The preview's linear map: an exact one is found again, and the shipped one shows the embedded model's colours."""

import torch

from pipeline_core.models.folders.loading import EMBEDDED, load_part
from pipeline_core.models.folders.preset_file import read_latent_rgb
from training.latent_rgb import cell_pairs, explained, fit


def test_a_linear_map_is_found_again():
    generator = torch.Generator().manual_seed(0)
    cells, factors, bias = (torch.randn(s, generator=generator) for s in ((400, 5), (5, 3), (3,)))
    found, found_bias = fit(cells, cells @ factors + bias)
    torch.testing.assert_close(found, factors, atol=1e-5, rtol=0)
    torch.testing.assert_close(found_bias, bias, atol=1e-5, rtol=0)
    assert explained(cells, cells @ factors + bias, torch.zeros(5, 3), torch.zeros(3)) < 0.1


def test_the_shipped_map_belongs_to_the_shipped_vae(monkeypatch):
    monkeypatch.setattr("training.latent_rgb.STYLES", ("photoreal.day",))
    cells, colours = cell_pairs(load_part(EMBEDDED, "vae"), range(850_003, 850_004))
    factors, bias = (torch.tensor(value) for value in read_latent_rgb(EMBEDDED))
    assert explained(cells, colours, factors, bias) > 0.95
