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
    takes = [take for take, _ in cases]
    assert [take.alpha is None for take in takes] == [True, False]
    own = hard_cases.figures(takes, [take.rgb for take in takes])
    assert own["background_spread"] < 1e-3 and own["alpha_error"] < 0.05
    draw = torch.Generator().manual_seed(0)
    noise = hard_cases.figures(takes, [torch.rand(FRAMES, *SIZE, 3, generator=draw) for _ in takes])
    assert all(noise[name] > 3 * own[name] for name in hard_cases.FIGURES)


def test_each_case_is_drawn_by_words_and_maps_of_its_own(cases, model_folder):
    model = load_video_model(model_folder, precision="fp32")
    both = hard_cases.bench_of(model, cases).drawn(CFG(1.0))
    alone = hard_cases.bench_of(model, cases[1:]).drawn(CFG(1.0))
    assert torch.allclose(both[1], alone[0], atol=1e-3) and not torch.allclose(both[0], both[1], atol=1e-3)
