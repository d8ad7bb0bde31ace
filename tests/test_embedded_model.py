"""The shipped weights do their job on a scene they were neither trained nor tuned on (a validation seed)."""

from dataclasses import replace

import pytest
import torch

from benchmarks.embedded import RenderedBuffers
from pipeline_core.enhance import enhance
from pipeline_core.job.settings import EnhanceSettings
from pipeline_core.models.folders.loading import EMBEDDED, load_video_model
from pipeline_core.world import make_scene, render_styles


@pytest.fixture(scope="module")
def model():
    return load_video_model()


@pytest.fixture(scope="module")
def pair():
    clips = render_styles(make_scene(850_001), 17, (96, 160), ("synthetic", "photoreal.day"))
    return clips["synthetic"], clips["photoreal.day"]


def psnr(a, b):
    return float(-10 * torch.log10((a - b).square().mean()))


def test_the_weights_fit_the_promised_size():
    assert sum(path.stat().st_size for path in EMBEDDED.parent.rglob("*.safetensors")) < 48e6


def test_the_default_job_comes_much_nearer_to_the_photoreal_twin(model, pair):
    source, twin = pair
    result, report = enhance(source.rgb, model, buffers=RenderedBuffers(source))
    assert result.shape == source.rgb.shape and report.notes == list(model.notes)
    assert psnr(result, twin.rgb) > psnr(source.rgb, twin.rgb) + 4
    # The exact method spends one call a step, and the report says so.
    inversion = report.windows[0]["inversion"]
    assert inversion["calls"] == report.settings["steps"]


def test_inversion_and_retracing_give_the_source_back(model, pair):
    from pipeline_core.diffusion import VE, invert, karras_sigmas

    source, _ = pair
    text = {"inversion": model.encode_text([model.preset.inversion_prompt])}
    predict = model.predictor(text, {}, {}, VE)
    latent = model.encode(source.rgb)
    grid = karras_sigmas(8, model.preset.sigma_min, model.preset.sigma_max)
    report = invert(lambda x, s: predict(x, s, ["inversion"])[0], latent, grid, round_trip=True).report
    assert report.round_trip < 1e-10


def test_a_night_prompt_makes_the_same_street_darker(model, pair):
    source, _ = pair
    settings = EnhanceSettings(steps=10)
    day, night = (
        enhance(
            source.rgb,
            model,
            replace(settings, prompt=f"a photorealistic dashcam video, {look}"),
            RenderedBuffers(source),
        )[0]
        for look in ("on a clear sunny day", "at night, street lights")
    )
    assert float(night.mean()) < float(day.mean()) - 0.04
