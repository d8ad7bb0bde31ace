"""The clips of a folder: their names, their buffers, and what is no clip."""

import shutil

import numpy as np
import pytest
import torch
from simulator_files import PALETTE_010, painted, video

from pipeline_core.batch.clips import find_clips, source_buffers
from pipeline_core.conditions.buffers import buffers_beside, write_buffers
from pipeline_core.errors import UserError
from pipeline_core.video import media
from pipeline_core.world import make_scene, render


def put(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_names_are_safe_and_each_its_own(tmp_path):
    long = "x" * 240
    put(*(tmp_path / name for name in ("b.mp4", "town/a b.mp4", "town__a_b.mp4", "B.mov", "-dash.mp4", f"{long}.mkv")))
    put(tmp_path / "straße/Ä~1.mp4")
    ids = [source.id for source in find_clips(tmp_path)]
    assert len({name.casefold() for name in ids}) == 7
    assert {"b", "_-dash", "straße__Ä_1"} <= {*ids, "b"} and "town__a_b" in ids
    for name in ids:
        assert len(name.encode()) <= 120 and not set(name) & set('/\\~: *?"<>|')
        (tmp_path / f"{name}.{'v' * 40}-999~12").touch()
    assert ids == [source.id for source in find_clips(tmp_path)]


def test_what_is_no_clip_is_passed_over(tmp_path):
    out = tmp_path / "out"
    put(tmp_path / "a.mp4", tmp_path / "a_buffers" / "c.mp4", tmp_path / ".hidden.mp4", tmp_path / ".h" / "d.mp4")
    put(out / "clips" / "a" / "night-0.mp4", tmp_path / "a.mp4.windows" / "e.mp4", tmp_path / "notes.txt")
    (source,) = find_clips(tmp_path, out)
    assert (source.id, source.clip, source.buffers) == ("a", tmp_path / "a.mp4", tmp_path / "a_buffers")


def test_a_folder_without_clips_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "gone"):
        with pytest.raises(UserError, match="give the folder of the clips"):
            find_clips(folder)


def test_a_recording_s_own_videos_are_its_buffers_and_no_clips(tmp_path):
    """As CARLA's Cosmos example writes them: the depth of one colour video, read as the command `buffers` does."""
    folder = tmp_path / "in" / "drive"
    folder.mkdir(parents=True)
    scene = render(make_scene(5), 5, (32, 48))
    media.write_clip(folder / "rgb.mp4", scene.rgb, 10)
    colours = painted(scene.classes.numpy(), PALETTE_010)
    video(folder / "semantic_segmentation.mp4", colours, pix_fmt="yuv444p", qp="0")
    video(folder / "seg.mp4", colours)
    (source,) = find_clips(tmp_path / "in")
    assert (source.id, source.buffers) == ("drive__rgb", folder)
    out = tmp_path / "out"
    imported = source_buffers(source, out)
    assert imported.folder == out / "buffers" / "drive__rgb"
    assert imported.channels == ("semantic",) and torch.equal(imported.classes(), scene.classes)
    before = (imported.folder / "buffers.json").stat().st_ino
    assert source_buffers(source, out).folder == imported.folder
    assert (imported.folder / "buffers.json").stat().st_ino == before, "it is read once"
    other = np.flip(scene.classes.numpy(), 2)
    video(folder / "semantic_segmentation.mp4", painted(other, PALETTE_010), pix_fmt="yuv444p", qp="0")
    assert np.array_equal(source_buffers(source, out).classes().numpy(), other), "and again when it has changed"
    assert list((out / "leases").iterdir()) == []


def test_buffers_that_lie_beside_a_clip_are_opened_as_they_are(tmp_path):
    clip, scene = tmp_path / "a.mp4", render(make_scene(5), 5, (32, 48))
    media.write_clip(clip, scene.rgb, 10)
    write_buffers(buffers_beside(clip), clip, scene)
    (source,) = find_clips(tmp_path)
    assert source_buffers(source, tmp_path).folder == buffers_beside(clip)
    shutil.rmtree(buffers_beside(clip) / "depth")
    (buffers_beside(clip) / "buffers.json").unlink()
    with pytest.raises(UserError, match="no buffers folder"):
        source_buffers(source, tmp_path)
