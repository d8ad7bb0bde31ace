"""Oracle: names as recorders write them, told apart by hand."""

import pytest

from pipeline_core.conditions.numbering import list_pictures, picture_groups, told_numbers
from pipeline_core.errors import UserError


def touch(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


def groups(folder):
    return {name: list(files) for name, files in picture_groups(folder).items()}


def test_the_number_that_differs_is_the_frames(tmp_path):
    plain = touch(tmp_path / "a", "frame_98.png", "frame_100.png", "frame_101.png", "notes.txt", ".hidden_1.png")
    assert groups(plain) == {"frame_*.png": [98, 100, 101]}
    after = touch(tmp_path / "b", *(f"{n:05d}_cam3_depth.png" for n in (7, 9)))
    assert groups(after) == {"*_cam*_depth.png": [7, 9]}
    dated = touch(tmp_path / "c", *(f"n015-2018-07-24__CAM__15324029{n:06d}.png" for n in (5, 500, 77)))
    assert list(groups(dated).values()) == [[15324029000005, 15324029000077, 15324029000500]]


def test_cameras_and_kinds_in_one_folder_are_groups(tmp_path):
    cameras = [f"{kind}_cam{camera}" for kind in ("rgb", "depth") for camera in (0, 1)]
    names = [f"{camera}_{frame:04d}.png" for camera in cameras for frame in (3, 4, 5)]
    folder = touch(tmp_path / "mixed", *names, "calibration.png")
    kinds = {f"{camera}_*.png": [3, 4, 5] for camera in cameras}
    assert groups(folder) == {**kinds, "calibration.png": [0]}
    assert list(list_pictures(folder / "depth_cam1_*.png")) == [3, 4, 5]
    assert list_pictures(folder / "depth_cam1_*.png")[4].name == "depth_cam1_0004.png"
    for wrong in (folder, folder / "depth_*.png"):
        with pytest.raises(UserError, match="order of the pictures"):
            list_pictures(wrong)
    with pytest.raises(UserError, match="holds no PNG"):
        list_pictures(folder / "semantic_*.png")


def test_two_pictures_of_one_number_are_refused(tmp_path):
    with pytest.raises(UserError, match="order of"):
        picture_groups(touch(tmp_path / "twice", "a_1.png", "a_01.png"))


@pytest.mark.parametrize(
    "numbers, words",
    [
        ([5], "frame 5"),
        ([0, 1, 2], "frames 0 to 2"),
        ([7, 8, 11, 12], "frames 7 to 12, 2 missing between them"),
        ([10, 12, 14], "frames 10 to 14 in steps of 2"),
        ([1000, 1020, 1040, 1080], "frames 1000 to 1080, 1 missing between them"),
        ([1, 4, 6, 13], "frames 1 to 13, in uneven steps"),
    ],
)
def test_frames_in_words(numbers, words):
    assert told_numbers(numbers) == words
