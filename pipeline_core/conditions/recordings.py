"""Folders of pictures as simulators save them: read one after the other, or turned into a buffers folder.

CARLA: `image.save_to_disk` of the depth, semantic and instance cameras, raw or through a ColorConverter. Virtual KITTI
2 and SYNTHIA: depth as 16-bit PNG. Any renderer: depth as EXR in metres (its R or Y channel).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .. import media
from ..errors import UserError
from .buffers import Buffers, BuffersWriter, open_buffers
from .depth import FAR_PLANE
from .encodings import DEPTH_FORMATS, decode_classes, decode_instances, picture_codes
from .segmentation import PALETTES, TAG_TABLES, classes_of_colours, current_tags

DEPTH_SOURCES = (*DEPTH_FORMATS, "exr")
_EIGHT_BIT = ("carla", "carla_log")
SEMANTIC_SOURCES = (*TAG_TABLES, *(f"{name} colours" for name in PALETTES))
_CHUNK = 16
_FLOAT_LAYOUTS = ("gbrpf32le", "gbrapf32le", "grayf32le")
_WIDE_LAYOUTS = {"rgb48be": "rgb48le", "rgba64be": "rgba64le"}


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


def read_picture(path: str | os.PathLike) -> np.ndarray:
    """A PNG as uint8 or uint16 (H, W) or (H, W, 3), an EXR as float32 (H, W); UserError if it cannot be read.

    16-bit colour PNG keeps its low bytes here, which Pillow drops without a word.
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


def read_depth(folder: str | os.PathLike, source: str = "carla", scale: float = 1.0) -> Iterator[Tensor]:
    """Depth of a folder's pictures, one after the other, as (H, W) float32 metres; the sky is 1000.0.

    source: one of DEPTH_SOURCES; "carla" is the raw 24-bit picture, "carla_log" the 8-bit one of the LogarithmicDepth
    converter, "vkitti2" and "synthia" 16-bit centimetres, "exr" float depth, multiplied by `scale` to metres (a depth
    of 1000 m and more, inf and NaN are sky). UserError for an unknown source and a picture of another kind.
    """
    if source not in DEPTH_SOURCES:
        raise UserError(f"The depth format {source!r} is unknown: choose one of {', '.join(DEPTH_SOURCES)}.")
    for path in list_pictures(folder):
        picture = read_picture(path)
        bits = {"exr": np.float32, "carla": np.uint8, "carla_log": np.uint8}.get(source, np.uint16)
        if picture.dtype != bits or (source == "carla" and picture.ndim != 3):
            raise UserError(
                f"{path} is {picture.dtype} of shape {picture.shape}, which is no {source} depth: "
                f"choose another depth format, or give its {np.dtype(bits)} pictures."
            )
        if source == "exr":
            metres = torch.from_numpy(picture) * scale
            yield torch.where(metres < FAR_PLANE, metres, FAR_PLANE)  # a NaN fails the comparison
        else:
            yield DEPTH_FORMATS[source](picture)


def read_classes(folder: str | os.PathLike, source: str = "0.9.14") -> Iterator[Tensor]:
    """Classes of a folder's semantic (or instance) pictures, one after the other, as (H, W) uint8 current CARLA tags.

    source: one of SEMANTIC_SOURCES; "0.9.14" and "0.9.13" are raw pictures with the tag in red, of that table (and
    later, or earlier, releases); "carla colours" and "cityscapes colours" are painted ones.
    """
    if source not in SEMANTIC_SOURCES:
        raise UserError(f"The semantic format {source!r} is unknown: choose one of {', '.join(SEMANTIC_SOURCES)}.")
    for path in list_pictures(folder):
        picture = _eight_bits(path)
        if source in TAG_TABLES:
            yield current_tags(decode_classes(picture)[None], source)[0]
        else:
            yield classes_of_colours(torch.from_numpy(picture)[None].float() / 255, source.removesuffix(" colours"))[0]


def read_instances(folder: str | os.PathLike) -> Iterator[Tensor]:
    """Instance ids of a folder of CARLA's raw instance pictures, one after the other, as (H, W) int32, 0 for none."""
    for path in list_pictures(folder):
        yield decode_instances(_eight_bits(path))


def _eight_bits(path: Path) -> np.ndarray:
    picture = read_picture(path)
    if picture.dtype != np.uint8 or picture.ndim != 3:
        raise UserError(f"{path} is {picture.dtype} of shape {picture.shape}: give the simulator's 8-bit RGB pictures.")
    return picture


def depth_of_frames(frames: Tensor, source: str = "carla") -> Tensor:
    """Depth of 8-bit pictures that are loaded already: (T, H, W, 3) in [0, 1] to (T, H, W) float32 metres.

    source: "carla" or "carla_log"; the others need their files (`read_depth`). UserError as `picture_codes`.
    """
    if source not in _EIGHT_BIT:
        raise UserError(
            f"The depth format {source!r} cannot be read from loaded pictures: choose one of {', '.join(_EIGHT_BIT)}, "
            "or give the folder of its files."
        )
    return torch.stack([DEPTH_FORMATS[source](codes) for codes in picture_codes(frames)])


def classes_of_frames(frames: Tensor, source: str = "0.9.14") -> Tensor:
    """`read_classes` for pictures that are loaded already: (T, H, W, 3) in [0, 1] to (T, H, W) uint8 current tags."""
    if source not in SEMANTIC_SOURCES:
        raise UserError(f"The semantic format {source!r} is unknown: choose one of {', '.join(SEMANTIC_SOURCES)}.")
    if source in TAG_TABLES:
        return current_tags(torch.stack([decode_classes(codes) for codes in picture_codes(frames)]), source)
    return classes_of_colours(frames, source.removesuffix(" colours"))


def instances_of_frames(frames: Tensor) -> Tensor:
    """`read_instances` for pictures that are loaded already: (T, H, W, 3) in [0, 1] to (T, H, W) int32 ids."""
    return torch.stack([decode_instances(codes) for codes in picture_codes(frames)])


def import_recording(
    folder: str | os.PathLike,
    clip: str | os.PathLike,
    depth: str | os.PathLike | None = None,
    semantic: str | os.PathLike | None = None,
    instance: str | os.PathLike | None = None,
    depth_format: str = "carla",
    semantic_format: str = "0.9.14",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Buffers:
    """Turn a simulator's folders of pictures into the buffers folder of a clip, and open it.

    depth, semantic, instance: folders with one picture per frame of the clip, at its size; without semantic ones the
    classes are read from the instance pictures. UserError for counts that differ from the clip's, besides all that
    `read_depth` and `read_classes` refuse; then nothing is left behind.
    """
    total = media.probe(clip).frames
    readers: dict[str, Iterator[Tensor]] = {}
    if depth is not None:
        readers["depth"] = read_depth(depth, depth_format)
    if semantic is not None or instance is not None:
        readers["classes"] = read_classes(semantic if semantic is not None else instance, semantic_format)
    if instance is not None:
        readers["instances"] = read_instances(instance)
    if not readers:
        raise UserError("No pictures came: give at least one of the depth, semantic and instance folders.")
    for given in (depth, semantic, instance):
        count = total if given is None else len(list_pictures(given))
        if count != total:
            raise UserError(f"{given} holds {count} pictures and {clip} {total} frames: give one picture per frame.")
    with BuffersWriter(folder, clip) as out:
        for start in range(0, total, _CHUNK):
            count = min(_CHUNK, total - start)
            out.append(**{name: torch.stack([next(frames) for _ in range(count)]) for name, frames in readers.items()})
            progress(start + count, total)
    return open_buffers(folder, clip)
