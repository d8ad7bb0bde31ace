"""An encoder of its own for simulators' files: the tables and formulas as the releases publish them, byte by byte.

Nothing here comes from the package: CARLA's CityScapesPalette.h at each release (tag -> colour), its tag enumerations,
its documentation's depth formulas, Cityscapes' label definitions, the read-me files of Virtual KITTI 2 and SYNTHIA.
"""

import json
import struct
import zlib
from fractions import Fraction

import numpy as np

FIRST = 98  # the frame number of the first picture


def table(text):
    """Lines "name r g b" -> [(name, (r, g, b))]."""
    rows = [line.split() for line in text.strip().split(";") if line.strip()]
    return [(" ".join(row[:-3]), tuple(map(int, row[-3:]))) for row in rows]


# LibCarla/source/carla/image/CityScapesPalette.h: up to 0.9.9, 0.9.10 to 0.9.13, 0.9.14 to 0.9.16, 0.10.
PALETTE_099 = table("""unlabeled 0 0 0; building 70 70 70; fence 190 153 153; other 250 170 160; pedestrian 220 20 60;
pole 153 153 153; road line 157 234 50; road 128 64 128; sidewalk 244 35 232; vegetation 107 142 35; car 0 0 142;
wall 102 102 156; traffic sign 220 220 0""")
PALETTE_0913 = table("""unlabeled 0 0 0; building 70 70 70; fence 100 40 40; other 55 90 80; pedestrian 220 20 60;
pole 153 153 153; road line 157 234 50; road 128 64 128; sidewalk 244 35 232; vegetation 107 142 35; car 0 0 142;
wall 102 102 156; traffic sign 220 220 0; sky 70 130 180; ground 81 0 81; bridge 150 100 100; rail track 230 150 140;
guard rail 180 165 180; traffic light 250 170 30; static 110 190 160; dynamic 170 120 50; water 45 60 150;
terrain 145 170 100""")
PALETTE_0914 = table("""unlabeled 0 0 0; road 128 64 128; sidewalk 244 35 232; building 70 70 70; wall 102 102 156;
fence 190 153 153; pole 153 153 153; traffic light 250 170 30; traffic sign 220 220 0; vegetation 107 142 35;
terrain 152 251 152; sky 70 130 180; pedestrian 220 20 60; rider 255 0 0; car 0 0 142; truck 0 0 70; bus 0 60 100;
train 0 80 100; motorcycle 0 0 230; bicycle 119 11 32; static 110 190 160; dynamic 170 120 50; other 55 90 80;
water 45 60 150; road line 157 234 50; ground 81 0 81; bridge 150 100 100; rail track 230 150 140;
guard rail 180 165 180""")
PALETTE_010 = [*PALETTE_0914, ("rock", (180, 130, 70))]
CARLA = {"0.9.9": PALETTE_099, "0.9.13": PALETTE_0913, "0.9.14": PALETTE_0914, "0.10": PALETTE_010}
NOW = [name for name, _ in PALETTE_010]  # the names of the current tags, 0 to 29
# Cityscapes' labels.py, and GTA V's Playing for Data in the same colours: id, train id, colour.
CITYSCAPES_ROWS = """static 4 255 0 0 0; dynamic 5 255 111 74 0; ground 6 255 81 0 81; road 7 0 128 64 128;
sidewalk 8 1 244 35 232; rail track 10 255 230 150 140; building 11 2 70 70 70; wall 12 3 102 102 156;
fence 13 4 190 153 153; guard rail 14 255 180 165 180; bridge 15 255 150 100 100; pole 17 5 153 153 153;
traffic light 19 6 250 170 30; traffic sign 20 7 220 220 0; vegetation 21 8 107 142 35; terrain 22 9 152 251 152;
sky 23 10 70 130 180; pedestrian 24 11 220 20 60; rider 25 12 255 0 0; car 26 13 0 0 142; truck 27 14 0 0 70;
bus 28 15 0 60 100; train 31 16 0 80 100; motorcycle 32 17 0 0 230; bicycle 33 18 119 11 32"""
CITYSCAPES = {
    " ".join(row[:-5]): tuple(map(int, row[-5:])) for row in (line.split() for line in CITYSCAPES_ROWS.split(";"))
}
VKITTI2 = table("""terrain 210 0 200; sky 90 200 255; vegetation 0 199 0; building 140 140 140; road 100 60 100;
guard rail 250 100 255; traffic sign 255 255 0; traffic light 200 200 0; pole 255 130 0; other 80 80 80;
truck 160 60 60; car 255 127 80""")
SYNTHIA = table("""unlabeled 0 0 0; sky 70 130 180; building 70 70 70; road 128 64 128; sidewalk 244 35 232;
fence 64 64 128; vegetation 107 142 35; pole 153 153 153; car 0 0 142; traffic sign 220 220 0; pedestrian 220 20 60;
bicycle 119 11 32; motorcycle 0 0 230; road 250 170 160; dynamic 128 64 64; traffic light 250 170 30;
terrain 152 251 152; rider 255 0 0; truck 0 0 70; bus 0 60 100; train 0 80 100; wall 102 102 156""")
# What a release had no tag for was one of these, or nothing.
STANDS_FOR = {
    "truck": "car",
    "bus": "car",
    "train": "car",
    "motorcycle": "car",
    "bicycle": "car",
    "rider": "pedestrian",
}


def as_release(classes, names):
    """Current tags -> tags of a table of names, as that release would have given them."""
    first = {name: tag for tag, name in reversed(list(enumerate(names)))}
    lookup = [first.get(name, first.get(STANDS_FOR.get(name, ""), first.get("other", 0))) for name in NOW]
    return np.array(lookup, np.uint8)[classes]


def truth(tags, names):
    """Tags of a table of names -> current tags."""
    return np.array([NOW.index(name) for name in names], np.uint8)[tags]


def painted(tags, palette):
    return np.array([colour for _, colour in palette], np.uint8)[tags]


def red(tags):
    return np.stack([tags, tags * 0, tags * 0], -1).astype(np.uint8)


def with_ids(tags, ids):
    """ATagger: red the tag, green the low byte of the id, blue the high one."""
    return np.stack([tags, ids % 256, ids // 256], -1).astype(np.uint8)


def depth24(metres):
    code = np.round(metres / 1000 * (256**3 - 1)).astype(np.int64)
    return np.stack([code % 256, code // 256 % 256, code // 65536], -1).astype(np.uint8)


def depth_log(metres):
    grey = np.clip(1 + np.log(metres / 1000) / 5.70378, 0, 1)
    return np.round(255 * grey).astype(np.uint8)


def depth_linear(metres):
    return np.round(255 * metres / 1000).astype(np.uint8)


def depth_50m(metres):
    """carla_garage, data_agent.py: clipped to 50 m, rescaled to 0 .. 255."""
    return (np.clip(metres / 1000, 0, 0.05) * 20 * 255 + 0.5).astype(np.uint8)


def depth_metres8(metres):
    """Bench2Drive: metres, saturated by OpenCV to 255."""
    return np.clip(np.round(metres), 0, 255).astype(np.uint8)


def depth_16(metres, unit):
    return np.where(metres / unit < 65535, np.round(metres / unit), 65535).astype(np.uint16)


def cosmos_log(metres):
    grey = 1 - (np.log(metres.clip(0.01)) - np.log(0.01)) / (np.log(1000) - np.log(0.01))
    return (grey * 255).astype(np.uint8)


def cosmos_capture(metres, linear=False):
    """controls.normalise_depth: per clip, near is bright."""
    value = metres if linear else 1 / np.maximum(metres, 0.1)
    share = (value - value.min()) / (value.max() - value.min())
    return np.round(255 * (1 - share if linear else share)).astype(np.uint8)


def three(grey):
    return np.repeat(grey[..., None], 3, -1)


def png(path, array):
    """8 or 16 bits, grey or colour; nothing but zlib and struct."""
    bits, colour = array.dtype.itemsize * 8, 2 if array.ndim == 3 else 0
    rows = b"".join(b"\0" + row.astype(f">u{bits // 8}").tobytes() for row in array)
    header = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], bits, colour, 0, 0, 0)
    body = b""
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b"")):
        body += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def exr(path, array):
    import av

    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("exr", rate=1)
        stream.height, stream.width, stream.pix_fmt = *array.shape, "grayf32le"
        frame = av.VideoFrame(array.shape[1], array.shape[0], "grayf32le")
        rows = np.zeros((array.shape[0], frame.planes[0].line_size // 4), np.float32)
        rows[:, : array.shape[1]] = array
        frame.planes[0].update(rows.tobytes())
        container.mux([*stream.encode(frame), *stream.encode()])


def save(folder, arrays, name="{:08d}.png", numbers=None):
    folder.mkdir(parents=True, exist_ok=True)
    for number, array in zip(numbers or range(FIRST, FIRST + len(arrays)), arrays):
        path = folder / name.format(number)
        if path.suffix == ".npy":
            np.save(path, array)
        else:
            (exr if path.suffix == ".exr" else png)(path, array)
    return folder


def video(path, arrays, codec="libx264", pix_fmt="yuv444p", **options):
    """As ffmpeg writes the Cosmos client's controls: libx264 -qp 0 -pix_fmt yuv444p, if nothing else is said."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = three(arrays) if arrays.ndim == 3 else arrays
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(24))
        stream.height, stream.width, stream.pix_fmt = *arrays.shape[1:3], pix_fmt
        stream.options = options or ({"qp": "0"} if codec == "libx264" else {})
        for array in arrays:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        container.mux(stream.encode())


def manifest(folder, *kinds, camera="camera_front_wide_120fov"):
    videos = {f"{kind}/{camera}": f"{kind}_{camera}.mp4" for kind in kinds}
    (folder / "manifest.json").write_text(json.dumps({"format_version": 1, "videos": videos}))
