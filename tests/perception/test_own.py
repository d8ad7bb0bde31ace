"""The world's own networks: where they are, whose frames they know, and what a job does with them."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from tiny_metrics import save_clip

from pipeline_core.conditions.maps import window_maps
from pipeline_core.errors import UserError
from pipeline_core.job.own_maps import OWN_MAPS
from pipeline_core.job.plan import prepare
from pipeline_core.job.run import run
from pipeline_core.job.settings import EnhanceSettings
from pipeline_core.models.folders.loading import load_video_model
from pipeline_core.perception import own, world_distance
from pipeline_core.perception.estimators import estimated_limits, load_estimators
from pipeline_core.perception.text_image import LIMIT_FILE
from training.perception.world import normal

SIZE = (32, 48)
GREYS = torch.rand(5, *SIZE, 1, generator=torch.Generator().manual_seed(1)).expand(-1, -1, -1, 3).contiguous()


def test_the_distance_is_that_of_one_normal_distribution():
    features = torch.randn(400, 3, generator=torch.Generator().manual_seed(0)) @ torch.tensor(
        [[2.0, 0.5, 0], [0, 1, 0], [0, 0, 3]]
    )
    mean, precision = normal(features)
    distances = world_distance.distances_to(features.double(), mean.double(), precision.double())
    assert float(distances.square().mean()) == pytest.approx(1, rel=0.05)  # 1 without the shrinkage
    away = mean.double() + torch.tensor([[0.0, 0, 0], [60, 0, 0]], dtype=torch.float64)
    assert world_distance.distances_to(away, mean.double(), precision.double())[0] == 0
    assert world_distance.distances_to(away, mean.double(), precision.double())[1] > 10


@pytest.fixture
def folders(depth_folder, segmentation_folder, tmp_path, monkeypatch):
    """models/perception with tiny random networks, whose world is grey."""
    for name, folder in (("depth", depth_folder), ("segmentation", segmentation_folder)):
        (tmp_path / name).mkdir()
        for path in folder.iterdir():
            (tmp_path / name / path.name).symlink_to(path)
    (tmp_path / "depth" / "preprocessor_config.json").write_text('{"size": {"height": 32, "width": 32}}')
    features = world_distance.pooled_features(tmp_path / "depth", "cpu")(GREYS)
    mean, precision = features.mean(0), torch.diag(1 / features.std(0).clamp(min=1e-3).square())
    far = world_distance.distances_to(features.double(), mean.double(), precision.double()).max()
    world = {"mean": mean[None], "precision": world_distance.lower_half(precision)[None], "limit": 2 * far.float()}
    save_file(world, str(tmp_path / "depth" / world_distance.STATISTICS))
    monkeypatch.setattr(own, "OWN", tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def model(model_folder):
    return load_video_model(model_folder, precision="fp32")


SETTINGS = EnhanceSettings(
    start="sdedit", strength=0.9, steps=2, controls={"edge": 1.0, "depth": 1.0, "segmentation": 1.0}
)


def test_a_clip_of_the_world_without_buffers_gets_the_maps_of_its_own_networks(model, folders):
    job = prepare(5, SIZE, model, SETTINGS, read=lambda: iter(GREYS))
    assert set(job.weights) == {"edge", *OWN_MAPS} and set(job.report.plan["estimated"]) == set(OWN_MAPS)
    for name in OWN_MAPS:
        sentence = f"The {name} map was estimated from the frames by models/perception/{name}"
        assert any(note.startswith(sentence) for note in job.report.notes)
    released = load_estimators(folders / "depth", folders / "segmentation", "cpu")
    limits = estimated_limits(released.depth, iter(GREYS), "quantiles")
    assert job.limits == limits
    expected, ours = (
        window_maps(SETTINGS.controls, GREYS, 0, None, estimators, limits) for estimators in (released, job.estimators)
    )
    assert all(torch.equal(expected[name], ours[name]) for name in SETTINGS.controls)
    assert len(list(run(job, iter(GREYS)))) == 5


def test_a_foreign_clip_gets_a_sentence_and_no_such_maps(model, folders):
    colours = torch.rand(5, *SIZE, 3, generator=torch.Generator().manual_seed(2)) ** 4
    report = prepare(5, SIZE, model, SETTINGS, read=lambda: iter(colours)).report
    assert report.plan["estimated"] == {} and set(report.plan["controls"]) == {"edge"}
    assert any("the clip is not of it (distance" in note for note in report.notes)
    assert any("No depth and no segmentation control" in note for note in report.notes)


def test_the_text_image_network_is_asked_about_clips_of_the_world_alone(model, folders):
    settings = replace(SETTINGS, prompt="a street")
    colours = torch.rand(5, *SIZE, 3, generator=torch.Generator().manual_seed(2)) ** 4

    def warnings(frames):
        return prepare(5, SIZE, model, settings, read=lambda: iter(frames)).report.warnings

    assert warnings(GREYS) == []  # no such network
    save_clip(folders / "text_image")
    assert warnings(GREYS) == []  # nobody knows its limit
    (folders / "text_image" / LIMIT_FILE).write_text('{"limit": -1000}')
    (warning,) = warnings(GREYS)
    assert "models/perception/text_image, the world's own network" in warning
    assert warnings(colours) == []
    (folders / "text_image" / LIMIT_FILE).write_text('{"limit": null}')
    with pytest.raises(UserError, match="holds no limit"):
        warnings(GREYS)


def test_only_what_is_missing_is_estimated(model, folders):
    maps = {"depth": torch.zeros(5, *SIZE)}
    plan = prepare(5, SIZE, model, SETTINGS, read=lambda: iter(GREYS), maps=maps).report.plan
    assert set(plan["estimated"]) == {"segmentation"}
    edges = EnhanceSettings(controls={"edge": 1.0})
    asked = []
    plan = prepare(5, SIZE, model, edges, read=lambda: asked.append(1) or iter(GREYS)).report.plan
    assert plan["estimated"] == {} and not asked


def test_a_model_that_was_named_goes_before_the_worlds_own(model, folders, depth_folder):
    named = load_estimators(depth=depth_folder, device="cpu")
    plan = prepare(5, SIZE, model, SETTINGS, estimators=named, read=lambda: iter(GREYS)).report.plan
    assert plan["estimated"]["depth"] == depth_folder.name
    assert plan["estimated"]["segmentation"].startswith("models/perception/segmentation")


def test_without_weights_or_statistics_everything_is_as_without_the_networks(model, folders):
    (folders / "depth" / world_distance.STATISTICS).unlink()
    report = prepare(5, SIZE, model, SETTINGS, read=lambda: iter(GREYS)).report
    assert report.plan["estimated"] == {} and any("No depth and no segmentation" in note for note in report.notes)
    assert not any("pack's own" in note for note in report.notes)


def test_statistics_that_are_none_are_refused_in_a_sentence(folders):
    save_file({"mean": torch.zeros(3)}, str(folders / "depth" / world_distance.STATISTICS))
    with pytest.raises(UserError, match="holds no statistics"):
        world_distance.load_world_distance(folders / "depth", "cpu")
