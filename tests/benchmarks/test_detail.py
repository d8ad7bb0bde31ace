"""The model itself at twice its size against delivery: the delivered figures are the table's, the others a job's."""

from dataclasses import replace

import pytest

from benchmarks import detail
from pipeline_core.enhance import EnhanceSettings, enhance
from pipeline_core.models.folders.loading import load_video_model
from pipeline_core.world import RenderedBuffers, make_scene, render_styles


def test_twice_the_size_is_delivered_and_made_by_the_model_itself(model_folder, monkeypatch):
    monkeypatch.setattr(detail, "FRAMES", 5)
    monkeypatch.setattr(detail, "SIZE", (32, 48))
    model = load_video_model(model_folder, precision="fp32")
    delivered, own = detail.twice(model, 3)
    (listed,) = detail.rows_of_scene(model, 3, 2, ("day",), (detail.DEFAULT,))
    assert {name: delivered[name] for name in ("psnr", "sharpness", "flicker")} == {
        name: pytest.approx(listed[name], rel=1e-5) for name in ("psnr", "sharpness", "flicker")
    }
    clips = render_styles(make_scene(3), 5, (64, 96), ("synthetic", "photoreal.day"))
    source, twin = clips["synthetic"], clips["photoreal.day"].rgb
    # At its own size no detail is transferred, whatever its share.
    large = replace(model, preset=replace(model.preset, size=(64, 96)))
    frames, report = enhance(source.rgb, large, EnhanceSettings(), RenderedBuffers(source))
    assert report.plan["work_size"] == [64, 96] and own["seconds"] > 0
    assert (
        own["psnr"] == pytest.approx(detail.psnr(frames, twin), abs=1e-4) != pytest.approx(delivered["psnr"], abs=0.1)
    )
