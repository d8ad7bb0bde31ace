"""Structure from motion: alignment against closed forms, figures of a known model, and pycolmap where it is there."""

import math
from importlib.util import find_spec

import pytest
import torch

from pipeline_core.conditions.cameras import Cameras, read_cameras
from pipeline_core.metrics import colmap
from pipeline_core.metrics.colmap import ColmapConsistency, Reconstruction, pose_errors, umeyama
from pipeline_core.world.studio.paths import Path
from pipeline_core.world.studio.render import render_stage
from pipeline_core.world.studio.skeleton import about_x, about_y
from pipeline_core.world.studio.stage import make_stage

COUNT = 12


def orbit():
    """True poses (F, 3, 4) of an orbit, in the world's left-handed frame as `read_cameras` gives them."""
    camera = Path((0.0, 1.0, 0.0), 6.0, 2.0, 0.3, 2.0, COUNT).camera(torch.arange(COUNT), 48, 80)
    return read_cameras({"cameras": camera.matrices()}, COUNT)


def in_another_world(truth, scale=0.2):
    """The same cameras as COLMAP would give them: right-handed, turned, shrunk and shifted."""
    down = torch.diag(torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64))
    turn = about_y(torch.tensor(0.7, dtype=torch.float64)) @ about_x(torch.tensor(-0.4, dtype=torch.float64))
    rotation = truth[:, :, :3] @ down @ turn
    places = -(truth[:, :, :3].mT @ truth[:, :, 3:])[..., 0] @ down @ turn * scale + torch.tensor([1.0, 2.0, 3.0])
    return torch.cat([rotation, -(rotation @ places[..., None])], -1)


def test_umeyama_undoes_a_similarity():
    points = torch.randn(9, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    turn = about_y(torch.tensor(2.5, dtype=torch.float64)) @ about_x(torch.tensor(1.1, dtype=torch.float64))
    rotation, scale, shift = umeyama(points, 3.0 * points @ turn.mT + torch.tensor([1.0, -2.0, 0.5]))
    assert torch.allclose(rotation, turn, atol=1e-9) and float(scale) == pytest.approx(3.0)
    assert torch.allclose(shift, torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64), atol=1e-9)


def test_poses_of_another_world_have_no_error_and_turned_ones_their_angle():
    truth = orbit().world_to_camera
    poses = in_another_world(truth)
    assert pose_errors(poses, truth) == pytest.approx((0.0, 0.0), abs=1e-5)
    # All cameras nod by 3 degrees about their own places.
    nod = about_x(torch.tensor(math.radians(3.0), dtype=torch.float64))
    angle, distance = pose_errors(nod @ poses, truth)
    assert angle == pytest.approx(3.0, abs=1e-4) and distance < 1e-6
    mixed = poses[torch.randperm(COUNT, generator=torch.Generator().manual_seed(3))]
    assert pose_errors(mixed, truth)[0] > 20


def model_of(poses, error=0.3):
    return Reconstruction(list(range(len(poses))), poses, torch.full((50,), error), 40, 3.5)


def measured(monkeypatch, model, cameras):
    monkeypatch.setattr(colmap, "reconstruct", lambda *words: model)
    metric = ColmapConsistency(cameras)
    for length in (5, 5, 2):
        metric.update(torch.zeros(length, 16, 16, 3))
    return {name: figure.value for name, figure in metric.compute().items()}


def test_success_asks_for_frames_sharpness_and_true_poses(monkeypatch):
    cameras = orbit()
    poses = in_another_world(cameras.world_to_camera)
    figures = measured(monkeypatch, model_of(poses), cameras)
    assert figures["colmap_success"] == 1.0 and figures["colmap_error"] == pytest.approx(0.3)
    assert figures["colmap_points"] == 40 and figures["colmap_track"] == 3.5
    assert measured(monkeypatch, model_of(poses, error=1.5), cameras)["colmap_success"] == 0.0
    assert measured(monkeypatch, model_of(poses[:9]), cameras)["colmap_success"] == 0.0  # 9 of 12 are too few
    assert measured(monkeypatch, model_of(poses.flip(0)), cameras)["colmap_success"] == 0.0
    unknown = measured(monkeypatch, model_of(poses.flip(0)), None)
    assert unknown["colmap_success"] == 1.0 and unknown["colmap_rotation_error"] is None
    nothing = measured(monkeypatch, None, cameras)
    assert nothing["colmap_success"] == 0.0 and nothing["colmap_error"] is None


def test_long_clips_are_thinned_evenly(monkeypatch):
    used = []
    monkeypatch.setattr(colmap, "reconstruct", lambda folder, numbers, known: used.extend(numbers))
    metric = ColmapConsistency()
    metric.update(torch.zeros(130, 16, 16, 3))
    assert "every 3 frames" in metric.compute()["colmap_success"].note and used == list(range(0, 130, 3))


@pytest.mark.skipif(not find_spec("pycolmap"), reason="pycolmap is not installed")
def test_pycolmap_finds_the_cameras_of_a_rendered_orbit_and_not_of_a_shuffled_one():
    stage = make_stage(800001, "orbit", frames=10, sweep=40)
    take = render_stage(stage, None, (144, 240), "photoreal", "low")
    cameras = read_cameras({"cameras": take.camera.matrices()}, 10)
    figures = []
    for order in (torch.arange(10), torch.tensor([4, 0, 7, 2, 9, 5, 1, 8, 3, 6])):
        metric = ColmapConsistency(Cameras(cameras.intrinsics, cameras.world_to_camera))
        metric.update(take.rgb[order])
        figures.append({name: figure.value for name, figure in metric.compute().items()})
    true, shuffled = figures
    assert true["colmap_success"] == 1.0 and true["colmap_error"] < 1 and true["colmap_rotation_error"] < 2
    assert shuffled["colmap_success"] == 0.0
