"""Oracles: recordings written here as the simulators' scripts lay them out and encode them; the world's truth."""

import json
from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline_core.__main__ import main
from pipeline_core.conditions.buffers import open_buffers, write_buffers
from pipeline_core.conditions.layouts import find_recording
from pipeline_core.conditions.pictures import read_picture, read_pictures
from pipeline_core.conditions.recognition import classes_of
from pipeline_core.conditions.recordings import read_classes, read_depth, read_instances
from pipeline_core.conditions.segmentation import CARLA_TAGS, TAG
from pipeline_core.errors import UserError
from pipeline_core.video.media import write_clip
from pipeline_core.world import make_scene, render

T, H, W = 3, 32, 48


@pytest.fixture(scope="module")
def drive():
    return render(make_scene(2), T, (H, W), "synthetic")


def metres(drive):
    return drive.depth.double().clamp(max=1000).numpy()


def codes24(values):
    """CARLA's documentation: (R + G * 256 + B * 256^2) / (256^3 - 1) is the depth as a share of 1000 m."""
    code = np.round(values / 1000 * (256**3 - 1)).astype(np.int64)
    return np.stack([code % 256, code // 256 % 256, code // 65536], -1).astype(np.uint8)


def tags(drive):
    classes = drive.classes.numpy()
    return np.stack([classes, classes * 0, classes * 0], -1)


def instances(drive):
    ids = drive.instances.numpy()
    return np.stack([drive.classes.numpy(), ids % 256, ids // 256], -1).astype(np.uint8)


def painted(drive):
    return np.array([colour for _, colour in CARLA_TAGS.values()], np.uint8)[drive.classes.numpy()]


def save(folder, arrays, name="{:08d}.png", first=98):
    folder.mkdir(parents=True)
    for t, array in enumerate(arrays):
        Image.fromarray(array).save(folder / name.format(first + t))
    return folder


def video(path, arrays, codec="libx264", pix_fmt="yuv420p", **options):
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(24))
        stream.height, stream.width, stream.pix_fmt = *arrays.shape[1:3], pix_fmt
        stream.options = options
        for array in arrays:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        container.mux(stream.encode())


def stacked(frames):
    return torch.stack(list(frames))


def exact(drive, found):
    depth = stacked(read_depth(found.depth, found.depth_format))
    assert np.abs(depth.numpy() - metres(drive)).max() < 1e-3
    assert torch.equal(stacked(read_classes(found.semantic, found.semantic_format)), drive.classes)
    assert torch.equal(stacked(read_instances(found.instance, found.instance_format)), drive.instances)


CARLA_FOLDERS = {
    "its 0.8 client": ("CameraDepth", "CameraSemanticSegmentation", "CameraInstanceSegmentation"),
    "names of the sensors": (
        "sensor.camera.depth",
        "sensor.camera.semantic_segmentation",
        "sensor.camera.instance_segmentation",
    ),
    "one folder per camera": ("out/depth", "out/semantic", "out/instance"),
}


@pytest.mark.parametrize("name", CARLA_FOLDERS)
@pytest.mark.parametrize("paint", [False, True])
def test_carlas_own_recordings(drive, tmp_path, name, paint):
    depth, semantic, instance = (tmp_path / "rec" / folder for folder in CARLA_FOLDERS[name])
    save(depth, codes24(metres(drive)))
    save(semantic, painted(drive) if paint else tags(drive))
    save(instance, instances(drive))
    save(tmp_path / "rec" / "CameraRGB", tags(drive))
    found = find_recording(tmp_path / "rec")
    assert (found.depth_format, found.instance_format) == ("carla", "carla")
    assert found.semantic_format == ("carla colours" if paint else "0.9.14")
    exact(drive, found)


def test_the_packs_own_buffers_folder(drive, tmp_path):
    write_clip(tmp_path / "a.mp4", drive.rgb, 24)
    write_buffers(tmp_path / "b", tmp_path / "a.mp4", drive)
    exact(drive, find_recording(tmp_path / "b"))


def test_several_cameras_are_told_apart_by_name(drive, tmp_path):
    for side, shift in (("front", 0), ("left", 5)):
        save(tmp_path / f"depth_{side}", codes24((metres(drive) + shift).clip(max=1000)))
    with pytest.raises(UserError, match="depth_front, depth_left"):
        find_recording(tmp_path)
    found = find_recording(tmp_path, camera="Front")
    assert np.abs(stacked(read_depth(found.depth)).numpy() - metres(drive)).max() < 1e-3
    with pytest.raises(UserError, match="no depth"):
        find_recording(tmp_path, camera="rear")


def test_the_first_cosmos_example(drive, tmp_path):
    """Log depth cut to 8 bits with near white, the palette's colours, both through lossy 4:2:0 video."""
    grey = 1 - (np.log(metres(drive).clip(0.01)) - np.log(0.01)) / (np.log(1000) - np.log(0.01))
    grey = (grey * 255).astype(np.uint8)[..., None].repeat(3, -1)
    for name, arrays in (
        ("depth", grey),
        ("semantic_segmentation", painted(drive)),
        ("instance_segmentation", instances(drive)),
        ("edges", grey),
        ("rgb", (drive.rgb * 255).round().byte().numpy()),
    ):
        video(tmp_path / f"{name}.mp4", arrays, crf="1")
    found = find_recording(tmp_path)
    assert (found.depth_format, found.semantic_format, found.instance) == ("cosmos_log", "carla colours", None)
    depth = stacked(read_depth(found.depth, found.depth_format)).numpy()
    near = metres(drive) < 900
    assert np.median(np.abs(depth / metres(drive) - 1)[near]) < 0.03 and (np.diff(depth[near]) != 0).any()
    assert (depth[metres(drive) == 1000] >= 900).mean() > 0.99
    classes = stacked(read_classes(found.semantic, found.semantic_format))
    same = torch.nn.functional.unfold(drive.classes[:, None].float(), 5).movedim(1, -1)  # of one class all around
    inside = (same == same[..., 12:13]).all(-1).reshape(T, H - 4, W - 4)
    right = (classes == drive.classes)[:, 2:-2, 2:-2]
    assert float(right[inside].float().mean()) > 0.99 and float(inside.float().mean()) > 0.4


def test_the_newer_cosmos_capture(drive, tmp_path):
    """Inverse depth stretched over the clip with near white, in lossless 4:4:4 H.264 beside a manifest.json."""
    disparity = 1 / metres(drive).clip(0.1)
    low, high = disparity.min(), disparity.max()
    grey = np.round((disparity - low) / (high - low) * 255).astype(np.uint8)[..., None].repeat(3, -1)
    lossless = {"pix_fmt": "yuv444p", "qp": "0"}
    video(tmp_path / "depth_camera_front_wide_120fov.mp4", grey, **lossless)
    video(tmp_path / "semantic_camera_front_wide_120fov.mp4", painted(drive), **lossless)
    video(tmp_path / "seg_camera_front_wide_120fov.mp4", instances(drive), **lossless)
    camera = "camera_front_wide_120fov"
    names = {f"{kind}/{camera}": f"{kind}_{camera}.mp4" for kind in ("depth", "seg", "semantic")}
    (tmp_path / "manifest.json").write_text(json.dumps({"format_version": 1, "frames": T, "videos": names}))
    found = find_recording(tmp_path)
    assert (found.depth_format, found.semantic_format, found.instance) == ("cosmos_inverse", "carla colours", None)
    assert torch.equal(stacked(read_classes(found.semantic, found.semantic_format)), drive.classes)
    distance = stacked(read_depth(found.depth, found.depth_format)).numpy()
    assert np.abs((1 / distance)[grey[..., 0] > 0] * 255 - grey[..., 0][grey[..., 0] > 0]).max() <= 1.01
    (tmp_path / names[f"depth/{camera}"]).unlink()
    with pytest.raises(UserError, match="lacks depth_camera"):
        find_recording(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(UserError, match="damaged"):
        find_recording(tmp_path)


def test_virtual_kitti_2(drive, tmp_path):
    """16-bit centimetres, painted classes, and instance numbers in PNGs with a colour table."""
    frames = tmp_path / "Scene01" / "clone" / "frames"
    near = metres(drive) < 655
    centimetres = np.where(near, np.round(metres(drive).clip(max=655) * 100), 65535).astype(np.uint16)
    save(frames / "depth" / "Camera_0", centimetres, "depth_{:05d}.png", 0)
    colours = {
        "terrain": (210, 0, 200), "sky": (90, 200, 255), "vegetation": (0, 199, 0), "building": (140, 140, 140),
        "road": (100, 60, 100), "guard rail": (250, 100, 255), "traffic sign": (255, 255, 0), "pole": (255, 130, 0),
        "traffic light": (200, 200, 0), "other": (80, 80, 80), "truck": (160, 60, 60), "car": (255, 127, 80),
    }  # fmt: skip
    table = np.array([colours.get(name, (80, 80, 80)) for name, _ in CARLA_TAGS.values()], np.uint8)
    expected = np.array([tag if name in colours else TAG["other"] for tag, (name, _) in CARLA_TAGS.items()])
    save(frames / "classSegmentation" / "Camera_0", table[drive.classes.numpy()], "classgt_{:05d}.png", 0)
    numbers = (drive.instances.numpy() % 200).astype(np.uint8)
    folder = frames / "instanceSegmentation" / "Camera_0"
    folder.mkdir(parents=True)
    for t, ids in enumerate(numbers):
        image = Image.fromarray(ids, "P")
        image.putpalette([v for i in range(256) for v in ((37 * i) % 256, (91 * i) % 256, (151 * i) % 256)])
        image.save(folder / f"instancegt_{t:05d}.png")
    found = find_recording(tmp_path / "Scene01" / "clone")
    assert (found.depth_format, found.semantic_format, found.instance_format) == (
        "vkitti2",
        "vkitti2 colours",
        "vkitti2",
    )
    depth = stacked(read_depth(found.depth, found.depth_format)).numpy()
    assert np.abs(depth - metres(drive))[near].max() < 0.00501 and (depth[~near] == 1000).all()
    classes = stacked(read_classes(found.semantic, found.semantic_format)).numpy()
    assert np.array_equal(classes, expected[drive.classes.numpy()])
    assert np.array_equal(stacked(read_instances(found.instance, "vkitti2")).numpy(), numbers)


# SYNTHIA's README: class numbers 0 to 22.
SYNTHIA = (
    "void sky building road sidewalk fence vegetation pole car trafficsign pedestrian bicycle motorcycle parking "
    "roadwork trafficlight terrain rider truck bus train wall roadline"
).split()


def test_synthia(drive, tmp_path):
    import av

    numbers = {
        name.replace(" ", ""): SYNTHIA.index(name.replace(" ", "")) for name in TAG if name.replace(" ", "") in SYNTHIA
    }
    table = np.array([numbers.get(name.replace(" ", ""), 0) for name, _ in CARLA_TAGS.values()], np.uint16)
    label = np.stack(
        [table[drive.classes.numpy()], drive.instances.numpy().astype(np.uint16), table[drive.classes.numpy()] * 0], -1
    )
    folder = tmp_path / "GT" / "LABELS" / "Stereo_Left" / "Omni_F"
    folder.mkdir(parents=True)
    for t, array in enumerate(label):
        with av.open(str(folder / f"{t:06d}.png"), "w", format="image2") as container:
            stream = container.add_stream("png", rate=1)
            stream.height, stream.width, stream.pix_fmt = H, W, "rgb48be"
            frame = av.VideoFrame.from_ndarray(array, format="rgb48le").reformat(format="rgb48be")
            container.mux([*stream.encode(frame), *stream.encode()])
    assert np.array_equal(read_picture(folder / "000000.png"), label[0])
    centimetres = np.round(metres(drive).clip(max=600) * 100).astype(np.uint16)
    save(tmp_path / "Depth" / "Stereo_Left" / "Omni_F", centimetres, "{:06d}.png", 0)
    found = find_recording(tmp_path)
    assert (found.semantic_format, found.instance_format) == ("synthia", "synthia")
    assert torch.equal(stacked(read_instances(found.instance, "synthia")), drive.instances)
    classes = stacked(read_classes(found.semantic, "synthia")).numpy()
    known = np.isin(drive.classes.numpy(), [TAG[n] for n in TAG if n.replace(" ", "") in numbers])
    assert np.array_equal(classes[known], drive.classes.numpy()[known]) and known.mean() > 0.9
    depth = stacked(read_depth(found.depth, found.depth_format)).numpy()
    assert np.abs(depth - metres(drive).clip(max=600)).max() < 0.00501


def test_sixteen_bit_depth_of_any_scale(drive, tmp_path):
    millimetres = np.round(metres(drive).clip(max=60) * 1000).astype(np.uint16)
    millimetres[0, 0, 0] = 0
    folder = save(tmp_path / "depth", millimetres)
    depth = stacked(read_depth(folder, "png16", 0.001)).numpy()
    assert depth[0, 0, 0] == 1000
    assert np.abs(depth - metres(drive).clip(max=60)).reshape(-1)[1:].max() < 0.000501
    for scale in (0, -1, np.nan):
        with pytest.raises(UserError, match="metres of one code"):
            next(read_depth(folder, "png16", scale))
    with pytest.raises(UserError, match="uint16"):
        next(read_depth(save(tmp_path / "eight", tags(drive)), "png16", 0.001))


def test_codes_in_a_video_are_read_where_it_kept_them(drive, tmp_path):
    codes = codes24(metres(drive))
    video(tmp_path / "depth.mkv", codes, "ffv1", "bgr0")
    video(tmp_path / "instance.mkv", instances(drive), "ffv1", "bgr0")
    assert np.abs(stacked(read_depth(tmp_path / "depth.mkv")).numpy() - metres(drive)).max() < 1e-3
    assert torch.equal(stacked(read_instances(tmp_path / "instance.mkv")), drive.instances)
    assert torch.equal(stacked(read_classes(tmp_path / "instance.mkv")), drive.classes)
    assert len(list(read_pictures(tmp_path / "depth.mkv", 1, 2))) == 1
    video(tmp_path / "depth.mp4", codes)
    for read in (read_depth, read_classes, read_instances):
        with pytest.raises(UserError, match="lost the codes"):
            next(read(tmp_path / "depth.mp4"))


def test_what_no_palette_has_is_said(tmp_path):
    save(tmp_path / "semantic", np.full((1, 8, 8, 3), 77, np.uint8))
    with pytest.raises(UserError, match="no palette"):
        classes_of(tmp_path / "semantic")
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "none"):
        with pytest.raises(UserError):
            find_recording(folder)


def test_the_command_imports_a_whole_recording(drive, tmp_path, capsys):
    clip = tmp_path / "drive.mp4"
    write_clip(clip, drive.rgb, 24)
    save(tmp_path / "rec" / "CameraDepth", codes24(metres(drive)))
    save(tmp_path / "rec" / "CameraSemanticSegmentation", painted(drive))
    save(tmp_path / "ids", instances(drive))
    command = ["buffers", str(clip), "--recording", str(tmp_path / "rec"), "--instance", str(tmp_path / "ids")]
    assert main(command) == 0
    assert "holds depth, semantic, instance of 3 frames" in capsys.readouterr().out
    made = open_buffers(tmp_path / "drive_buffers", clip)
    assert torch.equal(made.classes(), drive.classes) and torch.equal(made.instances(), drive.instances)
    assert (made.depth() - drive.depth.clamp(max=1000)).abs().max() < 1e-3
    assert main(["buffers", str(clip), "--depth", str(tmp_path / "rec" / "CameraDepth")]) == 0
    assert "carla: 24 bits, lowest byte in red" in capsys.readouterr().out
