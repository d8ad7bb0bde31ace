"""Oracles: the world's truth, through files in the simulators' own encodings (simulator_files.py) and layouts.

Every variant is a folder; it must be recognised, and what is read must be the truth to the bit of its encoding.
"""

import numpy as np
import pytest
import simulator_files as files
import torch
from simulator_street import T, make_street

from pipeline_core.__main__ import main
from pipeline_core.conditions.layouts import find_recording
from pipeline_core.conditions.recordings import read_classes, read_depth, read_instances


@pytest.fixture(scope="module")
def street():
    return make_street(2)


# The forms: what is written, the format that must be recognised, and what must come back.
def carla_tags(street, release):
    names = [name for name, _ in files.CARLA[release]]
    tags = files.as_release(street.classes, names)
    return tags, files.truth(tags, names)


def named_ids(street, column):
    rows = files.CITYSCAPES
    nothing = 255 if column else 0
    lookup = np.array([rows[name][column] if name in rows else nothing for name in files.NOW], np.uint8)
    numbers = lookup[street.classes]
    back = {rows[name][column]: files.NOW.index(name) for name in rows if rows[name][column] != 255}
    return numbers, np.array([back.get(number, 0) for number in range(256)])[numbers]


def palette_tags(street, palette):
    """Tags of a data set's palette, pictures in it, and the current tags that they stand for."""
    names = [name for name, _ in palette]
    tags = files.as_release(street.classes, names)
    return files.painted(tags, palette), files.truth(tags, names)


SEMANTIC = {}
for release in files.CARLA:
    SEMANTIC[f"painted {release}"] = (
        lambda street, release=release: files.painted(carla_tags(street, release)[0], files.CARLA[release]),
        "carla colours",
        lambda street, release=release: carla_tags(street, release)[1],
    )
for release, table in (("0.9.13", "0.9.13"), ("0.9.14", "0.9.14"), ("0.10", "0.9.14")):
    for form, write, suffix in (
        ("red", files.red, ""),
        ("blue", lambda tags: files.red(tags)[..., ::-1], " bgr"),
        ("grey", lambda tags: tags, ""),
        ("three greys", files.three, ""),
    ):
        SEMANTIC[f"{form} {release}"] = (
            lambda street, release=release, write=write: write(carla_tags(street, release)[0]),
            table + suffix,
            lambda street, release=release: carla_tags(street, release)[1],
        )
CITYSCAPES_COLOURS = [(name, row[2:]) for name, row in files.CITYSCAPES.items() if name != "static"]
SEMANTIC |= {
    "cityscapes ids": (
        lambda street: named_ids(street, 0)[0],
        "cityscapes ids",
        lambda street: named_ids(street, 0)[1],
    ),
    "cityscapes train ids": (
        lambda street: named_ids(street, 1)[0],
        "cityscapes train ids",
        lambda street: named_ids(street, 1)[1],
    ),
    "gta": (
        lambda street: palette_tags(street, CITYSCAPES_COLOURS)[0],
        "cityscapes colours",
        lambda street: palette_tags(street, CITYSCAPES_COLOURS)[1],
    ),
    "vkitti2": (
        lambda street: palette_tags(street, files.VKITTI2)[0],
        "vkitti2 colours",
        lambda street: palette_tags(street, files.VKITTI2)[1],
    ),
    "synthia painted": (
        lambda street: palette_tags(street, files.SYNTHIA)[0],
        "synthia colours",
        lambda street: palette_tags(street, files.SYNTHIA)[1],
    ),
}
CODE = 1000 / (256**3 - 1)
# name: (written, format, metres back, largest error in metres where it is meant to be exact)
DEPTH = {
    "raw": (files.depth24, "carla", lambda m: m, CODE),
    "raw, blue first": (lambda m: files.depth24(m)[..., ::-1], "carla_bgr", lambda m: m, CODE),
    "grey logarithmic": (
        files.depth_log, "carla_log", lambda m: 1000 * np.exp(5.70378 * (files.depth_log(m) / 255 - 1)), 1e-3,
    ),
    "three greys logarithmic": (
        lambda m: files.three(files.depth_log(m)), "carla_log",
        lambda m: 1000 * np.exp(5.70378 * (files.depth_log(m) / 255 - 1)), 1e-3,
    ),
    "grey linear": (files.depth_linear, "carla_grey", lambda m: files.depth_linear(m) / 255 * 1000, 1e-3),
    "up to 50 m": (
        files.depth_50m, "transfuser", lambda m: np.where(m < 49.9, files.depth_50m(m) / 255 * 50, 1000), 1e-3,
    ),
    "metres in 8 bits": (
        files.depth_metres8, "bench2drive", lambda m: np.where(m < 254.5, np.round(m), 1000), 1e-3,
    ),
    "millimetres": (
        lambda m: files.depth_16(m, 0.001), "png16",
        lambda m: np.where(m < 65.5345, np.round(m * 1000) / 1000, 1000), 1e-3,
    ),
}  # fmt: skip
FLOAT_NAMES = {"exr": "{:06d}.exr", "npy": "{:06d}.npy"}
FOLDERS = {
    "one per sensor": ("CameraDepth/{:06d}.png", "CameraSemanticSegmentation/{:06d}.png"),
    "sensor names": ("sensor.camera.depth/{}.png", "sensor.camera.semantic_segmentation/{}.png"),
    "recorder's _out": ("_out/depth/{:08d}.png", "_out/semantic/{:08d}.png"),
    "all in one, kind last": ("{:06d}_depth.png", "{:06d}_semantic.png"),
    "all in one, kind first": ("depth_{:05d}.png", "semantic_{:05d}.png"),
    "camera's number after": ("depth/{:05d}_cam0.png", "semantic/{:05d}_cam0.png"),
    "bench2drive": ("camera/depth_front/{:05d}.png", "camera/semantic_front/{:05d}.png"),
    "transfuser": ("depth/{:04d}.png", "semantics/{:04d}.png"),
    "scenario runner": ("hero_depth/{:06d}.png", "hero_sem_seg/{:06d}.png"),
    "nuscenes": (
        "samples/CAM_FRONT_DEPTH/n015-2018-07-24__CAM_FRONT_DEPTH__1532402{:06d}.png",
        "samples/CAM_FRONT_SEMANTIC/n015-2018-07-24__CAM_FRONT_SEMANTIC__1532402{:06d}.png",
    ),
    "names that say nothing": ("a/{:06d}.png", "b/{:06d}.png"),
}


def stacked(frames):
    return torch.stack(list(frames)).numpy()


def save_at(root, pattern, arrays, numbers=None):
    place, _, name = pattern.rpartition("/")
    return files.save(root / place, arrays, name, numbers)


def checked(folder, capsys, *words):
    """The command's own words about a folder, which it must accept without writing anything."""
    before = sorted(folder.rglob("*"))
    assert main(["buffers", "--check", str(folder), *words]) == 0
    assert sorted(folder.rglob("*")) == before
    return capsys.readouterr().out


@pytest.mark.parametrize("form", SEMANTIC)
def test_every_class_table_comes_back_exactly(street, tmp_path, form):
    write, wanted, expected = SEMANTIC[form]
    files.save(tmp_path / "semantic", write(street))
    recording = find_recording(tmp_path)
    assert recording.semantic_format == wanted
    classes = stacked(read_classes(recording.semantic, wanted))
    assert np.array_equal(classes, expected(street))


@pytest.mark.parametrize("form", DEPTH)
def test_every_depth_form_comes_back_exactly(street, tmp_path, form):
    write, wanted, expected, error = DEPTH[form]
    files.save(tmp_path / "depth", write(street.metres))
    recording = find_recording(tmp_path)
    assert recording.depth_format == wanted
    depth = stacked(read_depth(recording.depth, wanted, recording.depth_scale or 1.0))
    assert np.abs(depth - expected(street.metres)).max() <= error


@pytest.mark.parametrize("name", FLOAT_NAMES)
def test_float_depth_comes_back_to_the_bit(street, tmp_path, name):
    metres = street.metres.astype(np.float32)
    files.save(tmp_path / "depth", metres, FLOAT_NAMES[name])
    recording = find_recording(tmp_path)
    assert np.array_equal(stacked(read_depth(recording.depth, recording.depth_format)), metres)


def test_one_numpy_file_holds_a_whole_channel(street, tmp_path):
    np.save(tmp_path / "depth.npy", street.metres.astype(np.float32))
    np.save(tmp_path / "semantic.npy", street.classes.astype(np.int64))
    np.save(tmp_path / "instance.npy", files.with_ids(street.classes, street.ids))
    recording = find_recording(tmp_path)
    assert np.array_equal(stacked(read_depth(recording.depth, "exr")), street.metres.astype(np.float32))
    assert np.array_equal(stacked(read_classes(recording.semantic, recording.semantic_format)), street.classes)
    assert np.array_equal(stacked(read_instances(recording.instance, recording.instance_format)), street.ids)


@pytest.mark.parametrize("beside, form", [("vkitti2", "vkitti2"), ("synthia painted", "vkitti2")])
def test_centimetres_are_known_by_the_classes_beside_them(street, tmp_path, beside, form):
    files.save(tmp_path / "depth", files.depth_16(street.metres, 0.01))
    files.save(tmp_path / "semantic", SEMANTIC[beside][0](street))
    recording = find_recording(tmp_path)
    assert recording.depth_format == form
    near = street.metres < 655
    depth = stacked(read_depth(recording.depth, form))
    assert np.abs(depth - street.metres)[near].max() < 0.00501 and (depth[~near] == 1000).all()


def test_carlas_share_of_1000_m_in_16_bits(street, tmp_path):
    files.save(tmp_path / "depth", files.depth_16(street.metres, 1000 / 65535))
    depth = stacked(read_depth(tmp_path / "depth", find_recording(tmp_path, depth_format="carla_grey16").depth_format))
    assert np.abs(depth - street.metres).max() <= 500 / 65535 + 1e-4


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("folder", ["instance", "semantic", "CameraInstanceSegmentation"])
def test_instance_pictures_hold_classes_and_ids(street, tmp_path, swapped, folder):
    pictures = files.with_ids(street.classes, street.ids)
    files.save(tmp_path / folder, pictures[..., ::-1] if swapped else pictures)
    recording = find_recording(tmp_path)
    assert recording.instance_format == ("carla bgr" if swapped else "carla")
    source = recording.semantic or recording.instance
    assert np.array_equal(stacked(read_classes(source, recording.semantic_format)), street.classes)
    assert np.array_equal(stacked(read_instances(recording.instance, recording.instance_format)), street.ids)


@pytest.mark.parametrize("layout", FOLDERS)
@pytest.mark.parametrize("numbers", [None, [7, 8, 11, 12], [1000, 1020, 1040, 1080]])
def test_layouts_and_numbers(street, tmp_path, capsys, layout, numbers):
    """Numbers that start anywhere, with gaps, in steps."""
    depth, semantic = FOLDERS[layout]
    save_at(tmp_path, depth, files.depth24(street.metres), numbers)
    save_at(tmp_path, semantic, files.painted(*carla_painted(street)), numbers)
    said = checked(tmp_path, capsys)
    assert "carla: 24 bits" in said and "carla colours: 100.00%" in said and f"fit each other: {T} frames" in said
    if numbers and layout != "nuscenes":
        assert f"frames {numbers[0]} to {numbers[-1]}" in said
        assert ("2 missing" if numbers[0] == 7 else "1 missing") in said
    recording = find_recording(tmp_path)
    assert np.abs(stacked(read_depth(recording.depth)) - street.metres).max() <= CODE
    assert np.array_equal(stacked(read_classes(recording.semantic, "carla colours")), street.classes)


def carla_painted(street):
    return street.classes, files.PALETTE_010


VIDEOS = {
    "4:4:4 without loss": {},
    "RGB without loss": {"codec": "libx264rgb", "pix_fmt": "rgb24", "qp": "0"},
    "FFV1": {"codec": "ffv1", "pix_fmt": "bgr0"},
}


@pytest.mark.parametrize("name", VIDEOS)
@pytest.mark.parametrize("release", files.CARLA)
def test_painted_videos_without_loss_come_back_exactly(street, tmp_path, name, release):
    path = tmp_path / ("semantic.mkv" if name == "FFV1" else "semantic.mp4")
    tags, expected = carla_tags(street, release)
    files.video(path, files.painted(tags, files.CARLA[release]), **VIDEOS[name])
    recording = find_recording(tmp_path)
    assert recording.semantic_format == "carla colours" and not recording.recognised["semantic"].remarks
    assert np.array_equal(stacked(read_classes(path, "carla colours")), expected)


@pytest.mark.parametrize("name", ["RGB without loss", "FFV1"])
def test_codes_in_videos_that_keep_them(street, tmp_path, name):
    suffix = "mkv" if name == "FFV1" else "mp4"
    files.video(tmp_path / f"depth.{suffix}", files.depth24(street.metres), **VIDEOS[name])
    files.video(tmp_path / f"instance.{suffix}", files.with_ids(street.classes, street.ids), **VIDEOS[name])
    recording = find_recording(tmp_path)
    assert (recording.depth_format, recording.instance_format) == ("carla", "carla")
    assert np.abs(stacked(read_depth(recording.depth)) - street.metres).max() <= CODE
    assert np.array_equal(stacked(read_instances(recording.instance)), street.ids)
    assert np.array_equal(stacked(read_classes(recording.instance, recording.semantic_format)), street.classes)


@pytest.mark.parametrize("with_manifest", [True, False])
@pytest.mark.parametrize("linear", [False, True])
def test_cosmos_captures(street, tmp_path, capsys, with_manifest, linear):
    camera = "camera_front_wide_120fov"
    grey = files.cosmos_capture(street.metres, linear)
    files.video(tmp_path / f"depth_{camera}.mp4", grey)
    files.video(tmp_path / f"semantic_{camera}.mp4", files.painted(*carla_painted(street)))
    files.video(tmp_path / f"seg_{camera}.mp4", files.with_ids(street.classes, street.ids * 61 % 65536))
    files.video(tmp_path / f"rgb_{camera}.mp4", street.rgb, pix_fmt="yuv420p", crf="14")
    if with_manifest:
        files.manifest(tmp_path, "rgb", "depth", "seg", "semantic")
    wanted = "cosmos_linear" if linear else "cosmos_inverse"
    assert f"{wanted}: 8-bit grey" in checked(tmp_path, capsys)
    recording = find_recording(tmp_path)
    assert np.array_equal(stacked(read_classes(recording.semantic, recording.semantic_format)), street.classes)
    depth = stacked(read_depth(recording.depth, recording.depth_format))
    code = grey.astype(float)
    expected = (255 - code) / 255 * 1000 if linear else np.where(code == 0, 1000, 255 / code.clip(1))
    # Lossless YUV is within a code of what was written: limited range has fewer codes than full range.
    off = np.abs((depth - expected) if linear else 255 * (1 / depth - 1 / expected))
    assert off[grey > 1].max() <= (1000 / 255 if linear else 1.01) * 1.001


def test_the_first_cosmos_examples_logarithm(street, tmp_path):
    files.video(tmp_path / "depth.mp4", files.cosmos_log(street.metres))
    assert find_recording(tmp_path).depth_format == "cosmos_log"


def test_grey_that_a_videos_conversion_has_tinged(street, tmp_path):
    tinged = files.three(files.cosmos_capture(street.metres)).astype(int) + np.array([0, 3, -2])
    files.video(tmp_path / "depth.mp4", tinged.clip(0, 255).astype(np.uint8), pix_fmt="yuv420p", crf="10")
    assert find_recording(tmp_path).depth_format == "cosmos_inverse"
