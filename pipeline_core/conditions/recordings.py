"""What simulators recorded, read frame by frame in this pack's units, or turned into a buffers folder.

Depth becomes metres along the camera's axis, near = small, sky = 1000.0; classes become current CARLA tags; instance
ids are 0 for none. Every source is a folder of pictures or a video: CARLA's `image.save_to_disk` of the depth, semantic
and instance cameras, raw or through a ColorConverter, and the videos of its Cosmos examples; Virtual KITTI 2 and
SYNTHIA; any renderer's depth as 16-bit PNG or as EXR in metres (its R or Y channel).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from ..video import media
from .buffers import Buffers, BuffersWriter, open_buffers
from .depth import FAR_PLANE
from .encodings import DEPTH_FORMATS, decode_classes, decode_depth16, decode_instances, picture_codes
from .estimated import Estimators, estimated_classes, estimated_depth
from .palettes import SYNTHIA
from .pictures import count_pictures, is_video, list_pictures, read_indices, read_pictures
from .segmentation import SOURCE_COLOURS, TAG, TAG_TABLES, classes_of_colours, current_tags

DEPTH_SOURCES = (*DEPTH_FORMATS, "png16", "exr")
_BITS = {"vkitti2": np.uint16, "synthia": np.uint16, "png16": np.uint16, "exr": np.float32}  # uint8 where not named
SEMANTIC_SOURCES = (*TAG_TABLES, *(f"{name} colours" for name in SOURCE_COLOURS), "synthia")
INSTANCE_SOURCES = ("carla", "vkitti2", "synthia")
_CHUNK = 16
# Video codecs mix colours along the borders of objects: there the nearest colour is the best guess.
_VIDEO_COLOURS = {"tolerance": 48.0, "allowed": 0.1}


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
    videos of CARLA's Cosmos examples (the latter in no unit, see `decode_cosmos_inverse`), "png16" 16-bit codes of
    `scale` metres, "exr" float depth, multiplied by `scale` to metres (1000 m and more, inf and NaN are sky).
    UserError for an unknown format and a picture of another kind.
    """
    if depth_format not in DEPTH_SOURCES:
        raise UserError(f"The depth format {depth_format!r} is unknown: choose one of {', '.join(DEPTH_SOURCES)}.")
    bits = _BITS.get(depth_format, np.uint8)
    for name, picture in read_pictures(source, start, stop, exact=depth_format == "carla"):
        if picture.dtype != bits or (depth_format == "carla" and picture.ndim != 3):
            raise UserError(
                f"{name} is {picture.dtype} of shape {picture.shape}, which is no {depth_format} depth: "
                f"choose another depth format, or give its {np.dtype(bits)} pictures."
            )
        if depth_format == "exr":
            metres = torch.from_numpy(picture) * scale
            yield torch.where(metres < FAR_PLANE, metres, FAR_PLANE)  # a NaN fails the comparison
        elif depth_format == "png16":
            yield decode_depth16(picture, scale)
        else:
            yield DEPTH_FORMATS[depth_format](picture)


def read_classes(
    source: str | os.PathLike, semantic_format: str = "0.9.14", start: int = 0, stop: int | None = None
) -> Iterator[Tensor]:
    """Classes of semantic (or instance) pictures, one after the other, as (H, W) uint8 current CARLA tags.

    semantic_format: one of SEMANTIC_SOURCES; "0.9.14" and "0.9.13" are raw pictures with the tag in red, of that table
    (and later, or earlier, releases); "carla colours" and the like are painted ones; "synthia" the class numbers of
    its 16-bit labels. In a painted video every pixel gets the class of the nearest colour.
    """
    if semantic_format not in SEMANTIC_SOURCES:
        raise UserError(
            f"The semantic format {semantic_format!r} is unknown: choose one of {', '.join(SEMANTIC_SOURCES)}."
        )
    palette = semantic_format.removesuffix(" colours")
    painted = palette != semantic_format
    loss = _VIDEO_COLOURS if painted and is_video(source) else {}
    for name, picture in read_pictures(source, start, stop, exact=not painted):
        if semantic_format == "synthia":
            yield _synthia_classes(name, picture)
        elif painted:
            colours = torch.from_numpy(_eight_bits(name, picture))[None].float() / 255
            yield classes_of_colours(colours, palette, **loss)[0]
        else:
            yield current_tags(decode_classes(_eight_bits(name, picture))[None], semantic_format)[0]


def read_instances(
    source: str | os.PathLike, instance_format: str = "carla", start: int = 0, stop: int | None = None
) -> Iterator[Tensor]:
    """Instance ids of pictures, one after the other, as (H, W) int32, 0 for none.

    instance_format: one of INSTANCE_SOURCES; "carla" is the raw picture with the id in green and blue, "vkitti2" the
    numbers of its PNG with a colour table, "synthia" the second channel of its 16-bit labels.
    """
    if instance_format not in INSTANCE_SOURCES:
        known = ", ".join(INSTANCE_SOURCES)
        raise UserError(f"The instance format {instance_format!r} is unknown: choose one of {known}.")
    if instance_format == "vkitti2":
        for path in list_pictures(source)[start:stop]:
            yield torch.from_numpy(read_indices(path).astype(np.int32))
        return
    for name, picture in read_pictures(source, start, stop, exact=True):
        if instance_format == "synthia":
            yield torch.from_numpy(_sixteen_bits(name, picture)[..., 1].astype(np.int32))
        else:
            yield decode_instances(_eight_bits(name, picture))


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


def guess_depth_format(source: str | os.PathLike) -> str:
    """The depth format that the first picture looks like: its bits and channels, and grey or not.

    16-bit grey becomes "vkitti2" (centimetres); 8-bit grey "carla_log" in pictures and "cosmos_log" in a video.
    """
    picture = next(read_pictures(source, 0, 1))[1]
    if picture.dtype == np.float32:
        return "exr"
    if picture.dtype == np.uint16:
        return "vkitti2" if picture.ndim == 2 else "synthia"
    if is_video(source):
        return "cosmos_log"
    grey = picture.ndim == 2 or bool((picture[..., :1] == picture).all())
    return "carla_log" if grey else "carla"


def guess_semantic_format(source: str | os.PathLike) -> str:
    """The semantic format that the first picture looks like; raw tags are taken for the current table."""
    picture = next(read_pictures(source, 0, 1))[1]
    if picture.dtype == np.uint16:
        return "synthia"
    if not is_video(source) and picture.ndim == 3 and int(picture[..., 0].max(initial=0)) < 30:
        return TAG_TABLES[0]
    colours = torch.from_numpy(_eight_bits(f"{source}", picture))[None].float() / 255
    for palette in SOURCE_COLOURS:
        try:
            classes_of_colours(colours, palette, **(_VIDEO_COLOURS if is_video(source) else {}))
        except UserError:
            continue
        return f"{palette} colours"
    raise UserError(f"{source} has the colours of no palette known here: choose its semantic format.")


def depth_of_frames(frames: Tensor, source: str = "carla") -> Tensor:
    """Depth of 8-bit pictures that are loaded already: (T, H, W, 3) in [0, 1] to (T, H, W) float32 metres.

    source: a depth format of 8-bit pictures; the others need their files (`read_depth`). UserError as `picture_codes`.
    """
    known = [name for name in DEPTH_FORMATS if name not in _BITS]
    if source not in known:
        raise UserError(
            f"The depth format {source!r} cannot be read from loaded pictures: choose one of {', '.join(known)}, "
            "or give the folder of its files."
        )
    return torch.stack([DEPTH_FORMATS[source](codes) for codes in picture_codes(frames)])


def classes_of_frames(frames: Tensor, source: str = "0.9.14") -> Tensor:
    """`read_classes` for pictures that are loaded already: (T, H, W, 3) in [0, 1] to (T, H, W) uint8 current tags."""
    if source not in SEMANTIC_SOURCES:
        raise UserError(f"The semantic format {source!r} is unknown: choose one of {', '.join(SEMANTIC_SOURCES)}.")
    if source == "synthia":
        raise UserError("SYNTHIA's labels cannot be read from loaded pictures: give the folder of its files.")
    if source in TAG_TABLES:
        return current_tags(torch.stack([decode_classes(codes) for codes in picture_codes(frames)]), source)
    return classes_of_colours(frames, source.removesuffix(" colours"))


def instances_of_frames(frames: Tensor) -> Tensor:
    """`read_instances` for CARLA's pictures that are loaded already: (T, H, W, 3) in [0, 1] to (T, H, W) int32 ids."""
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
    for given in (depth, semantic, instance):
        count = total if given is None else count_pictures(given)
        if count != total:
            raise UserError(f"{given} holds {count} pictures and {clip} {total} frames: give one picture per frame.")
    with BuffersWriter(folder, clip) as out:
        for start in range(0, total, _CHUNK):
            count = min(_CHUNK, total - start)
            out.append(**{name: torch.stack([next(frames) for _ in range(count)]) for name, frames in readers.items()})
            progress(start + count, total)
    return open_buffers(folder, clip)
