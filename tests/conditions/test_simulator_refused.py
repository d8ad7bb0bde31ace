"""What must not be decoded: pictures that fit several formats or none, frames that do not belong together.

Oracle: files written by simulator_files.py in a known encoding. Whatever is said of them, it is one sentence, and it is
never another encoding than theirs.
"""

import numpy as np
import pytest
import simulator_files as files
import torch
from PIL import Image
from simulator_street import make_street

from pipeline_core.__main__ import main
from pipeline_core.conditions.layouts import find_recording
from pipeline_core.conditions.painted import classes_of_colours
from pipeline_core.conditions.recognition import classes_of, depth_of
from pipeline_core.conditions.recordings import import_recording, read_classes
from pipeline_core.conditions.segmentation import TAG, segmentation_map
from pipeline_core.errors import UserError
from pipeline_core.video.media import write_clip


@pytest.fixture(scope="module")
def street():
    return make_street(3)


def flat_wall(street):
    return np.full_like(street.metres, 30.0) + np.arange(street.metres.shape[2]) * 0.01


# name: (what is written, what the sentence names)
DEPTH = {
    "camera's pictures": (lambda s: textured(s), "no 24-bit depth"),
    "painted classes": (lambda s: files.painted(s.classes, files.PALETTE_010), "no 24-bit depth"),
    "a colour map": (lambda s: rainbow(files.depth_50m(s.metres)), "no 24-bit depth"),
    "grey without a road": (lambda s: files.depth_50m(flat_wall(s)), "carla_log, carla_grey, transfuser, bench2drive"),
    "centimetres or share of 1000 m": (lambda s: files.depth_16(s.metres, 0.01), "carla_grey16"),
    "share of 1000 m": (lambda s: files.depth_16(s.metres, 1000 / 65535), "vkitti2 .centimetres., .*carla_grey16"),
    "KITTI's laser": (lambda s: sparse(files.depth_16(s.metres, 1 / 256)), "png16, --depth-scale 0.00390625"),
}
FLOATS = {
    "centimetres": (lambda s: s.metres * 100, "--depth-scale 0.01 fits"),
    "millimetres": (lambda s: s.metres * 1000, "--depth-scale 0.001 fits"),
    "share of 1000 m": (lambda s: s.metres / 1000, "from 0 to 1"),
    "a graphics card's reversed z": (lambda s: 0.1 / s.metres, "from 0 to 1"),
    "centimetres of a wall": (lambda s: flat_wall(s) * 100, "hardly metres"),
}
SEMANTIC = {
    "camera's pictures": (lambda s: textured(s), "no palette known here; .* comes nearest"),
    "another table": (lambda s: files.painted(s.classes, files.PALETTE_010)[..., ::-1], "no palette known here"),
    "resized": (lambda s: resized(files.painted(s.classes, files.PALETTE_010)), "no palette known here"),
    "numbers of no road": (lambda s: files.red(np.full_like(s.classes, 9)), "do not tell their table.*0.9.14, 0.9.13"),
    "numbers of no table": (lambda s: s.classes + 100, "beyond any class table"),
    "other numbers": (lambda s: files.red((s.classes + 9) % 30), "do not tell their table"),
    "16-bit grey": (lambda s: s.classes.astype(np.uint16) * 1000, "16-bit grey"),
    "depth": (lambda s: files.depth24(s.metres), "no palette known here"),
    "a colour of several tables": (lambda s: shared_colour(s), "cityscapes colours, synthia colours"),
}


def textured(street):
    noise = np.random.default_rng(0).integers(-12, 13, street.rgb.shape)
    return (street.rgb.astype(int) + noise).clip(0, 255).astype(np.uint8)


def rainbow(grey):
    share = grey[..., None] / 255
    return np.round(255 * (1 - np.abs(2 * share - np.array([2.0, 1.0, 0.0])).clip(0, 1))).astype(np.uint8)


def sparse(codes):
    return np.where(np.random.default_rng(1).random(codes.shape) < 0.9, 0, codes).astype(np.uint16)


def resized(pictures):
    T, H, W, _ = pictures.shape
    large = [
        np.asarray(Image.fromarray(picture).resize((W * 2 // 3, H * 2 // 3), Image.BILINEAR)) for picture in pictures
    ]
    return np.stack(large)


def shared_colour(street):
    """Road, sky and (250, 170, 160): parking for Cityscapes, a parking slot for SYNTHIA, other for CARLA 0.9.9."""
    half = street.metres.shape[1] // 2
    pictures = np.zeros((*street.metres.shape, 3), np.uint8)
    pictures[:, :half], pictures[:, half:], pictures[:, half : half + 4] = (
        (70, 130, 180),
        (128, 64, 128),
        (250, 170, 160),
    )
    return pictures


@pytest.mark.parametrize("name", DEPTH)
def test_depth_that_is_refused(street, tmp_path, capsys, name):
    write, words = DEPTH[name]
    files.save(tmp_path / "depth", write(street))
    with pytest.raises(UserError, match=words) as refusal:
        find_recording(tmp_path)
    assert "--depth-format" in str(refusal.value) and "\n" not in str(refusal.value)
    assert main(["buffers", "--check", str(tmp_path)]) == 2
    assert str(refusal.value) in capsys.readouterr().err


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("pattern", ["{:06d}.exr", "{:06d}.npy"])
def test_floats_that_are_no_metres(street, tmp_path, name, pattern):
    write, words = FLOATS[name]
    files.save(tmp_path / "depth", write(street).astype(np.float32), pattern)
    with pytest.raises(UserError, match=words):
        find_recording(tmp_path)
    assert find_recording(tmp_path, depth_scale=0.01).depth_scale == 0.01  # what a user says goes


@pytest.mark.parametrize("name", SEMANTIC)
def test_classes_that_are_refused(street, tmp_path, capsys, name):
    write, words = SEMANTIC[name]
    files.save(tmp_path / "semantic", write(street))
    with pytest.raises(UserError, match=words) as refusal:
        find_recording(tmp_path)
    assert "--semantic-format" in str(refusal.value) and "\n" not in str(refusal.value)
    assert main(["buffers", "--check", str(tmp_path)]) == 2
    assert str(refusal.value) in capsys.readouterr().err


def test_what_is_said_goes_before_what_is_seen(street, tmp_path):
    files.save(tmp_path / "depth", files.depth_50m(flat_wall(street)))
    files.save(tmp_path / "semantic", files.red(np.full_like(street.classes, 9)))
    recording = find_recording(tmp_path, depth_format="transfuser", semantic_format="0.9.13")
    assert (recording.depth_format, recording.semantic_format) == ("transfuser", "0.9.13")
    assert recording.recognised == {}


@pytest.mark.parametrize("options", [{"crf": "18"}, {"codec": "libx264rgb", "pix_fmt": "rgb24", "crf": "18"}])
def test_codes_that_a_video_lost(street, tmp_path, options):
    files.video(tmp_path / "semantic.mp4", files.red(street.classes), **options)
    files.video(tmp_path / "depth.mp4", files.depth24(street.metres), **options)
    with pytest.raises(UserError, match="lossy video|no palette"):
        classes_of(tmp_path / "semantic.mp4")
    with pytest.raises(UserError, match="lost the codes"):
        next(read_classes(tmp_path / "semantic.mp4", "0.9.14"))
    with pytest.raises(UserError, match="lost the codes|no 24-bit depth"):
        depth_of(tmp_path / "depth.mp4")


def test_a_lossy_painted_video_says_how_much_is_unreliable(street, tmp_path):
    painted = files.painted(street.classes, files.PALETTE_010)
    files.video(tmp_path / "semantic.mp4", painted, pix_fmt="yuv420p", crf="18")
    reason = classes_of(tmp_path / "semantic.mp4")
    assert reason.format == "carla colours" and "lossy" in reason.remarks[0] and "unreliable" in reason.remarks[0]
    classes = torch.stack(list(read_classes(tmp_path / "semantic.mp4", reason.format))).numpy()
    wrong = float((classes != street.classes).mean())
    assert 0 < wrong < 0.2


def test_unknown_colours_are_named_counted_and_filled(street, tmp_path, capsys):
    """One per cent of blended pixels and a block of a colour of its own."""
    painted = files.painted(street.classes, files.PALETTE_010)
    painted[:, 30, 20:40] = (1, 2, 3)  # a line: its neighbours are known
    painted[:, 34:37, 50:53] = (9, 99, 9)  # a block of 3x3: filled from its neighbours
    files.save(tmp_path / "semantic", painted)
    assert main(["buffers", "--check", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "(1, 2, 3) on 80 pixels, (9, 99, 9) on 36 pixels" in said and f"{116 / painted[..., 0].size:.2%}" in said
    classes = torch.stack(list(read_classes(tmp_path / "semantic", "carla colours"))).numpy()
    changed = np.zeros_like(classes, dtype=bool)
    changed[:, 30, 20:40] = changed[:, 34:37, 50:53] = True
    assert np.array_equal(classes[~changed], street.classes[~changed])
    above, below = classes[:, 29, 20:40], classes[:, 31, 20:40]
    inside = classes[:, 30, 21:39]  # the ends may take their side's
    assert ((inside == above[:, 1:-1]) | (inside == below[:, 1:-1])).all()


def test_a_large_unknown_patch_is_other_and_too_much_is_refused():
    classes = torch.full((1, 100, 100), TAG["road"])
    painted = segmentation_map(classes)
    painted[:, 10:23, 10:23] = torch.tensor([9, 99, 9]) / 255  # 1.69 %
    decoded = classes_of_colours(painted)
    assert (decoded[0, 13:20, 13:20] == TAG["other"]).all() and (decoded != TAG["road"]).sum() == 9 * 9
    painted[:, 10:25, 10:25] = torch.tensor([9, 99, 9]) / 255  # 2.25 %
    with pytest.raises(UserError, match=r"2.3% .*\(9, 99, 9\) on 225 pixels"):
        classes_of_colours(painted)


def test_frames_that_do_not_belong_together_are_one_sentence(street, tmp_path, capsys):
    depth, tags = files.depth24(street.metres), files.red(street.classes)
    files.save(tmp_path / "a" / "depth", depth)
    files.save(tmp_path / "a" / "semantic", tags[:-1])
    assert main(["buffers", "--check", str(tmp_path / "a")]) == 2
    assert "depth 4, semantic 3 frames; not all have 101" in capsys.readouterr().err
    files.save(tmp_path / "b" / "depth", depth)
    files.save(tmp_path / "b" / "semantic", tags, numbers=[99, 100, 101, 102])
    assert main(["buffers", "--check", str(tmp_path / "b")]) == 2
    assert "depth frames 98 to 101, semantic frames 99 to 102; not all have 98, 102" in capsys.readouterr().err
    clip = tmp_path / "clip.mp4"
    write_clip(clip, torch.from_numpy(street.rgb[:3]).float() / 255, 24)
    with pytest.raises(UserError, match=r"holds 4 pictures \(frames 98 to 101\) and .*clip.mp4 3 frames"):
        import_recording(tmp_path / "out", clip, tmp_path / "a" / "depth")
    assert not (tmp_path / "out").exists()


def test_several_kinds_in_one_folder_are_named(street, tmp_path):
    files.save(tmp_path, files.depth24(street.metres), "{:04d}_depth.png")
    files.save(tmp_path, files.red(street.classes), "{:04d}_semantic.png")
    with pytest.raises(UserError, match=r"\*_depth.png, \*_semantic.png"):
        next(read_classes(tmp_path))
    assert torch.equal(next(read_classes(tmp_path / "*_semantic.png")), torch.from_numpy(street.classes[0]))


def test_a_camera_is_chosen_by_its_name(street, tmp_path):
    for side in ("front", "front_left", "back"):
        files.save(tmp_path / "camera" / f"depth_{side}", files.depth24(street.metres))
    with pytest.raises(UserError, match="3 kinds of depth"):
        find_recording(tmp_path)
    assert find_recording(tmp_path, camera="front").depth.name == "depth_front"
    assert find_recording(tmp_path, camera="depth_back").depth.name == "depth_back"
    with pytest.raises(UserError, match="2 kinds of depth"):
        find_recording(tmp_path, camera="fro")


def test_cameras_told_apart_by_a_number(street, tmp_path):
    for camera in (0, 1):
        files.save(tmp_path, files.depth24(street.metres + camera), f"cam{camera}_{{:05d}}_depth.png")
    with pytest.raises(UserError, match=r"cam0_\*_depth.png, cam1_\*_depth.png"):
        find_recording(tmp_path)
    assert find_recording(tmp_path, camera="cam1").depth == tmp_path / "cam1_*_depth.png"


def test_the_layout_decides_between_forms_that_fit_as_well(street, tmp_path):
    files.save(tmp_path / "camera" / "depth_front", files.depth_metres8(street.metres * 0.55))
    with pytest.raises(UserError, match="fits several forms.*bench2drive"):
        find_recording(tmp_path)
    (tmp_path / "anno").mkdir()
    recording = find_recording(tmp_path)
    assert recording.depth_format == "bench2drive" and "laid out" in recording.recognised["depth"].why


def test_the_command_asks_for_a_clip_or_a_folder(tmp_path, capsys):
    assert main(["buffers"]) == 2
    assert "--check FOLDER" in capsys.readouterr().err
    assert main(["buffers", "--check", str(tmp_path / "none")]) == 2
    assert "is no folder" in capsys.readouterr().err
