"""Oracles: CARLA's published formula decoded by hand, exact round trips, and folders that must be refused."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline_core.conditions import encodings
from pipeline_core.conditions.buffers import BuffersWriter, open_buffers, scene_description, write_buffers
from pipeline_core.errors import UserError
from pipeline_core.video.media import write_clip

T, H, W = 5, 12, 18


def rendered(seed=0):
    g = torch.Generator().manual_seed(seed)
    depth = 0.5 + 300 * torch.rand(T, H, W, generator=g)
    depth[:, :3] = torch.inf
    depth[:, 3] = 1000.0
    flow = 40 * torch.randn(T, H, W, 2, generator=g)
    flow[0, 0, 0] = torch.nan
    light = {
        "instance": 300,
        "state": ["red", "red", "green", "yellow", "red"],
        "box": [[1.5, 2.0, 3.0, 6.25]] * 4 + [None],
        "lamp_box": [None] * T,
        "visible": [1.0, 1.0, 0.5, 0.0, 0.0],
    }
    return SimpleNamespace(
        depth=depth,
        classes=torch.randint(0, 29, (T, H, W), generator=g, dtype=torch.uint8),
        instances=torch.randint(0, 65536, (T, H, W), generator=g, dtype=torch.int32),
        flow=flow,
        lights=[light],
        scene={"seed": seed, "caption": "a street at dusk", "objects": {"7": {"colour": [0.8, 0.1, 0.1]}}},
    )


def clip_at(path, seed=0, frames=T):
    write_clip(path, torch.rand(frames, H, W, 3, generator=torch.Generator().manual_seed(seed)), 10)
    return path


def check_equal(buffers, scene):
    assert (buffers.frames, buffers.height, buffers.width) == (T, H, W)
    assert (buffers.depth() - scene.depth.clamp(max=1000)).abs().max() < 1e-4
    assert (buffers.depth()[:, :4] == 1000).all()
    assert torch.equal(buffers.classes(), scene.classes)
    assert torch.equal(buffers.instances(), scene.instances)
    error = (buffers.flow() - scene.flow).abs()
    assert error[0, 0, 0].isnan().all() and error.isnan().sum() == 2 and error.nan_to_num().max() <= 1 / 128
    assert buffers.lights == scene.lights and buffers.scene == scene.scene


def test_what_was_written_is_read(tmp_path):
    clip, scene = clip_at(tmp_path / "a.mp4"), rendered()
    write_buffers(tmp_path / "a_buffers", clip, scene)
    check_equal(open_buffers(tmp_path / "a_buffers", clip), scene)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mp4", "a_buffers"]


def test_chunks_give_the_same_folder_as_one_piece(tmp_path):
    clip, scene = clip_at(tmp_path / "a.mp4"), rendered()
    with BuffersWriter(tmp_path / "chunks", clip, scene.scene) as out:
        for t in ((0, 2), (2, 4), (4, 5)):
            s = slice(*t)
            light = {k: v if k == "instance" else v[s] for k, v in scene.lights[0].items()}
            out.append(scene.depth[s], scene.classes[s], scene.instances[s], scene.flow[s], [light])
    check_equal(open_buffers(tmp_path / "chunks", clip), scene)


def test_a_light_that_comes_and_goes_keeps_its_frames(tmp_path):
    clip = clip_at(tmp_path / "a.mp4", frames=3)
    light = {"state": ["red"], "box": [[0, 0, 1, 1]], "lamp_box": [[0, 0, 1, 1]], "visible": [1.0]}
    with BuffersWriter(tmp_path / "b", clip) as out:
        for name in (1, 2, 1):
            out.append(depth=torch.ones(1, H, W), lights=[{"instance": name, **light}])
    first, second = open_buffers(tmp_path / "b", clip).lights
    assert first["state"] == ["red", None, "red"] and second["state"] == [None, "red", None]
    assert first["visible"] == [1.0, 0.0, 1.0] and second["box"] == [None, [0, 0, 1, 1], None]


def test_only_the_frames_asked_for_are_read(tmp_path):
    clip, scene = clip_at(tmp_path / "a.mp4"), rendered()
    write_buffers(tmp_path / "b", clip, scene)
    for t in (0, 1, 4):
        (tmp_path / "b" / "semantic" / f"{t:06d}.png").unlink()
    buffers = open_buffers(tmp_path / "b", clip)
    assert torch.equal(buffers.classes(2, 4), scene.classes[2:4])
    with pytest.raises(UserError, match="000001"):
        buffers.classes(1, 4)
    for start, stop in ((0, 6), (-1, 2), (3, 3)):
        with pytest.raises(UserError):
            buffers.depth(start, stop)


def test_depth_is_carla_s(tmp_path):
    """Decoded here with the formula of CARLA's documentation, from the file, without the package."""
    clip = clip_at(tmp_path / "a.mp4")
    write_buffers(tmp_path / "b", clip, rendered())
    r, g, b = np.asarray(Image.open(tmp_path / "b" / "depth" / "000002.png")).astype(np.float64).transpose(2, 0, 1)
    metres = 1000 * (r + g * 256 + b * 256 * 256) / (256 * 256 * 256 - 1)
    assert np.abs(metres - rendered().depth[2].clamp(max=1000).numpy()).max() < 1e-4
    image = np.asarray(Image.open(tmp_path / "b" / "instance" / "000003.png")).astype(int)
    assert (image[..., 0] == rendered().classes[3].numpy()).all()
    assert (image[..., 1] + 256 * image[..., 2] == rendered().instances[3].numpy()).all()
    assert (np.asarray(Image.open(tmp_path / "b" / "semantic" / "000003.png"))[..., 0] == image[..., 0]).all()


def test_known_codes():
    image = np.array([[[255, 255, 255], [0, 0, 0], [0, 0, 128], [1, 0, 0]]], np.uint8)
    depth = encodings.decode_depth(image)[0].tolist()
    assert depth == pytest.approx([1000.0, 0.0, 1000 * 2**23 / (2**24 - 1), 1000 / (2**24 - 1)], rel=1e-6)
    assert encodings.decode_instances(np.array([[[7, 2, 1]]], np.uint8)).item() == 258
    codes = encodings.encode_flow(torch.tensor([[[1.0, -2.0], [torch.nan, 0.0]]]))
    assert codes.tolist() == [[32768 + 64, 0], [32768 - 128, 32768]]


def test_values_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match="NaN"):
        encodings.encode_depth(torch.tensor([[torch.nan]]))
    with pytest.raises(UserError, match="65536"):
        encodings.encode_instances(torch.zeros(1, 1), torch.tensor([[65536]]))
    with pytest.raises(UserError, match="256"):
        encodings.encode_classes(torch.tensor([[256]]))
    with pytest.raises(UserError, match="511"):
        encodings.encode_flow(torch.tensor([[[512.0, 0.0]]]))


def test_the_buffers_of_another_clip_are_refused(tmp_path):
    clip, other = clip_at(tmp_path / "a.mp4"), clip_at(tmp_path / "other.mp4", seed=1)
    write_buffers(tmp_path / "b", clip, rendered())
    with pytest.raises(UserError, match="another clip"):
        open_buffers(tmp_path / "b", other)
    for folder, video in (
        (tmp_path / "none", clip),
        (tmp_path, clip),
        (tmp_path / "b", tmp_path / "none.mp4"),
    ):
        with pytest.raises(UserError):
            open_buffers(folder, video)
    (tmp_path / "b" / "buffers.json").write_text("{broken")
    with pytest.raises(UserError):
        open_buffers(tmp_path / "b", clip)
    (tmp_path / "b" / "buffers.json").write_text(json.dumps({"version": 99}))
    with pytest.raises(UserError):
        open_buffers(tmp_path / "b", clip)


def test_absent_channels_say_so(tmp_path):
    clip = clip_at(tmp_path / "a.mp4")
    with BuffersWriter(tmp_path / "b", clip) as out:
        out.append(depth=rendered().depth)
    buffers = open_buffers(tmp_path / "b", clip)
    assert buffers.channels == ("depth",) and buffers.lights == [] and buffers.scene == {}
    with pytest.raises(UserError, match="no flow.*depth"):
        buffers.flow()


def test_nothing_half_written_and_nothing_foreign_deleted(tmp_path):
    clip, scene = clip_at(tmp_path / "a.mp4"), rendered()
    write_buffers(tmp_path / "b", clip, scene)
    with pytest.raises(RuntimeError), BuffersWriter(tmp_path / "b", clip) as out:
        out.append(depth=scene.depth)
        raise RuntimeError("cancelled")
    check_equal(open_buffers(tmp_path / "b", clip), scene)  # the older folder is whole
    with pytest.raises(UserError, match="4 frames"), BuffersWriter(tmp_path / "b", clip) as out:
        out.append(depth=scene.depth[:4])
    with pytest.raises(UserError, match="12x18"), BuffersWriter(tmp_path / "b", clip) as out:
        out.append(depth=torch.ones(T, H, W + 2))
    write_buffers(tmp_path / "b", clip, rendered(1))
    check_equal(open_buffers(tmp_path / "b", clip), rendered(1))
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.jpg").write_bytes(b"x")
    for folder in (tmp_path / "holiday", tmp_path / "none" / "b", clip):
        with pytest.raises(UserError):
            BuffersWriter(folder, clip)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mp4", "b", "holiday"]


def test_chunks_must_agree(tmp_path):
    clip, scene = clip_at(tmp_path / "a.mp4"), rendered()
    for chunks in (
        ({},),
        ({"instances": scene.instances},),
        ({"depth": scene.depth, "classes": scene.classes[:2]},),
        ({"depth": scene.depth[:2]}, {"classes": scene.classes[2:]}),
        ({"depth": scene.depth[:2]}, {"depth": scene.depth[2:, :6]}),
        ({"depth": scene.depth, "lights": [{**scene.lights[0], "state": ["red"]}]},),
    ):
        with pytest.raises(UserError), BuffersWriter(tmp_path / "b", clip) as out:
            for chunk in chunks:
                out.append(**chunk)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_the_scenes_description_is_the_recordings_own(tmp_path, monkeypatch):
    """Without a folder there is none, whatever lies where the program was started."""
    (tmp_path / "scene.json").write_text('{"description": "a street"}')
    monkeypatch.chdir(tmp_path)
    assert scene_description(None) == "" and scene_description(tmp_path) == "a street"
    (tmp_path / "scene.json").write_text("[1]")
    assert scene_description(tmp_path) == "" == scene_description(tmp_path / "none")
