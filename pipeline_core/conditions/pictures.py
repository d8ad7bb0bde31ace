"""The pictures of a recording, one after the other: a folder of files, a group in it, a video, or a NumPy stack."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..doors import loading, open_picture, regular_file
from ..errors import UserError
from ..video import media
from ..video.opening import local_name, open_clip
from .exr import check_exr
from .numbering import list_pictures

VIDEO_SUFFIXES = (".mp4", ".mkv", ".mov", ".avi", ".webm")
_LOSSLESS_CODECS = ("ffv1", "png", "huffyuv", "ffvhuff", "utvideo", "rawvideo", "magicyuv", "qtrle", "zlib", "bmp")
_VIDEO_SAMPLE = 48  # frames of a video that are looked at to recognise it: it must be decoded from its beginning
_FLOAT_LAYOUTS = ("gbrpf32le", "gbrapf32le", "grayf32le")
_PICTURES_ONLY = {"protocol_whitelist": "file", "format_whitelist": "image2,exr_pipe,png_pipe"}  # FFmpeg's own names
_WIDE_LAYOUTS = {"rgb48be": "rgb48le", "rgba64be": "rgba64le"}


def is_video(path: str | os.PathLike) -> bool:
    """Is it a video file by its name."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


def is_stack(path: str | os.PathLike) -> bool:
    """Is it a NumPy file by its name: a whole recording's channel, one picture after the other."""
    return Path(path).suffix.lower() == ".npy" and "*" not in Path(path).name


def count_pictures(source: str | os.PathLike) -> int:
    """How many pictures a source holds; UserError as `read_pictures`."""
    if is_video(source):
        return media.probe(source).frames
    return len(_stack(source)) if is_stack(source) else len(list_pictures(source))


def read_pictures(
    source: str | os.PathLike, start: int = 0, stop: int | None = None, exact: bool = False
) -> Iterator[tuple[str, np.ndarray]]:
    """(what to call it, picture) of the pictures start .. stop - 1 of a folder, of a group in it (FOLDER/depth_*.png),
    of a video or of a NumPy stack (T, H, W) or (T, H, W, C), as `read_picture` gives them; a video's are uint8
    (H, W, 3).

    exact: the codes themselves matter. UserError then for JPEG and for a lossy video, or one that stores luma and
    chroma, as nearly all do: their pictures are other codes than those that were written.
    """
    if is_video(source):
        if exact and not keeps_codes(source):
            raise UserError(
                f"The video {source} has lost the codes of its pictures: give a folder of PNG files, or a lossless RGB "
                "video such as FFV1."
            )
        for number, frame in enumerate(media.read_frames(source, start, stop), start):
            yield f"frame {number} of {source}", frame.numpy()
    elif is_stack(source):
        for number, array in enumerate(_stack(source)[start:stop], start):
            yield f"picture {number} of {source}", _plain_array(array, source)
    else:
        for path in list(list_pictures(source).values())[start:stop]:
            if exact and path.suffix.lower() in (".jpg", ".jpeg"):
                raise UserError(f"{path} is a JPEG, which has lost the codes of its picture: give the PNG files.")
            yield str(path), read_picture(path)


def keeps_codes(path: str | os.PathLike) -> bool:
    """Does a video hold the very RGB codes that were written: an RGB layout, and a codec that loses nothing.

    x264 writes its settings into the stream: qp=0 is lossless. Other codecs that can be either count as lossy.
    """
    container, stream = open_clip(path)
    with container:
        if not stream.codec_context.format.is_rgb:
            return False
        if stream.codec_context.name in _LOSSLESS_CODECS:
            return True
        head = b"".join(bytes(packet) for packet, _ in zip(container.demux(stream), range(2)))
        return bool(re.search(rb"x264 - core.* qp=0\b", head, re.DOTALL))


def sample_pictures(source: str | os.PathLike, count: int = 5) -> list[np.ndarray]:
    """A few pictures to look at: spread over a folder or stack, from the first frames of a video."""
    total = count_pictures(source)
    if is_video(source):
        total = min(total, _VIDEO_SAMPLE)
        step = max(1, total // count)
        return [picture for place, (_, picture) in enumerate(read_pictures(source, 0, total)) if place % step == 0]
    places = sorted({round(place * (total - 1) / max(1, count - 1)) for place in range(count)})
    return [next(read_pictures(source, place, place + 1))[1] for place in places]


def _stack(path: str | os.PathLike) -> np.ndarray:
    array = _load(path)
    if array.ndim not in (3, 4):
        raise UserError(f"{path} has the shape {array.shape}: give pictures one after the other, (T, H, W) or more.")
    return array


def _load(path: str | os.PathLike) -> np.ndarray:
    """A NumPy array, mapped from its file: what its header claims to have is not allocated."""
    with loading(regular_file(path), "a NumPy array", "save it again"):
        return np.load(path, mmap_mode="r", allow_pickle=False)


def _plain_array(array: np.ndarray, path: str | os.PathLike) -> np.ndarray:
    """A NumPy picture as a file would give it: float32 (H, W), or uint8 or uint16 (H, W) or (H, W, 3)."""
    array = np.asarray(array)
    array = array[..., 0] if array.ndim == 3 and array.shape[-1] == 1 else array
    if np.issubdtype(array.dtype, np.floating) and array.ndim == 2:
        return array.astype(np.float32)
    if np.issubdtype(array.dtype, np.integer) and array.size and 0 <= int(array.min()) and int(array.max()) < 2**16:
        kind = np.uint16 if array.dtype == np.uint16 or int(array.max()) > 255 else np.uint8
        if array.ndim == 2:
            return array.astype(kind)
        if array.ndim == 3 and array.shape[-1] in (3, 4):
            return array[..., :3].astype(kind)
    raise UserError(f"{path} holds {array.dtype} of shape {array.shape}: give depth (H, W) or codes (H, W, 3).")


def read_picture(path: str | os.PathLike) -> np.ndarray:
    """A picture file as uint8 or uint16 (H, W) or (H, W, 3); float depth (EXR, TIFF, NumPy) as float32 (H, W).

    16-bit colour PNG keeps its low bytes here, which Pillow drops without a word. A PNG with a colour table comes as
    (H, W, 3) colours; `read_indices` gives the numbers. UserError if it cannot be read.
    """
    path = regular_file(path)
    if path.suffix.lower() == ".npy":
        return _plain_array(_load(path), path)
    if path.suffix.lower() == ".exr":
        check_exr(path)
        return _decode(path)
    with open_picture(path, "save it again") as image:
        if _is_wide(path):
            return _decode(path)
        wide = image.mode.startswith("I")
        array = np.array(image if wide or image.mode in ("L", "RGB", "F") else image.convert("RGB"))
    return array.astype(np.uint16) if wide else array


def read_indices(path: str | os.PathLike) -> np.ndarray:
    """The numbers (H, W) of a PNG with a colour table or in grey, uint8 or uint16; UserError for any other picture."""
    with open_picture(path, "save it again") as image:
        mode, array = image.mode, np.array(image)
    if mode not in ("P", "L") and not mode.startswith("I"):
        raise UserError(f"{path} has neither a colour table nor grey numbers: choose another instance format.")
    return array.astype(np.uint16) if mode.startswith("I") else array


def _is_wide(path: Path) -> bool:
    """Is it a PNG with 16 bits per channel and more than one channel."""
    with open(path, "rb") as file:
        head = file.read(26)
    return head[:8] == b"\x89PNG\r\n\x1a\n" and len(head) == 26 and head[24] == 16 and head[25] != 0


def _decode(path: Path) -> np.ndarray:
    import av

    try:
        with av.open(local_name(path), container_options=_PICTURES_ONLY) as container:
            frame = next(container.decode(video=0))
            exr = path.suffix.lower() == ".exr"
            # Only the order of the bytes may change: any conversion of the pixels would alter the depth.
            layouts = _FLOAT_LAYOUTS if exr else _WIDE_LAYOUTS
            if frame.format.name not in layouts:
                raise UserError(f"The picture {path} has the layout {frame.format.name}: save one or three channels.")
            if exr:
                # Planes are G, B, R for colour; a depth stands in R, or in the only channel.
                plane = frame.planes[2 if frame.format.name.startswith("gbr") else 0]
                rows = np.frombuffer(plane, np.float32).reshape(frame.height, plane.line_size // 4)
                return rows[:, : frame.width].copy()
            return frame.to_ndarray(format=layouts[frame.format.name])[..., :3].astype(np.uint16)
    except (av.FFmpegError, StopIteration) as error:
        raise UserError(f"The picture {path} is missing or damaged: save it again.") from error
