"""Oracles: stand-in models whose answer is known, tiny random networks of the real classes on a real file."""

import pytest
import torch
from rounding import share_of_others

from pipeline_core.__main__ import main
from pipeline_core.conditions.buffers import open_buffers
from pipeline_core.conditions.depth import FAR_PLANE, disparity_map
from pipeline_core.conditions.estimated import USUAL_DISTANCE, Estimators, estimated_depth
from pipeline_core.conditions.smoothing import smooth_depth
from pipeline_core.perception.estimators import load_estimators
from pipeline_core.video.media import read_clip, write_clip

T, H, W = 19, 32, 48  # three chunks, the last of three frames


@pytest.fixture(scope="module")
def frames():
    return 0.05 + 0.9 * torch.rand(T, H, W, 3, generator=torch.Generator().manual_seed(4))


def distance(clip):
    """A model's answer in a unit of its own: brightness, and sky in the first row."""
    values = 0.01 * clip.mean(-1)
    values[:, 0] = FAR_PLANE
    return values


def test_a_clip_of_no_known_unit_is_scaled_as_a_whole(frames):
    depth = torch.stack(list(estimated_depth(iter(frames), Estimators(depth=distance))))
    expected = distance(frames)
    near = expected < FAR_PLANE
    ratio = depth[near] / expected[near]
    assert float(ratio.max() / ratio.min()) == pytest.approx(1, abs=1e-5)
    assert float(depth[0][near[0]].median()) == pytest.approx(USUAL_DISTANCE, rel=1e-5)
    assert bool((depth[~near] == FAR_PLANE).all())


def test_metres_stay_metres(frames):
    metric = Estimators(depth=distance, depth_in_metres=True)
    depth = torch.stack(list(estimated_depth(iter((frames * 255).byte()), metric)))
    assert torch.equal(depth, distance((frames * 255).byte().float() / 255))


def test_smoothing_runs_over_the_borders_of_chunks(frames):
    metric = Estimators(depth=distance, depth_in_metres=True)
    depth = torch.stack(list(estimated_depth(iter(frames), metric, smoothing=3)))
    assert torch.allclose(depth, torch.cat(list(smooth_depth([distance(frames)], 3))).clamp(max=FAR_PLANE))
    assert not torch.allclose(depth, distance(frames), rtol=1e-3)


def test_the_command_writes_what_the_models_see(tmp_path, frames, depth_folder, segmentation_folder):
    clip = tmp_path / "clip.mp4"
    write_clip(clip, frames, 24)
    models = ["--depth-model", str(depth_folder), "--segmentation-model", str(segmentation_folder)]
    assert main(["buffers", str(clip), *models, "--smooth", "2"]) == 0
    made, seen = open_buffers(tmp_path / "clip_buffers", clip), read_clip(clip)
    assert set(made.channels) == {"depth", "semantic"} and made.frames == T
    estimators = load_estimators(depth_folder, segmentation_folder)
    assert share_of_others(made.classes(), estimators.segmentation(seen)) < 1e-3
    depth = torch.stack(list(estimated_depth(iter(seen), estimators, 2)))
    limits = (0.0, float(1 / depth.min()))
    assert torch.allclose(disparity_map(made.depth(), limits), disparity_map(depth, limits), atol=2e-3)


@pytest.mark.parametrize("given", [["--smooth", "2"], ["--smooth", "2", "--segmentation-model", "HERE"]])
def test_smoothing_of_nothing_is_refused(tmp_path, frames, segmentation_folder, capsys, given):
    clip = tmp_path / "clip.mp4"
    write_clip(clip, frames[:3], 24)
    assert main(["buffers", str(clip), *[str(segmentation_folder) if word == "HERE" else word for word in given]]) == 2
    assert "--depth-model" in capsys.readouterr().err
    assert not (tmp_path / "clip_buffers").exists()
