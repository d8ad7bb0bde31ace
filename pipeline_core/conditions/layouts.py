"""Where the depth, semantic and instance pictures are in a recording's folder.

Known layouts: this pack's buffers folder; CARLA's recordings, one folder for each camera ("depth", "CameraDepth",
"sensor.camera.depth", ...); the two forms of its Cosmos example (depth.mp4 and semantic_segmentation.mp4, or
manifest.json with depth_CAMERA.mp4 and semantic_CAMERA.mp4); Virtual KITTI 2 (frames/depth/Camera_0, ...); SYNTHIA
(Depth/Stereo_Left/Omni_F, GT/LABELS/...).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import UserError
from .pictures import VIDEO_SUFFIXES, read_pictures
from .recordings import guess_depth_format, guess_semantic_format

AUTO = "auto"
_DEEPEST = 5  # folders below the recording's own
# What the path of a channel's pictures says, in lower case; the first that fits counts.
_WORDS = {
    "instance": ("instance",),
    "semantic": ("semantic", "classsegmentation", "segmentation", "labels"),
    "depth": ("depth",),
}


@dataclass(frozen=True)
class Recording:
    """A recording's sources, each a folder or a video or None, and how they are to be read (see `recordings`)."""

    depth: Path | None = None
    semantic: Path | None = None
    instance: Path | None = None
    depth_format: str = "carla"
    semantic_format: str = "0.9.14"
    instance_format: str = "carla"


def find_recording(
    folder: str | os.PathLike, camera: str = "", depth_format: str = AUTO, semantic_format: str = AUTO
) -> Recording:
    """The sources in `folder`, and their formats where "auto" leaves them to be found out from the first picture.

    camera: a part of the path that tells several cameras' pictures apart ("front", "Camera_0"); without it the
    recording must have one of each kind. Raw tags are taken for the current table (CARLA 0.9.14 and later): the older
    one looks the same and must be named. UserError for a folder without such pictures, or with several to choose from.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: give the folder of a simulator's recording.")
    capture = _capture(folder)
    found = _by_manifest(folder, capture, camera) if capture else _by_name(folder, camera)
    if not found:
        raise UserError(f"{folder} holds no depth, semantic or instance pictures: give a simulator's recording.")
    if depth_format == AUTO and "depth" in found:
        depth_format = "cosmos_inverse" if capture else guess_depth_format(found["depth"])
    classes = found.get("semantic", found.get("instance"))
    if semantic_format == AUTO and classes is not None:
        semantic_format = guess_semantic_format(classes)
    if "instance" not in found and semantic_format == "synthia":
        found["instance"] = classes
    formats = {"depth_format": depth_format, "semantic_format": semantic_format}
    formats = {name: value for name, value in formats.items() if value != AUTO}
    if "instance" in found:
        formats["instance_format"] = _instance_format(found["instance"], semantic_format)
        if formats["instance_format"] == "vkitti2" and "semantic" not in found:
            raise UserError(f"{folder} has instances without classes: add its classSegmentation pictures.")
    return Recording(**found, **formats)


def _instance_format(source: Path, semantic_format: str) -> str:
    if semantic_format in ("synthia", "vkitti2 colours"):
        return semantic_format.removesuffix(" colours")
    picture = next(read_pictures(source, 0, 1))[1]
    return "synthia" if picture.dtype == np.uint16 else "carla"


def _capture(folder: Path) -> dict:
    """The videos of a Cosmos capture by its manifest: {"depth/camera_front_wide": file name}, or {}."""
    path = folder / "manifest.json"
    if not path.is_file():
        return {}
    try:
        videos = json.loads(path.read_text(encoding="utf-8"))["videos"]
        return {str(name): str(file) for name, file in videos.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged: give a whole capture of CARLA's Cosmos example.") from error


def _by_manifest(folder: Path, videos: dict, camera: str) -> dict:
    found: dict[str, Path] = {}
    for kind in ("depth", "semantic"):  # its instance colours are painted and cannot be turned back into ids
        names = [name for name in videos if name.split("/")[0] == kind and camera.lower() in name.lower()]
        _one_of(folder, kind, names)
        for name in names:
            path = folder / videos[name]
            if path.resolve().parent != folder.resolve() or not path.is_file():
                raise UserError(f"{folder} lacks {videos[name]}, which its manifest.json names: give a whole capture.")
            found[kind] = path
    return found


def _by_name(folder: Path, camera: str) -> dict:
    places: dict[str, list[Path]] = {kind: [] for kind in _WORDS}
    itself = [folder] if _holds_pictures(folder) else []
    for path in (*itself, *_sources(folder, _DEEPEST)):
        words = str(path.relative_to(folder.parent if path == folder else folder)).lower()
        kind = next((kind for kind, known in _WORDS.items() if any(word in words for word in known)), None)
        if kind and camera.lower() in words:
            places[kind].append(path)
    # Its instance video is painted in colours that do not say the ids.
    places["instance"] = [path for path in places["instance"] if path.is_dir()]
    for kind, paths in places.items():
        _one_of(folder, kind, [str(path.relative_to(folder)) for path in paths])
    return {kind: paths[0] for kind, paths in places.items() if paths}


def _one_of(folder: Path, kind: str, names: list[str]) -> None:
    if len(names) > 1:
        raise UserError(
            f"{folder} has {len(names)} kinds of {kind} pictures ({', '.join(sorted(names)[:4])}): set camera to a "
            "part of the name that only one of them has."
        )


def _sources(folder: Path, depth: int) -> list[Path]:
    """Folders that hold pictures themselves, and videos, sorted."""
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    found = [path for path in entries if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()]
    for path in entries:
        if path.is_dir():
            if _holds_pictures(path):
                found.append(path)
            elif depth > 0:
                found += _sources(path, depth - 1)
    return found


def _holds_pictures(folder: Path) -> bool:
    return any(path.suffix.lower() in (".png", ".exr") for path in folder.iterdir())
