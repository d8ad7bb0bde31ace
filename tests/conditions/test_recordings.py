"""Oracles: pictures written here byte by byte (zlib and struct), CARLA's published formulas, the world's buffers."""

import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline_core.conditions.depth import disparity_limits, disparity_map
from pipeline_core.conditions.encodings import DEPTH_FORMATS, picture_codes
from pipeline_core.conditions.numbering import list_pictures
from pipeline_core.conditions.pictures import read_picture
from pipeline_core.conditions.recordings import (
    classes_of_frames,
    depth_of_frames,
    import_recording,
    instances_of_frames,
    read_classes,
    read_depth,
    read_instances,
)
from pipeline_core.conditions.segmentation import OLD_CARLA_TAGS, TAG, segmentation_map
from pipeline_core.errors import UserError
from pipeline_core.video.media import write_clip
from pipeline_core.world import make_scene, render

T, H, W = 3, 16, 24


def png(path, array):
    """A PNG encoder of its own: 8 or 16 bits, one or three channels."""
    bits, colour = array.dtype.itemsize * 8, 2 if array.ndim == 3 else 0
    rows = b"".join(b"\0" + row.astype(f">u{bits // 8}").tobytes() for row in array)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", array.shape[1], array.shape[0], bits, colour, 0, 0, 0)),
              (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]  # fmt: skip
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def exr(path, array):
    import av

    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("exr", rate=1)
        stream.height, stream.width, stream.pix_fmt = *array.shape, "grayf32le"
        frame = av.VideoFrame(array.shape[1], array.shape[0], "grayf32le")
        line = frame.planes[0].line_size // 4
        rows = np.zeros((array.shape[0], line), np.float32)
        rows[:, : array.shape[1]] = array
        frame.planes[0].update(rows.tobytes())
        for packet in [*stream.encode(frame), *stream.encode()]:
            container.mux(packet)


@pytest.fixture(scope="module")
def drive():
    return render(make_scene(2), T, (H, W), "synthetic")


@pytest.fixture
def save(tmp_path):
    def save(name, arrays, write=png, suffix="png"):
        (tmp_path / name).mkdir()
        for t, array in enumerate(arrays):
            write(tmp_path / name / f"frame_{98 + t}.{suffix}", array)  # 98, 99, 100: not in the order of the letters
        return tmp_path / name

    return save


def carla_codes(metres):
    code = np.minimum(np.round(metres / 1000 * (256**3 - 1)), 256**3 - 1).astype(np.int64)
    return np.stack([code % 256, code // 256 % 256, code // 65536], -1).astype(np.uint8)


def test_carla_depth_to_a_millimetre(drive, save):
    metres = drive.depth.double().clamp(max=1000).numpy()
    made = torch.stack(list(read_depth(save("depth", carla_codes(metres)))))
    assert np.abs(made.numpy() - metres).max() < 1e-3 and (made[drive.depth > 1000] == 1000).all()


def test_carla_log_depth_is_within_a_code(drive, save):
    """Encoded as CARLA's converter does it: grey = 1 + ln(depth) / 5.70378, cut off at 0 and 1."""
    metres = drive.depth.double().clamp(max=1000).numpy()
    grey = np.clip(1 + np.log(metres / 1000) / 5.70378, 0, 1)
    codes = np.repeat(np.round(255 * grey)[..., None], 3, -1).astype(np.uint8)
    made = torch.stack(list(read_depth(save("log", codes), "carla_log"))).numpy()
    far = metres > 3.4
    assert np.abs(made / metres - 1)[far].max() < 0.0115 and (made[metres == 1000] == 1000).all() and far.mean() > 0.5
    assert made.min() == pytest.approx(1000 * np.exp(-5.70378), rel=1e-4) or far.all()


@pytest.mark.parametrize("source, channels", [("vkitti2", 1), ("synthia", 3), ("synthia", 1)])
def test_centimetre_depth(drive, save, source, channels):
    metres = drive.depth.double().numpy()
    codes = np.where(metres < 655, np.round(np.minimum(metres, 655) * 100), 65535).astype(np.uint16)
    pictures = codes if channels == 1 else np.repeat(codes[..., None], 3, -1)
    made = torch.stack(list(read_depth(save("cm", pictures), source))).numpy()
    near = metres < 655
    assert np.abs(made - metres)[near].max() < 0.00501 and (made[~near] == 1000).all()


def test_exr_depth_is_exact(drive, save):
    folder = save("exr", drive.depth.numpy(), exr, "exr")
    made = torch.stack(list(read_depth(folder, "exr")))
    assert torch.equal(made, drive.depth.clamp(max=1000))
    assert torch.allclose(next(read_depth(folder, "exr", 0.01)), (drive.depth[0] * 0.01).clamp(max=1000))
    broken = drive.depth[:1].numpy().copy()
    broken[0, 0, 0] = np.nan
    assert next(read_depth(save("nan", broken, exr, "exr"), "exr"))[0, 0] == 1000


def test_sixteen_bits_in_three_channels_keep_their_low_byte(tmp_path):
    codes = np.arange(6 * 5 * 3, dtype=np.uint16).reshape(6, 5, 3) * 701
    png(tmp_path / "a1.png", codes)
    assert np.array_equal(read_picture(tmp_path / "a1.png"), codes)
    with Image.open(tmp_path / "a1.png") as image:
        assert np.asarray(image).dtype == np.uint8  # what reading it the usual way would have given


def test_tags_raw_old_and_painted(drive, save):
    raw = np.stack([drive.classes.numpy(), *[np.zeros_like(drive.classes.numpy())] * 2], -1)
    assert torch.equal(torch.stack(list(read_classes(save("raw", raw)))), drive.classes)
    old = {TAG[name]: tag for tag, name in OLD_CARLA_TAGS.items()}
    codes = np.vectorize(lambda tag: old.get(tag, 3))(raw[..., 0])
    kept = np.isin(raw[..., 0], list(old))
    pictures = np.stack([codes, *[codes * 0] * 2], -1).astype(np.uint8)
    made = torch.stack(list(read_classes(save("old", pictures), "0.9.13"))).numpy()
    assert (made == raw[..., 0])[kept].all() and (made == TAG["other"])[~kept].all() and kept.mean() > 0.5
    painted = (segmentation_map(drive.classes) * 255).round().to(torch.uint8).numpy()
    assert torch.equal(torch.stack(list(read_classes(save("painted", painted), "carla colours"))), drive.classes)
    with pytest.raises(UserError, match="other table"):
        next(read_classes(save("newer", raw * 0 + 25), "0.9.13"))


def test_a_recording_becomes_a_buffers_folder(drive, save, tmp_path):
    clip = tmp_path / "drive.mp4"
    write_clip(clip, drive.rgb, 10)
    ids = drive.instances.numpy()
    instance = np.stack([drive.classes.numpy(), ids % 256, ids // 256], -1).astype(np.uint8)
    folders = save("d", carla_codes(drive.depth.double().clamp(max=1000).numpy())), save("i", instance)
    seen = []
    buffers = import_recording(
        tmp_path / "b", clip, folders[0], instance=folders[1], progress=lambda *done: seen.append(done)
    )
    assert buffers.channels == ("depth", "semantic", "instance") and seen == [(T, T)]
    assert torch.equal(buffers.instances(), drive.instances) and torch.equal(buffers.classes(), drive.classes)
    assert (buffers.depth() - drive.depth.clamp(max=1000)).abs().max() < 1e-3
    assert torch.equal(torch.stack(list(read_instances(folders[1]))), drive.instances)
    (folders[0] / "frame_98.png").unlink()
    with pytest.raises(UserError, match="2 pictures"):
        import_recording(tmp_path / "c", clip, folders[0])
    with pytest.raises(UserError, match="at least one"):
        import_recording(tmp_path / "c", clip)
    assert not (tmp_path / "c").exists()


def test_static_pixels_stay_when_the_range_of_the_clip_changes():
    """From 8-bit logarithmic depth: something near and something far come into view, the rest keeps its disparity."""
    depth = torch.full((8, 16, 16), 20.0)
    depth[3:6, :4] = 5.0
    depth[5:, 12:] = 400.0
    grey = (1 + torch.log(depth / 1000) / 5.70378).clamp(0, 1)
    frames = torch.stack([DEPTH_FORMATS["carla_log"]((255 * g).round().byte().numpy()) for g in grey])
    values = disparity_map(frames, disparity_limits(frames.split(3)))
    resting = values[:, 6:10]
    assert 0.05 < float(resting.mean()) < 0.95 and float((resting / resting[0] - 1).abs().max()) < 0.01
    alone = torch.stack([disparity_map(f[None], disparity_limits([f[None]]))[0] for f in frames])[:, 6:10]
    assert float((alone / alone[0].clamp(min=1e-3) - 1).abs().max()) > 0.1  # what a scale per frame would do


def test_wrong_pictures_are_one_clear_sentence(drive, save, tmp_path):
    eight = carla_codes(drive.depth.double().clamp(max=1000).numpy())
    folder, grey = save("eight", eight), save("grey", eight[..., 0])
    for bad, source in ((folder, "vkitti2"), (folder, "exr"), (grey, "carla"), (folder, "radar")):
        with pytest.raises(UserError, match="depth"):
            next(read_depth(bad, source))
    with pytest.raises(UserError, match="Tags from"):
        next(read_classes(grey))
    (folder / "cover.png").write_bytes(b"")
    with pytest.raises(UserError, match="order"):
        list_pictures(folder)
    (grey / "frame_098.png").write_bytes((grey / "frame_98.png").read_bytes())
    with pytest.raises(UserError, match="order"):
        list_pictures(grey)
    (tmp_path / "empty").mkdir()
    for missing in (tmp_path / "empty", tmp_path / "none"):
        with pytest.raises(UserError, match="folder"):
            list_pictures(missing)
    (tmp_path / "empty" / "1.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match="damaged"):
        next(read_depth(tmp_path / "empty"))


def test_codes_of_loaded_pictures_must_lie_on_the_codes(drive):
    codes = carla_codes(drive.depth.double().clamp(max=1000).numpy())
    frames = torch.from_numpy(codes).float() / 255
    assert np.array_equal(picture_codes(frames), codes)
    small = torch.nn.functional.interpolate(frames.movedim(-1, 1), scale_factor=0.7, mode="bilinear").movedim(1, -1)
    assert (depth_of_frames(frames) - drive.depth.clamp(max=1000)).abs().max() < 1e-3
    ids = drive.instances
    tags = torch.stack([drive.classes.int(), ids % 256, ids // 256], -1)
    assert torch.equal(classes_of_frames(tags.float() / 255), drive.classes)
    assert torch.equal(instances_of_frames(tags.float() / 255), drive.instances)
    assert torch.equal(classes_of_frames(segmentation_map(drive.classes), "carla colours"), drive.classes)
    with pytest.raises(UserError, match="folder of its files"):
        depth_of_frames(frames, "vkitti2")
    with pytest.raises(UserError, match="unknown"):
        classes_of_frames(frames, "0.8")
    for bad in (small, frames + 0.5, frames * torch.nan, frames.half()):
        with pytest.raises(UserError, match="8-bit codes"):
            picture_codes(bad)
