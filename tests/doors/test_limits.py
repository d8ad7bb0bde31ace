"""What would hang or eat the memory is refused by its size, and what says other than it is by what it says."""

import struct
import zipfile
import zlib

import pytest

from pipeline_core.conditions.buffer_files import check_lights, check_manifest
from pipeline_core.conditions.pictures import read_picture
from pipeline_core.doors import read_json
from pipeline_core.errors import UserError
from pipeline_core.metrics.seams import check_seams
from pipeline_core.models.released.convert import read_checkpoint


def test_a_zip_bomb_is_refused_by_the_sizes_it_states(tmp_path):
    for member in ("w/data.pkl", "w/data/0"):
        path = tmp_path / "w.pt"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("w/data.pkl", b".")
            archive.writestr(f"{member}x" if member.endswith("0") else f"x{member}", bytes(40 << 20))
        with pytest.raises(UserError, match="unpack|list of tensors"):
            read_checkpoint(path)


def test_a_picture_of_60000_by_60000_pixels_is_refused_before_it_is_decoded(tmp_path):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (tmp_path / "p.png").write_bytes(content)
    with pytest.raises(UserError, match="p.png"):
        read_picture(tmp_path / "p.png")


def test_files_that_never_end_and_that_are_too_deep_are_refused(tmp_path):
    (tmp_path / "deep.json").write_text('{"a":' * 70 + "1" + "}" * 70)
    for path, said in (("/dev/zero", "not a file"), (tmp_path, "not a file"), (tmp_path / "deep.json", "nested")):
        with pytest.raises(UserError, match=said):
            read_json(path, "give another")


def test_seams_beyond_the_clip_and_buffers_that_say_nonsense_are_refused(tmp_path):
    check_seams((1, 4), 5)
    for seam in (0, 5, 99999):
        with pytest.raises(UserError, match="seam"):
            check_seams((seam,), 5)
    whole = {"version": 1, "frames": 2, "height": 8, "width": 8, "channels": ["depth"]}
    check_manifest(whole, tmp_path)
    for field, value in (("frames", 0), ("frames", 2.0), ("height", None), ("channels", ["../.."]), ("channels", [])):
        with pytest.raises(UserError):
            check_manifest({**whole, field: value}, tmp_path)
    light = {"instance": 1, "state": ["red", None], "box": [None, [0, 0, 1, 1]], "lamp_box": [None] * 2,
             "visible": [0.0, 1]}  # fmt: skip
    check_lights([light], 2, tmp_path)
    for field, value in (("state", ["red"]), ("box", [None, [0, 0, 1]]), ("visible", ["a", 1]), ("instance", "1")):
        with pytest.raises(UserError):
            check_lights([{**light, field: value}], 2, tmp_path)
