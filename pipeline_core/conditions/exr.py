"""Whether an OpenEXR picture is whole: FFmpeg fills what is missing with black and says nothing.

The layout is that of the format's own description (OpenEXR File Layout): magic number and version, header attributes
up to an empty name, a table of offsets, and for every block of rows its number, its size and its bytes.
"""

from __future__ import annotations

import struct
from pathlib import Path

from ..doors.pictures import check_pixels
from ..errors import UserError

_MAGIC = b"\x76\x2f\x31\x01"
_ROWS = (1, 1, 1, 16, 32, 16, 32, 32, 32, 256)  # of one block, by compression
_MOST_HEADER = 1 << 20  # bytes
_TILED, _MULTIPART = 0x200, 0x1000


def check_exr(path: Path) -> None:
    """UserError for an EXR picture of scan lines that is damaged, cut off or larger than pictures may be, and for tiled
    or multi-part ones, which renderers write for textures only."""
    damaged = UserError(f"The picture {path} is cut off or damaged: save it again.")
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_MOST_HEADER)
        if head[:4] != _MAGIC or len(head) < 8:
            raise damaged
        (version,) = struct.unpack_from("<I", head, 4)
        if version & (_TILED | _MULTIPART):
            raise UserError(f"The picture {path} is tiled or has several parts: save it as plain scan lines.")
        try:
            attributes, start = _attributes(head)
            left, top, right, bottom = struct.unpack("<4i", attributes["dataWindow"])
            rows = _ROWS[attributes["compression"][0]]
        except (struct.error, KeyError, IndexError, ValueError):
            raise damaged from None
        width, height = right - left + 1, bottom - top + 1
        if width < 1 or height < 1:
            raise damaged
        check_pixels(width, height, path)
        count = -(-height // rows)
        file.seek(start)
        table = file.read(8 * count)
        if len(table) < 8 * count:
            raise damaged
        for offset in struct.unpack(f"<{count}Q", table):
            file.seek(min(offset, size))
            block = file.read(8)
            if offset < start + 8 * count or len(block) < 8:
                raise damaged
            row, length = struct.unpack("<2i", block)
            if not top <= row <= bottom or length < 0 or offset + 8 + length > size:
                raise damaged


def _attributes(head: bytes) -> tuple[dict[str, bytes], int]:
    """The header's attributes by name, and where the table of offsets begins."""
    attributes, place = {}, 8
    while head[place]:
        name, place = _word(head, place)
        _, place = _word(head, place)
        (length,) = struct.unpack_from("<i", head, place)
        if length < 0:
            raise ValueError
        attributes[name] = head[place + 4 : place + 4 + length]
        place += 4 + length
    return attributes, place + 1


def _word(head: bytes, place: int) -> tuple[str, int]:
    end = head.index(b"\0", place)
    return head[place:end].decode("latin-1"), end + 1
