"""Signs held to the clip's colours: in a job of the embedded model that loses one, and in what a job says of it."""

from dataclasses import replace

import pytest
import torch

from benchmarks.embedded import colour_metrics
from pipeline_core.conditions.estimated import Estimators
from pipeline_core.conditions.segmentation import TAG
from pipeline_core.enhance import enhance
from pipeline_core.job.inputs import window_inputs
from pipeline_core.job.plan import prepare
from pipeline_core.job.settings import EnhanceSettings
from pipeline_core.models.folders.loading import load_video_model
from pipeline_core.world import RenderedBuffers, make_scene, render, render_styles

LOSES_A_SIGN = 800_058  # a tuning scene


@pytest.fixture(scope="module")
def model(model_folder):
    return load_video_model(model_folder, precision="fp32")


def job(model, clip, **more):
    settings = EnhanceSettings(hold_signs=1.0, start="sdedit", steps=3)
    return prepare(len(clip.rgb), clip.rgb.shape[1:3], model, settings, **more)


def places(job, clip):
    return window_inputs(job, 0, clip.rgb)["places"]


def test_a_sign_that_a_job_loses_is_kept():
    clips = render_styles(make_scene(LOSES_A_SIGN), 17, (96, 160), ("synthetic", "photoreal.day"))
    source, twin, embedded = clips["synthetic"], clips["photoreal.day"].rgb, load_video_model()
    kept, error = {}, {}
    for weight in (0.0, 1.0):
        result, report = enhance(source.rgb, embedded, EnhanceSettings(hold_signs=weight), RenderedBuffers(source))
        metric = colour_metrics(source)["signs"]
        metric.update(result, twin, source.classes, source.instances)
        kept[weight] = [view.kept for view in metric.decisions]
        error[weight] = float((result - twin).square().mean())
        assert any("signs were held" in note for note in report.notes) == bool(weight)
    assert not all(kept[0.0]) and all(kept[1.0])
    assert error[1.0] < 1.1 * error[0.0]


def test_places_are_the_signs_of_the_buffers_or_else_of_a_model(model):
    clip = render(make_scene(LOSES_A_SIGN), 17, (32, 48))
    known = places(job(model, clip, buffers=RenderedBuffers(clip)), clip)
    assert known.shape == (1, 1, 5, 4, 6) and 0 < known.mean() < 1
    asked = []

    def segmentation(frames):
        asked.append(len(frames))
        return clip.classes[: len(frames)]

    seen = Estimators(segmentation=segmentation)
    assert torch.equal(places(job(model, clip, estimators=seen), clip), known)
    assert asked == [17], "once for maps and places"
    # A sign that the model's size hides is still in the classes' own.
    tiny = torch.zeros_like(clip.classes).repeat_interleave(4, 1).repeat_interleave(4, 2)
    tiny[:, 5, 7] = TAG["traffic sign"]
    large = replace(clip, classes=tiny)
    assert float(places(job(model, clip, buffers=RenderedBuffers(large)), clip).sum()) == 5


@pytest.mark.parametrize("handover", ["none", "fused"])
def test_a_long_clip_that_is_all_signs_comes_back_from_any_noise(model, handover, monkeypatch):
    """Held to the last level, whatever the tiny model's random weights say."""
    monkeypatch.setattr("pipeline_core.job.latent.HELD_FROM", 0.0)
    clip = render(make_scene(3), 25, (32, 48))
    signs = replace(clip, classes=torch.full_like(clip.classes, TAG["traffic sign"]))
    settings = EnhanceSettings(start="sdedit", steps=4, handover=handover, detail=0.0, hold_signs=1.0, controls={})
    whole, little = (
        enhance(clip.rgb, model, replace(settings, strength=share), RenderedBuffers(signs))[0] for share in (1.0, 0.03)
    )
    free = enhance(clip.rgb, model, replace(settings, hold_signs=0.0), RenderedBuffers(signs))[0]
    assert float((whole - little).abs().max()) < 1e-3 < 0.05 < float((whole - free).abs().max())


def test_without_classes_a_job_says_that_nothing_was_held(model, without_own_networks):
    clip = render(make_scene(3), 5, (32, 48))
    notes = job(model, clip).report.notes
    assert sum("No traffic signs were held" in note for note in notes) == 1
