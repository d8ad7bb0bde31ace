"""3-D consistency against closed forms (a wall seen by a camera that passes it) and against the world's own flow."""

import json
import math

import pytest
import torch

from pipeline_core.__main__ import main
from pipeline_core.conditions.cameras import Cameras, read_cameras
from pipeline_core.conditions.segmentation import TAG
from pipeline_core.errors import UserError
from pipeline_core.metrics.reprojection import GAP, Reprojection
from pipeline_core.world import drive_scene, make_scene
from pipeline_core.world import render as render_world

HEIGHT, WIDTH, FOCAL, AWAY, STEP = 48, 80, 60.0, 12.0, 0.25  # pixels, pixels, metres, metres a frame
FRAMES = 7


def passing(frames=FRAMES):
    """A camera that moves to the right, looking ahead."""
    poses = torch.eye(3, 4, dtype=torch.float64).repeat(frames, 1, 1)
    poses[:, 0, 3] = -STEP * torch.arange(frames)
    intrinsics = torch.tensor([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]], dtype=torch.float64)
    return Cameras(intrinsics, poses)


def wall(drift=0.0, frames=FRAMES):
    """What it sees of a wall that faces it; the texture slips by `drift` pixels to the right in every frame."""
    y, x = torch.meshgrid(torch.arange(HEIGHT) + 0.5, torch.arange(WIDTH) + 0.5, indexing="ij")
    clip = []
    for frame in range(frames):
        across = (x - WIDTH / 2 - drift * frame) * AWAY / FOCAL + STEP * frame
        up = (y - HEIGHT / 2) * AWAY / FOCAL
        waves = (0.5 + 0.2 * torch.sin(2.1 * across + c) + 0.2 * torch.cos(1.7 * up + 0.5 * across) for c in range(3))
        clip.append(torch.stack(list(waves), -1))
    return torch.stack(clip)


def measured(clip, tag="building", pieces=(FRAMES,)):
    metric = Reprojection(passing())
    depth, mask = torch.full(clip.shape[:3], AWAY), torch.full(clip.shape[:3], TAG[tag])
    for part, far, tags in zip(*(tensor.split(list(pieces)) for tensor in (clip, depth, mask))):
        metric.update(part, far, tags)
    return metric


def values(metric):
    return {name: figure.value for name, figure in metric.compute().items()}


def test_a_wall_passes_by_f_times_the_way_over_its_distance():
    moved, far = passing().displacement(torch.full((HEIGHT, WIDTH), AWAY), 4, 0)
    expected = torch.tensor([FOCAL * 4 * STEP / AWAY, 0.0])
    assert torch.allclose(moved, expected.expand_as(moved), atol=1e-4)
    assert torch.allclose(far, torch.full_like(far, AWAY))


def test_what_stands_where_it_should_has_no_shift():
    figures = values(measured(wall()))
    assert figures["reprojection_error"] < 0.002 and figures["reprojection_shift"] < 0.02


@pytest.mark.parametrize("drift", [0.05, 0.1])
def test_a_texture_that_slips_is_as_far_off_as_it_slipped(drift):
    figures = values(measured(wall(drift)))
    assert figures["reprojection_shift"] == pytest.approx(GAP * drift, rel=0.1)
    assert figures["reprojection_error"] > 2 * values(measured(wall()))["reprojection_error"]


def test_light_that_changes_is_an_error_but_no_shift():
    dimmed = wall() - 0.01 * torch.arange(FRAMES)[:, None, None, None]
    figures = values(measured(dimmed))
    assert figures["reprojection_error"] == pytest.approx(GAP * 0.01, rel=0.02)
    assert figures["reprojection_shift"] < 0.02


def test_pieces_give_what_the_whole_gives():
    whole, pieces = measured(wall(0.1)), measured(wall(0.1), pieces=(2, 4, 1))
    assert whole.series == pieces.series and len(whole.series["reprojection_shift"]) == FRAMES
    assert whole.series["reprojection_shift"][:GAP] == [None] * GAP


def test_a_turned_camera_keeps_the_wall_still():
    """R' R^T alone: the homography K R K^-1 of a pure rotation, whatever the depth."""
    angle = 0.02
    poses = torch.eye(3, 4, dtype=torch.float64).repeat(2, 1, 1)
    turn = torch.tensor([[math.cos(angle), 0, -math.sin(angle)], [0, 1, 0], [math.sin(angle), 0, math.cos(angle)]])
    poses[1, :, :3] = turn
    cameras = Cameras(passing().intrinsics, poses)
    near, far = (cameras.displacement(torch.full((HEIGHT, WIDTH), depth), 0, 1)[0] for depth in (2.0, 200.0))
    assert torch.allclose(near, far, atol=1e-3)
    centre = near[HEIGHT // 2, WIDTH // 2]
    assert centre[0] == pytest.approx(-FOCAL * math.tan(angle), abs=0.02)


def test_nothing_to_see_is_undefined_and_says_why():
    still = measured(wall(), tag="car").compute()["reprojection_shift"]
    assert still.value is None and "no static surface" in still.note
    short = Reprojection(passing())
    short.update(wall()[:2], torch.full((2, HEIGHT, WIDTH), AWAY), torch.ones(2, HEIGHT, WIDTH))
    assert "4 frames or fewer" in short.compute()["reprojection_error"].note
    with pytest.raises(UserError, match="give \\(T, H, W\\) of the same frames"):
        short.update(wall()[:2], torch.ones(2, 3, 3), torch.ones(2, 3, 3))


@pytest.mark.parametrize("scene", [make_scene(800001), make_scene(800002, version=2)], ids=["street", "town"])
def test_the_world_s_cameras_and_depth_give_its_flow(scene):
    frames, size = 3, (48, 80)
    seen = render_world(scene, range(frames), size, "synthetic")
    cameras = read_cameras({"cameras": scene.camera(torch.arange(frames), *size).matrices()}, frames)
    moved, _ = cameras.displacement(seen.depth[0], 0, 1)
    static = torch.isin(seen.classes[0], torch.tensor([1, 2, 3, 24], dtype=seen.classes.dtype))  # road to building
    static &= torch.isfinite(seen.flow[0]).all(-1)
    assert static.float().mean() > 0.2
    assert float((moved - seen.flow[0])[static].abs().max()) < 0.01


def test_the_report_has_it(tmp_path):
    clip, buffers = tmp_path / "drive.mp4", tmp_path / "drive_buffers"
    words = ["--seed", "800001", "--frames", "7", "--size", "48x80", "-o", str(clip), "--buffers", str(buffers)]
    assert main(["render", *words]) == 0
    scene = json.loads((buffers / "scene.json").read_text())
    assert len(scene["cameras"]["world_to_camera"]) == 7
    report = tmp_path / "report.json"
    command = ["metrics", str(clip), str(clip), "--only", "time", "--json", str(report)]
    assert main(command) == 0
    time = json.loads(report.read_text())["figures"]["time"]
    assert time["reprojection_shift"]["unit"] == "px" and time["reprojection_shift"]["value"] < 0.5


def test_frames_out_of_their_order_fail():
    drive, frames = drive_scene(800001, 13, 24.0), 13
    seen = render_world(drive, range(frames), (48, 80), "synthetic")
    cameras = {"cameras": drive.camera(torch.arange(frames), 48, 80).matrices()}
    right, wrong = (Reprojection(read_cameras(cameras, frames)) for _ in range(2))
    shuffled = torch.randperm(frames, generator=torch.Generator().manual_seed(0))
    right.update(seen.rgb, seen.depth, seen.classes)
    wrong.update(seen.rgb[shuffled], seen.depth, seen.classes)
    for name, value in values(right).items():
        assert values(wrong)[name] > 1.5 * value, name


@pytest.mark.parametrize(
    "stated",
    [
        [],
        {"intrinsics": [[1]]},
        {"intrinsics": [[0] * 3] * 3, "world_to_camera": [[[0] * 4] * 3] * 2},
        {"intrinsics": "a"},
    ],
)
def test_cameras_that_are_none_are_one_sentence(stated):
    with pytest.raises(UserError, match="are not those of 2 frames: write"):
        read_cameras({"cameras": stated}, 2)
    assert read_cameras({}, 2) is None
