"""How long a file says it is: containers state the lengths of their parts, so that a cut is seen without decoding."""

from __future__ import annotations

import os
from typing import BinaryIO

_SEGMENT = bytes.fromhex("18538067")  # of Matroska: the element that holds everything but the header


def missing_bytes(path: str | os.PathLike) -> int:
    """Bytes that an MP4 (ISO 14496-12, 4.2), Matroska (RFC 8794, 4 and 5) or AVI file names beyond its end; 0 for a
    whole one, for one that leaves its length open, as live recorders do, and for any other container."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(12)
        if head[:4] == b"RIFF":
            stated = int.from_bytes(head[4:8], "little")
            return max(0, 8 + stated - size) if 0 < stated < 2**32 - 1 else 0
        if head[:4] == bytes.fromhex("1a45dfa3"):
            return max(0, _segment_end(file) - size)
        return max(0, _last_box_end(file, size) - size) if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide") else 0


def _segment_end(file: BinaryIO) -> int:
    """Where a Matroska file's segment ends, 0 if it does not say."""
    file.seek(4)
    file.seek(_vint(file), os.SEEK_CUR)
    if file.read(4) != _SEGMENT:
        return 0
    length = _vint(file)
    return file.tell() + length if length else 0


def _vint(file: BinaryIO) -> int:
    """A number of 1 to 8 bytes: as many as the place of the first bit set says. 0 for all ones, which is unknown."""
    first = int.from_bytes(file.read(1), "big")
    count = 9 - first.bit_length()
    if not first:
        return 0
    bits = 7 * count
    value = int.from_bytes(bytes([first]) + file.read(count - 1), "big") & ((1 << bits) - 1)
    return 0 if value == (1 << bits) - 1 else value


def _last_box_end(file: BinaryIO, size: int) -> int:
    """Where the last of the outermost boxes of an MP4 file ends; a length of 0 is up to the file's end."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1 and len(head) == 16:
            length = int.from_bytes(head[8:], "big")
        if length < 8:
            return size
        at += length
    return at
