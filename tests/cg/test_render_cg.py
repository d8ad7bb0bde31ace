"""render-cg: what it writes is read back by the formats' own rules; run again it goes on."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline_core.__main__ import main
from pipeline_core.cg import make
from pipeline_core.cg.formats import DOWN, colmap_poses, quaternions
from pipeline_core.conditions.buffers import open_buffers
from pipeline_core.finetune.clips import read_clips
from pipeline_core.video import media
from pipeline_core.world.studio.paths import Path
from pipeline_core.world.studio.skeleton import COCO
from pipeline_core.world.studio.stage import make_stage

SMALL = ["--frames", "4", "--size", "48x80", "--quality", "low", "--seed", "800000"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("cg") / "clips"
    command = ["render-cg", str(out), "--clips", "1", "--kind", "people,orbit,layers", "--buffers", *SMALL]
    assert main(command) == 0
    return out


def rows_of(folder):
    return {row["kind"]: row for row in map(json.loads, (folder / "metadata.jsonl").read_text().splitlines())}


def test_every_clip_stands_in_the_list_with_its_truth(folder):
    rows = rows_of(folder)
    assert set(rows) == {"people", "orbit", "layers"}
    for row in rows.values():
        assert media.probe(folder / row["file_name"]).frames == 4
        assert (folder / row["cameras"] / "images.txt").is_file() and row["source"] == "synthetic"
    assert [clip.caption for clip in read_clips(folder)] == [rows[k]["text"] for k in ("layers", "orbit", "people")]
    assert rows["people"]["joints"] and not rows["orbit"]["joints"] and rows["layers"]["alpha"]


def turned(q):
    """Rotation of a unit quaternion w, x, y, z: Hamilton's product, written out."""
    w, x, y, z = q
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip


def lines_of(path):
    return [line for line in path.read_text().splitlines() if line and line[0] != "#"]


def test_colmaps_texts_project_surface_points_onto_their_pixels(folder):
    row = rows_of(folder)["orbit"]
    cameras = folder / row["cameras"]
    ((_, model, width, height, *numbers),) = [line.split() for line in lines_of(cameras / "cameras.txt")]
    assert (model, int(width), int(height)) == ("PINHOLE", 80, 48)
    fx, fy, cx, cy = map(float, numbers)
    poses = [line.split() for line in lines_of(cameras / "images.txt")]
    assert [pose[9] for pose in poses] == [f"{frame:06d}.png" for frame in range(4)]
    points = np.array([list(map(float, line.split()[1:4])) for line in lines_of(cameras / "points3D.txt")])
    buffers = open_buffers(folder / f"orbit/{row['file_name'][6:-4]}_buffers", folder / row["file_name"])
    for frame, own in ((0, points[:150]), (3, points[-150:])):  # frames' points follow each other
        q, t = np.array(poses[frame][1:5], float), np.array(poses[frame][5:8], float)
        assert abs(np.linalg.norm(q) - 1) < 1e-9 and abs(np.linalg.det(turned(q)) - 1) < 1e-9
        seen = own @ turned(q).T + t
        x, y = fx * seen[:, 0] / seen[:, 2] + cx, fy * seen[:, 1] / seen[:, 2] + cy
        assert x.min() > 0 and x.max() < 80 and y.min() > 0 and y.max() < 48 and np.abs(x % 1 - 0.5).max() < 0.01
        depth = buffers.depth(frame, frame + 1)[0].numpy()[y.astype(int), x.astype(int)]
        assert np.abs(depth / seen[:, 2] - 1).max() < 1e-3


def test_quaternions_undo_to_their_rotations_at_every_angle():
    path = Path((0.0, 1.0, 0.0), 5.0, 2.5, 0.1, 6.283185307179586, 37)
    rotation, _ = colmap_poses(path.camera(torch.arange(37), 48, 80))
    for matrix, q in zip(rotation.numpy(), quaternions(rotation).numpy(), strict=True):
        assert np.allclose(turned(q), matrix, atol=1e-6) and q[0] >= 0


def test_cocos_keypoints_are_the_joints_through_colmaps_cameras(folder):
    row = rows_of(folder)["people"]
    content = json.loads((folder / row["joints"]).read_text())
    assert content["categories"][0]["keypoints"] == list(COCO) and len(content["images"]) == 4
    stage = make_stage(800000, "people", 4)
    camera = stage.camera(torch.arange(4), 48, 80)
    rotation, shift = colmap_poses(camera)
    assert content["annotations"]
    for entry in content["annotations"]:
        frame = entry["image_id"] - 1
        shown = torch.tensor(entry["keypoints"]).reshape(17, 3)
        points = torch.tensor(entry["keypoints_3d"], dtype=torch.float64).reshape(17, 3)
        seen = points @ rotation[frame].T + shift[frame]
        x, y = camera.focal * seen[:, 0] / seen[:, 2] + 40, camera.focal * seen[:, 1] / seen[:, 2] + camera.horizon_row
        inside = shown[:, 2] > 0
        assert torch.allclose(torch.stack([x, y], -1).float()[inside], shown[inside, :2], atol=0.01)
        left, top, width, height = entry["bbox"]
        seen_joints = shown[shown[:, 2] == 2]
        assert entry["num_keypoints"] == int(inside.sum()) and width > 2 and height > 2
        assert ((seen_joints[:, 0] > left - 3) & (seen_joints[:, 0] < left + width + 3)).all()
        joints = stage.joints_at(torch.tensor([frame]))[entry["track_id"]][0]
        assert torch.allclose(points * DOWN, joints.double(), atol=1e-4)


def test_alpha_times_the_foreground_and_the_plain_colour_are_the_clip(folder):
    row = rows_of(folder)["layers"]
    frames = media.read_clip(folder / row["file_name"])
    alpha = np.stack([np.array(Image.open(path)) for path in sorted((folder / row["alpha"]).iterdir())]) / 255
    assert alpha.shape == frames.shape[:3] and {0.0, 1.0} == set(np.unique(alpha))  # one ray a pixel
    plain = frames[torch.tensor(alpha == 0)]
    assert float((plain - torch.tensor(row["background"])).abs().mean()) < 0.01


def test_run_again_it_goes_on_and_other_settings_render_anew(folder, monkeypatch):
    command = ["render-cg", str(folder), "--kind", "people,orbit,layers", "--buffers", *SMALL]
    drawn = []
    real = make.render_stage
    monkeypatch.setattr(make, "render_stage", lambda *words: drawn.append(words[0].seed) or real(*words))
    assert main([*command, "--clips", "1"]) == 0 and drawn == []
    names = [row["file_name"] for row in make.read_rows(folder)]
    clip = folder / "orbit" / "orbit_synthetic_800000.mp4"
    clip.unlink()
    assert main([*command, "--clips", "1"]) == 0 and drawn == [800000] and clip.is_file()
    assert main(["render-cg", str(folder), "--kind", "orbit", *SMALL, "--clips", "1", "--tag", "on"]) == 0
    assert drawn == [800000, 800000] and rows_of(folder)["orbit"]["text"].startswith("cg render, ")
    assert [row["file_name"] for row in make.read_rows(folder)] == names
    assert not clip.with_name(f"{clip.stem}_buffers").exists()  # they were of the other settings


def test_a_stop_keeps_what_is_finished(tmp_path, monkeypatch):
    real, drawn = make.render_stage, []

    def stopping(*words):
        if drawn:
            raise KeyboardInterrupt
        drawn.append(1)
        return real(*words)

    monkeypatch.setattr(make, "render_stage", stopping)
    command = ["render-cg", str(tmp_path / "out"), "--kind", "layers", "--clips", "2", *SMALL]
    assert main(command) == 130
    assert len((tmp_path / "out" / "metadata.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    "words, reason",
    [
        (["--kind", "rain"], "some of people,orbit,turn,layers"),
        (["--motions", "fly"], "--motions"),
        (["--sweep", "400"], "--sweep"),
        (["--frames", "5000"], "--frames"),
    ],
)
def test_bad_options_are_one_sentence(tmp_path, words, reason, capsys):
    assert main(["render-cg", str(tmp_path / "out"), *words]) == 2
    assert reason in capsys.readouterr().err


def test_another_folder_is_not_written_into(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["render-cg", str(tmp_path), *SMALL]) == 2
    assert "something else" in capsys.readouterr().err
