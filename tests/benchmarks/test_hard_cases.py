"""Hard cases drawn from noise: their figures against what is known of a render itself and of none."""

import pytest
import torch

from benchmarks import hard_cases
from pipeline_core.diffusion import CFG
from pipeline_core.models.folders.loading import load_video_model

FRAMES, SIZE = 5, (32, 48)


@pytest.fixture(scope="module")
def cases():
    return hard_cases.render_cases([3], FRAMES, SIZE)


def test_a_render_keeps_its_own_geometry_and_layers_and_noise_does_not(cases):
    assert [case.take.alpha is None for case in cases] == [True, False]
    own = hard_cases.figures(cases, [case.take.rgb for case in cases])
    assert own["background_spread"] < 1e-3 and own["alpha_error"] < 0.05
    draw = torch.Generator().manual_seed(0)
    noise = hard_cases.figures(cases, [torch.rand(FRAMES, *SIZE, 3, generator=draw) for _ in cases])
    assert all(noise[name] > 3 * own[name] for name in hard_cases.FIGURES)


def test_cases_are_drawn_as_one_batch_and_each_has_words_and_maps_of_its_own(cases, model_folder):
    model = load_video_model(model_folder, precision="fp32")
    both = hard_cases.draw(model, cases, CFG(1.0))
    assert [frames.shape for frames in both] == [(FRAMES, *SIZE, 3)] * 2
    (alone,) = hard_cases.draw(model, cases[1:], CFG(1.0))
    assert torch.allclose(both[1], alone, atol=1e-3) and not torch.allclose(both[0], both[1], atol=1e-3)
