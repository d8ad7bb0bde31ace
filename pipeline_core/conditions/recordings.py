"""What simulators recorded, read frame by frame in this pack's units, or turned into a buffers folder.

Depth becomes metres along the camera's axis, near = small, sky = 1000.0; classes become current CARLA tags; instance
ids are 0 for none. Every source is a folder of pictures or a video: CARLA's `image.save_to_disk` of the depth, semantic
and instance cameras, raw or through a ColorConverter, and the videos of its Cosmos examples; Virtual KITTI 2 and
SYNTHIA; any renderer's depth as 16-bit PNG, as NumPy or as EXR in metres (its R or Y channel).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from ..video import media
from .alignment import common_frames, told_frames
from .buffers import Buffers, BuffersWriter, open_buffers
from .class_recognition import SWAPPED, recognise_classes, recognise_instances
from .depth import FAR_PLANE
from .depth_recognition import recognise_depth
from .encodings import DEPTH_FORMATS, decode_classes, decode_depth16, decode_grey, decode_instances, picture_codes
from .estimated import Estimators, estimated_classes, estimated_depth
from .numbering import list_pictures
from .painted import SOURCE_COLOURS, classes_of_colours
from .palettes import SYNTHIA
from .pictures import read_indices, read_pictures
from .recognised import AUTO
from .recognition import is_lossy
from .segmentation import TAG, TAG_TABLES, current_tags

DEPTH_SOURCES = (*DEPTH_FORMATS, "png16", "exr", "grey8")
_WIDE = ("vkitti2", "synthia", "png16", "carla_grey16")
_BITS = {"exr": np.float32, **{name: np.uint16 for name in _WIDE}}  # uint8 where not named
EIGHT_BIT_DEPTH = tuple(name for name in DEPTH_FORMATS if name not in _BITS)  # those that say their own scale
_COLOUR_DEPTH = ("carla", "carla_bgr")
_SWAPPED_TABLES = tuple(f"{table}{SWAPPED}" for table in ("0.9.14", "0.9.13"))
SEMANTIC_SOURCES = (*TAG_TABLES, *(f"{name} colours" for name in SOURCE_COLOURS), "synthia", *_SWAPPED_TABLES)
INSTANCE_SOURCES = ("carla", "vkitti2", "synthia", "carla bgr")
_CHUNK = 16
# Video codecs mix colours along the borders of objects: there the nearest colour is the best guess.
_LOSSY_COLOURS = {"tolerance": 48.0, "allowed": 0.1}
_COLOURS = {"allowed": 0.1}  # of one picture's pixels; KNOWN_SHARE is asked of those that are looked at first


def read_depth(
    source: str | os.PathLike,
    depth_format: str = "carla",
    scale: float = 1.0,
    start: int = 0,
    stop: int | None = None,
) -> Iterator[Tensor]:
    """Depth of the pictures start .. stop - 1, one after the other, as (H, W) float32 metres; the sky is 1000.0.

    depth_format: one of DEPTH_SOURCES; "carla" is the raw 24-bit picture, "carla_log" the 8-bit one of the
    LogarithmicDepth converter, "vkitti2" and "synthia" 16-bit centimetres, "cosmos_log" and "cosmos_inverse" the grey
    videos of CARLA's Cosmos examples (the latter in no unit, see `decode_cosmos_inverse`), "png16" and "grey8" 16- and
    8-bit codes of `scale` metres, "exr" float depth (EXR, NumPy, TIFF), multiplied by `scale` to metres (1000 m and
    more, inf and NaN are sky); the others stand at DEPTH_FORMATS. UserError for an unknown format and a picture of
    another kind.
    """
    if depth_format not in DEPTH_SOURCES:
        raise UserError(f"The depth format {depth_format!r} is unknown: choose one of {', '.join(DEPTH_SOURCES)}.")
    bits = _BITS.get(depth_format, np.uint8)
    for name, picture in read_pictures(source, start, stop, exact=depth_format in _COLOUR_DEPTH):
        if picture.dtype != bits or (depth_format in _COLOUR_DEPTH and picture.ndim != 3):
            raise UserError(
                f"{name} is {picture.dtype} of shape {picture.shape}, which is no {depth_format} depth: "
                f"choose another depth format, or give its {np.dtype(bits)} pictures."
            )
        if depth_format == "exr":
            metres = torch.from_numpy(picture) * scale
            yield torch.where(metres < FAR_PLANE, metres, FAR_PLANE)  # a NaN fails the comparison
        elif depth_format == "png16":
            yield decode_depth16(picture, scale)
        elif depth_format == "grey8":
            yield decode_grey(picture, scale)
        else:
            yield DEPTH_FORMATS[depth_format](picture)


def read_classes(
    source: str | os.PathLike, semantic_format: str = "0.9.14", start: int = 0, stop: int | None = None
) -> Iterator[Tensor]:
    """Classes of semantic (or instance) pictures, one after the other, as (H, W) uint8 current CARLA tags.

    semantic_format: one of SEMANTIC_SOURCES; "0.9.14" and "0.9.13" are raw pictures with the tag in red or in grey, of
    that table (and later, or earlier, releases), with " bgr" after it in blue; "carla colours" and the like are painted
    ones; "synthia" the class numbers of its 16-bit labels. In a lossy painted video every pixel gets the class of the
    nearest colour; elsewhere see `classes_of_colours`.
    """
    if semantic_format not in SEMANTIC_SOURCES:
        raise UserError(
            f"The semantic format {semantic_format!r} is unknown: choose one of {', '.join(SEMANTIC_SOURCES)}."
        )
    palette = semantic_format.removesuffix(" colours")
    painted = palette != semantic_format
    loss = (_LOSSY_COLOURS if is_lossy(source) else _COLOURS) if painted else {}
    for name, picture in read_pictures(source, start, stop, exact=not painted):
        if semantic_format == "synthia":
            yield _synthia_classes(name, picture)
        elif painted:
            colours = torch.from_numpy(_eight_bits(name, picture))[None].float() / 255
            yield classes_of_colours(colours, palette, **loss)[0]
        else:
            grey = picture.dtype == np.uint8 and picture.ndim == 2
            codes = picture if grey else _ordered(_eight_bits(name, picture), semantic_format)
            yield current_tags(decode_classes(codes)[None], semantic_format.removesuffix(SWAPPED))[0]


def read_instances(
    source: str | os.PathLike, instance_format: str = "carla", start: int = 0, stop: int | None = None
) -> Iterator[Tensor]:
    """Instance ids of pictures, one after the other, as (H, W) int32, 0 for none.

    instance_format: one of INSTANCE_SOURCES; "carla" is the raw picture with the id in green and blue ("carla bgr": in
    green and red), "vkitti2" the numbers of its PNG with a colour table, "synthia" the second channel of its 16-bit
    labels.
    """
    if instance_format not in INSTANCE_SOURCES:
        known = ", ".join(INSTANCE_SOURCES)
        raise UserError(f"The instance format {instance_format!r} is unknown: choose one of {known}.")
    if instance_format == "vkitti2":
        for path in list(list_pictures(source).values())[start:stop]:
            yield torch.from_numpy(read_indices(path).astype(np.int32))
        return
    for name, picture in read_pictures(source, start, stop, exact=True):
        if instance_format == "synthia":
            yield torch.from_numpy(_sixteen_bits(name, picture)[..., 1].astype(np.int32))
        else:
            yield decode_instances(_ordered(_eight_bits(name, picture), instance_format))


def _ordered(picture: np.ndarray, source: str) -> np.ndarray:
    """The channels in CARLA's order, where OpenCV's was saved as if it were that."""
    return picture[..., ::-1] if source.endswith(SWAPPED) else picture


def _eight_bits(name: str, picture: np.ndarray) -> np.ndarray:
    if picture.dtype != np.uint8 or picture.ndim != 3:
        raise UserError(f"{name} is {picture.dtype} of shape {picture.shape}: give the simulator's 8-bit RGB pictures.")
    return picture


def _sixteen_bits(name: str, picture: np.ndarray) -> np.ndarray:
    if picture.dtype != np.uint16 or picture.ndim != 3:
        raise UserError(f"{name} is {picture.dtype} of shape {picture.shape}: give SYNTHIA's 16-bit RGB labels.")
    return picture


def _synthia_classes(name: str, picture: np.ndarray) -> Tensor:
    numbers = torch.from_numpy(_sixteen_bits(name, picture)[..., 0].astype(np.int64))
    if numbers.numel() and int(numbers.max()) >= len(SYNTHIA):
        raise UserError(f"{name} has the class {int(numbers.max())}, but SYNTHIA has 0 to {len(SYNTHIA) - 1}.")
    return torch.tensor([TAG[label] for label in SYNTHIA], dtype=torch.uint8)[numbers]


def depth_of_frames(frames: Tensor, source: str = "carla") -> Tensor:
    """Depth of 8-bit pictures that are loaded already: (T, H, W, 3) in [0, 1] to (T, H, W) float32 metres.

    source: a depth format of 8-bit pictures, or "auto"; the others need their files (`read_depth`). UserError as
    `picture_codes`, and as `recognise_depth` with "auto".
    """
    if source not in (*EIGHT_BIT_DEPTH, AUTO):
        raise UserError(
            f"The depth format {source!r} cannot be read from loaded pictures: choose one of "
            f"{', '.join(EIGHT_BIT_DEPTH)}, or give the folder of its files."
        )
    pictures = picture_codes(frames)
    if source == AUTO:
        source = recognise_depth(_few(pictures), "What came as depth pictures").format
    return torch.stack([DEPTH_FORMATS[source](codes) for codes in pictures])


def classes_of_frames(frames: Tensor, source: str = "0.9.14") -> Tensor:
    """`read_classes` for pictures that are loaded already: (T, H, W, 3) in [0, 1] to (T, H, W) uint8 current tags.

    source: as there, or "auto" (UserError as `recognise_classes`).
    """
    if source not in (*SEMANTIC_SOURCES, AUTO):
        raise UserError(f"The semantic format {source!r} is unknown: choose one of {', '.join(SEMANTIC_SOURCES)}.")
    if source == "synthia":
        raise UserError("SYNTHIA's labels cannot be read from loaded pictures: give the folder of its files.")
    if source == AUTO:
        source = recognise_classes(_few(picture_codes(frames)), "What came as tag pictures").format
    if not source.endswith(" colours"):
        codes = [decode_classes(_ordered(codes, source)) for codes in picture_codes(frames)]
        return current_tags(torch.stack(codes), source.removesuffix(SWAPPED))
    return classes_of_colours(frames, source.removesuffix(" colours"))


def _few(pictures: np.ndarray) -> list[np.ndarray]:
    return list(pictures[:: max(1, len(pictures) // 5)])


def instances_of_frames(frames: Tensor, source: str = "carla") -> Tensor:
    """`read_instances` for CARLA's pictures that are loaded already: (T, H, W, 3) in [0, 1] to (T, H, W) int32 ids.

    source: "carla", "carla bgr" or "auto" (UserError as `recognise_instances`).
    """
    if source == AUTO:
        source = recognise_instances(_few(picture_codes(frames)), "What came as instance pictures").format
    return torch.stack([decode_instances(_ordered(codes, source)) for codes in picture_codes(frames)])


def import_recording(
    folder: str | os.PathLike,
    clip: str | os.PathLike,
    depth: str | os.PathLike | None = None,
    semantic: str | os.PathLike | None = None,
    instance: str | os.PathLike | None = None,
    depth_format: str = "carla",
    semantic_format: str = "0.9.14",
    progress: Callable[[int, int], None] = lambda done, total: None,
    depth_scale: float = 1.0,
    instance_format: str = "carla",
    estimators: Estimators = Estimators(),
    smoothing: int = 0,
) -> Buffers:
    """Turn a simulator's pictures into the buffers folder of a clip, and open it.

    depth, semantic, instance: folders or videos with one picture per frame of the clip, at its size; without semantic
    ones the classes are read from the instance pictures. estimators: depth and segmentation models for what there are
    no pictures of; smoothing: frames before and after over which their depth is steadied (see `estimated_depth`).
    UserError for counts that differ from the clip's, besides all that `read_depth`, `read_classes` and
    `read_instances` refuse; then nothing is left behind.
    """
    total = media.probe(clip).frames
    readers: dict[str, Iterator[Tensor]] = {}
    if depth is not None:
        readers["depth"] = read_depth(depth, depth_format, depth_scale)
    elif estimators.depth is not None:
        readers["depth"] = estimated_depth(media.read_frames(clip), estimators, smoothing)
    if semantic is not None or instance is not None:
        readers["classes"] = read_classes(semantic if semantic is not None else instance, semantic_format)
    elif estimators.segmentation is not None:
        readers["classes"] = estimated_classes(media.read_frames(clip), estimators.segmentation)
    if instance is not None:
        readers["instances"] = read_instances(instance, instance_format)
    if not readers:
        raise UserError("No pictures came: give at least one of the depth, semantic and instance folders, or a model.")
    channels = {"depth": depth, "semantic": semantic, "instance": instance}
    channels = {name: source for name, source in channels.items() if source is not None}
    if channels and (count := common_frames(channels)) != total:
        source = next(iter(channels.values()))
        raise UserError(
            f"{source} holds {count} pictures ({told_frames(source)}) and {clip} {total} frames: give one picture per "
            "frame, or cut the clip to them."
        )
    with BuffersWriter(folder, clip) as out:
        for start in range(0, total, _CHUNK):
            count = min(_CHUNK, total - start)
            out.append(**{name: torch.stack([next(frames) for _ in range(count)]) for name, frames in readers.items()})
            progress(start + count, total)
    return open_buffers(folder, clip)
