"""A prompt that contradicts its clip is warned of before anything runs; networks are stubs that say known numbers."""

import pytest
import torch

from pipeline_core.conditions.estimated import Agreement, Estimators
from pipeline_core.job.contradiction import contradiction
from pipeline_core.job.plan import prepare
from pipeline_core.job.settings import EnhanceSettings
from pipeline_core.models.folders.loading import load_video_model

SIZE = (32, 48)
FRAMES = torch.rand(5, *SIZE, 3, generator=torch.Generator().manual_seed(0))
pytestmark = pytest.mark.usefixtures("without_own_networks")


@pytest.fixture(scope="module")
def model(model_folder):
    return load_video_model(model_folder, precision="fp32")


def says(odds):
    """Estimators whose network gives every text the odds of the first words that it begins with."""

    def log_odds(frames, texts):
        return torch.tensor([[next(odds[w] for w in odds if t.startswith(w)) for t in texts]] * len(frames))

    return Estimators(agreement=Agreement(log_odds, 2.0, "stub"))


def test_only_what_is_said_of_the_clip_counts():
    odds = says({"real, empty": -3.0, "real, cars": 2.0, "real": 1.0}).agreement
    values = [contradiction(odds, FRAMES, prompt, "real") for prompt in ("real, cars", "real", "real, empty")]
    assert values == [-1, 0, 4]


def warnings(model, settings, estimators, read=lambda: iter(FRAMES)):
    return prepare(5, SIZE, model, settings, estimators=estimators, read=read, description="cars").report.warnings


def test_a_prompt_that_contradicts_the_clip_is_warned_of_in_one_sentence(model):
    preset, prompt = model.preset, EnhanceSettings(prompt="no cars at all")
    strange = says({"no cars": -2.1, preset.prompt: 0.0})
    (warning,) = warnings(model, prompt, strange)
    assert "stub sees it in the frames less than the preset's own prompt" in warning
    assert warnings(model, prompt, says({"no cars": -1.9, preset.prompt: 0.0})) == []
    assert warnings(model, EnhanceSettings(), strange) == []  # the preset's own prompt
    assert warnings(model, prompt, strange, read=None) == []
    assert warnings(model, prompt, Estimators()) == []
