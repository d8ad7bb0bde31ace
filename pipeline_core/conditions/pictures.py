"""The pictures of a recording, one after the other: a folder of PNG or EXR files, or a video."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..video import media

VIDEO_SUFFIXES = (".mp4", ".mkv", ".mov", ".avi", ".webm")
_FLOAT_LAYOUTS = ("gbrpf32le", "gbrapf32le", "grayf32le")
_WIDE_LAYOUTS = {"rgb48be": "rgb48le", "rgba64be": "rgba64le"}


def is_video(path: str | os.PathLike) -> bool:
    """Is it a video file by its name."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


def list_pictures(folder: str | os.PathLike) -> list[Path]:
    """The PNG and EXR files of a folder in the order of the last number in their names; UserError if there is none,
    or if a name has no number or the same number as another."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: give the folder that the simulator's pictures are in.")
    numbered: dict[int, Path] = {}
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in (".png", ".exr")):
        numbers = re.findall(r"\d+", path.stem)
        if not numbers or int(numbers[-1]) in numbered:
            raise UserError(f"The order of {path} among its pictures is not clear: number them, one per frame.")
        numbered[int(numbers[-1])] = path
    if not numbered:
        raise UserError(f"{folder} holds no PNG or EXR: give the folder that the simulator's pictures are in.")
    return [numbered[number] for number in sorted(numbered)]


def count_pictures(source: str | os.PathLike) -> int:
    """How many pictures a folder or a video holds; UserError as `read_pictures`."""
    return media.probe(source).frames if is_video(source) else len(list_pictures(source))


def read_pictures(
    source: str | os.PathLike, start: int = 0, stop: int | None = None, exact: bool = False
) -> Iterator[tuple[str, np.ndarray]]:
    """(what to call it, picture) of the pictures start .. stop - 1 of a folder or of a video, as `read_picture` gives
    them; those of a video are uint8 (H, W, 3).

    exact: the codes themselves matter. UserError then for a video that stores luma and chroma, as nearly all do: its
    pictures are other codes than those that were written.
    """
    if not is_video(source):
        for path in list_pictures(source)[start:stop]:
            yield str(path), read_picture(path)
        return
    if exact and not _stores_rgb(source):
        raise UserError(
            f"The video {source} has lost the codes of its pictures: give a folder of PNG files, or a lossless RGB "
            "video such as FFV1."
        )
    for number, frame in enumerate(media.read_frames(source, start, stop), start):
        yield f"frame {number} of {source}", frame.numpy()


def _stores_rgb(path: str | os.PathLike) -> bool:
    import av

    media.probe(path)  # what is no video is said there
    with av.open(str(path)) as container:
        return container.streams.video[0].codec_context.format.is_rgb


def read_picture(path: str | os.PathLike) -> np.ndarray:
    """A PNG as uint8 or uint16 (H, W) or (H, W, 3), an EXR as float32 (H, W); UserError if it cannot be read.

    16-bit colour PNG keeps its low bytes here, which Pillow drops without a word. A PNG with a colour table comes as
    (H, W, 3) colours; `read_indices` gives the numbers.
    """
    from PIL import Image

    path = Path(path)
    try:
        if path.suffix.lower() == ".exr" or _is_wide(path):
            return _decode(path)
        with Image.open(path) as image:
            wide = image.mode.startswith("I")
            array = np.array(image if wide or image.mode in ("L", "RGB") else image.convert("RGB"))
    except (OSError, ValueError) as error:
        raise UserError(f"The picture {path} is missing or damaged: save it again.") from error
    return array.astype(np.uint16) if wide else array


def read_indices(path: str | os.PathLike) -> np.ndarray:
    """The numbers (H, W) of a PNG with a colour table or in grey, uint8 or uint16; UserError for any other picture."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            mode, array = image.mode, np.array(image)
    except (OSError, ValueError) as error:
        raise UserError(f"The picture {path} is missing or damaged: save it again.") from error
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
        with av.open(str(path)) as container:
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
