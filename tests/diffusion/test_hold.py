"""Holding places to the source, against closed forms and a count of pixels cell by cell."""

import pytest
import torch

from pipeline_core.diffusion import VE, held, latent_places, sample
from pipeline_core.errors import UserError

SHAPE = (2, 3, 3, 4, 5)
GRID = torch.tensor([20.0, 5.0, 1.0, 0.2, 0.02])


@pytest.fixture
def x0():
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture
def places():
    cells = torch.zeros(1, 1, *SHAPE[2:], dtype=torch.float64)
    cells[..., 1:3, 2:4] = 1
    return cells


def style(x0):
    """What a style that adds the same to every cell of a channel makes of the source."""
    return x0 + torch.tensor([0.5, -2.0, 3.0], dtype=x0.dtype).view(1, 3, 1, 1, 1)


@pytest.mark.parametrize("weight", [0.4, 1.0])
def test_what_only_changes_style_is_left_as_it_is(x0, places, weight):
    answer = held(lambda x, sigma: style(x0), x0, places, weight)(x0, 3.0)
    assert torch.allclose(answer, style(x0), atol=1e-12)


@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
def test_what_loses_a_place_gets_the_source_in_the_style_of_the_rest(x0, places, weight):
    lost = style(x0) * (1 - places) + 7 * places
    answer = held(lambda x, sigma: lost, x0, places, weight)(x0, 3.0)
    inside = places.expand(SHAPE) == 1
    assert torch.equal(answer[~inside], lost[~inside])
    wanted = weight * style(x0) + (1 - weight) * lost
    assert torch.allclose(answer[inside], wanted[inside], atol=1e-12)


def test_what_strays_no_farther_than_the_style_does_elsewhere_is_left_alone(x0, places):
    """Elsewhere every cell strays by 1 or -1 (RMS 1, mean 0); inside one cell by .9 of that, one by 4."""
    checks = torch.tensor([1.0, -1.0], dtype=x0.dtype).repeat(30)[: 4 * 5].view(4, 5).expand(SHAPE[2:])
    stray = (checks * (1 - places[0, 0])).clone()
    stray -= stray.sum() / (1 - places).sum() * (1 - places[0, 0])
    usual = float(stray.abs().sum() / (1 - places).sum())
    stray[:, 1, 2], stray[:, 2, 3] = 0.9 * usual, 4 * usual
    answer = held(lambda x, sigma: style(x0) + stray, x0, places, 1.0)(x0, 3.0)
    kept = answer - style(x0)
    outside = (places == 0)[0, 0]
    assert torch.allclose(kept[:, :, outside], stray[outside].expand(2, 3, -1), atol=1e-12)
    assert torch.allclose(kept[..., 1, 2], torch.tensor(0.9 * usual, dtype=x0.dtype), atol=1e-12)
    assert torch.allclose(kept[..., 2, 3], torch.tensor(usual, dtype=x0.dtype), atol=1e-12)


def test_where_all_is_held_the_source_comes_back_from_any_noise(x0):
    noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    denoise = held(lambda x, sigma: torch.tanh(x), x0, torch.ones(1, 1, *SHAPE[2:]), 1.0)
    result = sample(denoise, noise, GRID, VE, x0=x0, solver="ddim", state_dtype=torch.float64)
    assert torch.allclose(result - 0.02 * noise, x0, atol=1e-12)


def test_below_the_lowest_level_the_network_alone_paints(x0, places):
    asked = []

    def denoise(x, sigma):
        asked.append(sigma)
        return 7 * torch.ones_like(x)

    holding = held(denoise, x0, places, 1.0, lowest=1.0)
    changed = [not torch.equal(holding(x0, sigma), 7 * torch.ones_like(x0)) for sigma in (5.0, 1.0, 0.99, 0.1)]
    assert changed == [True, True, False, False] and asked == [5.0, 1.0, 0.99, 0.1]


def test_a_sample_of_a_batch_has_its_own_places_and_its_own_style(x0, places):
    both = torch.cat([places, 1 - places])
    lost = torch.randn(SHAPE, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    together = held(lambda x, sigma: lost, x0, both, 0.7)(x0, 3.0)
    for i in range(2):
        alone = held(lambda x, sigma, i=i: lost[i : i + 1], x0[i : i + 1], both[i : i + 1], 0.7)(x0[i : i + 1], 3.0)
        assert torch.allclose(together[i : i + 1], alone, atol=1e-12)


@pytest.mark.parametrize("frames, latent_frames", [(17, 5), (9, 9), (1, 1), (25, 4)])
def test_a_cell_is_held_when_any_of_its_pixels_is(frames, latent_frames):
    mask = torch.rand(frames, 24, 40, generator=torch.Generator().manual_seed(frames)) > 0.985
    found = latent_places(mask, (latent_frames, 3, 5))
    ratio = (frames - 1) // max(latent_frames - 1, 1)
    assert found.shape == (1, 1, latent_frames, 3, 5) and 0 < found.mean() < 1
    for t in range(latent_frames):
        span = slice(0, 1) if t == 0 else slice(1 + ratio * (t - 1), 1 + ratio * t)
        for i in range(3):
            for j in range(5):
                pixels = mask[span, 8 * i : 8 * i + 8, 8 * j : 8 * j + 8]
                assert bool(found[0, 0, t, i, j]) == bool(pixels.any())


def test_one_mask_stands_for_all_frames():
    mask = torch.zeros(1, 16, 16)
    mask[0, 3, 12] = 0.5
    found = latent_places(mask, (4, 2, 2))
    assert torch.equal(found[0, 0], torch.tensor([[0.0, 0.5], [0.0, 0.0]]).expand(4, 2, 2))


def test_what_does_not_fit_is_one_sentence(x0, places):
    with pytest.raises(UserError, match="change weight"):
        held(torch.tanh, x0, places, 1.5)
    with pytest.raises(UserError, match="change places"):
        held(torch.tanh, x0, places[..., :-1], 0.5)
    with pytest.raises(UserError, match="has 3 frames for 5 latent frames"):
        latent_places(torch.zeros(3, 8, 8), (5, 1, 1))
