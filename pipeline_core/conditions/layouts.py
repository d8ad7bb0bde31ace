"""Where the depth, semantic and instance pictures are in a recording's folder, and what they are.

Known by the words in their names: this pack's buffers folder; CARLA's recordings, one folder for each camera ("depth",
"CameraDepth", "sensor.camera.depth", "depth_front", ...) or all in one ("000098_depth.png"); data sets made with its
leaderboard (TransFuser and PDM-Lite: depth, semantics; Bench2Drive: camera/depth_front); the two forms of its Cosmos
example (depth.mp4 and semantic_segmentation.mp4, or manifest.json with depth_CAMERA.mp4 and semantic_CAMERA.mp4);
Virtual KITTI 2 (frames/depth/Camera_0, ...); SYNTHIA (Depth/Stereo_Left/Omni_F, GT/LABELS/...). Pictures whose names
say nothing are looked at.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from ..doors import read_json
from ..errors import UserError
from .class_recognition import holds_instances
from .numbering import is_picture, picture_groups
from .pictures import VIDEO_SUFFIXES, sample_pictures
from .recognised import AUTO, Recognised
from .recognition import channel_of, classes_of, depth_of, instances_of, is_lossy

CHANNELS = ("depth", "semantic", "instance")
_DEEPEST = 5  # folders below the recording's own
# What the path of a channel's pictures says, in lower case; the first that fits counts.
_WORDS = {
    "instance": ("instance", "ins_seg", "inst_seg"),
    "semantic": ("semantic", "classsegmentation", "segmentation", "labels", "labelids", "labeltrainids", "sem_seg"),
    "depth": ("depth",),
    "rgb": ("rgb", "color", "colour", "image"),
}
# Folders beside the pictures that say whose data set it is.
_BESIDE = {"bench2drive": ("anno",), "transfuser": ("bev_semantics", "measurements")}
# Views beside the camera's own, only looked at where `camera` names them.
_ASIDE = ("augmented", "bev", "top_down", "preview", "lidar", "visual", "flow")


@dataclass(frozen=True)
class Recording:
    """A recording's sources, each a folder, a group in one, a video or a stack, or None, and how they are to be read
    (see `recordings`); depth_scale: metres of one unit where the pictures say it; rgb: the camera's own pictures;
    recognised: {channel: why it is read so}, without those whose format was said."""

    depth: Path | None = None
    semantic: Path | None = None
    instance: Path | None = None
    depth_format: str = "carla"
    semantic_format: str = "0.9.14"
    instance_format: str = "carla"
    depth_scale: float | None = None
    rgb: Path | None = None
    recognised: dict[str, Recognised] = field(default_factory=dict)

    def channels(self) -> dict[str, Path]:
        """{name: source} of the channels that there are."""
        return {name: getattr(self, name) for name in CHANNELS if getattr(self, name) is not None}


def find_recording(
    folder: str | os.PathLike,
    camera: str = "",
    depth_format: str = AUTO,
    semantic_format: str = AUTO,
    depth_scale: float = 1.0,
) -> Recording:
    """The sources in `folder`, and their formats where "auto" leaves them to be recognised from the pictures.

    camera: a part of the path that tells several cameras' pictures apart ("front", "Camera_0"); without it the
    recording must have one of each kind. depth_scale: metres of one unit of depth where it is known (not 1). UserError
    for a folder without such pictures, with several to choose from, and for pictures that fit no format or several.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: give the folder of a simulator's recording.")
    capture = _capture(folder)
    paths = _by_manifest(folder, capture, camera) if capture else _by_name(folder, camera)
    if not set(paths) & set(CHANNELS):
        raise UserError(f"{folder} holds no depth, semantic or instance pictures: give a simulator's recording.")
    layout = next((name for name, beside in _BESIDE.items() if any((folder / entry).is_dir() for entry in beside)), "")
    formats = depth_format, semantic_format, depth_scale
    recording = recognised_recording(Recording(**paths), *formats, bool(capture), layout=layout)
    if recording.instance_format == "vkitti2" and recording.instance is not None and recording.semantic is None:
        raise UserError(f"{folder} has instances without classes: add its classSegmentation pictures.")
    return recording


def recognised_recording(
    sources: Recording,
    depth_format: str = AUTO,
    semantic_format: str = AUTO,
    depth_scale: float = 1.0,
    capture: bool = False,
    instance_format: str = AUTO,
    layout: str = "",
) -> Recording:
    """The recording with its formats: as they are said, and recognised from the pictures where "auto" is said.

    capture and layout: see `recognise_depth`.
    """
    places, reasons, formats = dict(sources.channels(), rgb=sources.rgb), {}, {}
    classes = sources.semantic or sources.instance
    if classes is not None:
        if semantic_format == AUTO:
            reasons["semantic"] = classes_of(classes)
        formats["semantic_format"] = reasons["semantic"].format if "semantic" in reasons else semantic_format
        # Tags with ids beside them are instance pictures, whatever their folder is called.
        if sources.instance is None and (formats["semantic_format"] == "synthia" or _has_ids(classes, reasons)):
            places["instance"] = classes
    if "depth" in places:
        if depth_format == AUTO:
            beside = formats.get("semantic_format", "")
            known = {"capture": capture, "beside": beside, "scale": depth_scale, "layout": layout}
            reasons["depth"] = depth_of(places["depth"], **known)
            formats["depth_scale"] = reasons["depth"].scale
        formats["depth_format"] = reasons["depth"].format if "depth" in reasons else depth_format
    if "instance" in places:
        if instance_format == AUTO:
            reasons["instance"] = instances_of(places["instance"], formats["semantic_format"])
        formats["instance_format"] = reasons["instance"].format if "instance" in reasons else instance_format
    return Recording(**places, **formats, recognised=reasons)


def _has_ids(source: Path, reasons: dict[str, Recognised]) -> bool:
    raw = "semantic" in reasons and "colours" not in reasons["semantic"].format
    return raw and holds_instances(sample_pictures(source))


def _capture(folder: Path) -> dict:
    """The videos of a Cosmos capture by its manifest: {"depth/camera_front_wide": file name}, or {}."""
    path = folder / "manifest.json"
    if not path.is_file():
        return {}
    change = "give a whole capture of CARLA's Cosmos example"
    videos = read_json(path, change).get("videos")
    if not isinstance(videos, dict) or not all(isinstance(file, str) and "\0" not in file for file in videos.values()):
        raise UserError(f"{path} is damaged: {change}.")
    return videos


def _by_manifest(folder: Path, videos: dict, camera: str) -> dict:
    paths: dict[str, Path] = {}
    for kind in ("depth", "semantic"):  # its instance colours are painted and cannot be turned back into ids
        names = [name for name in videos if name.split("/")[0] == kind and camera.lower() in name.lower()]
        for name in _one_of(folder, kind, names, camera):
            path = folder / videos[name]
            if path.resolve().parent != folder.resolve() or not path.is_file():
                raise UserError(f"{folder} lacks {videos[name]}, which its manifest.json names: give a whole capture.")
            paths[kind] = path
            frames = folder / videos.get(name.replace(kind, "rgb", 1), "none")
            if frames.is_file():
                paths["rgb"] = frames
    return paths


def _by_name(folder: Path, camera: str) -> dict:
    places: dict[str, list[Path]] = {kind: [] for kind in _WORDS}
    silent = []
    for path in _sources(folder, _DEEPEST):
        inside = str(path.relative_to(folder)).lower()
        # What lies in the folder itself may be named by the folder.
        above = folder if path.is_dir() and path != folder else folder.parent
        words = str(path.relative_to(above)).lower()
        if any(word in inside and word not in camera.lower() for word in _ASIDE) or camera.lower() not in words:
            continue
        places.get(kind_named(words), silent).append(path)
    if not any(places[kind] for kind in CHANNELS):
        for path in silent:
            places.get(channel_of(path), []).append(path)
    # Cosmos' instance video is painted in colours that do not say the ids.
    places["instance"] = [path for path in places["instance"] if not is_lossy(path)]
    chosen = {}
    for kind, paths in places.items():
        names = {str(path.relative_to(folder)): path for path in paths}
        if kind == "rgb" and len(names) > 1:
            continue
        chosen |= {kind: names[name] for name in _one_of(folder, kind, list(names), camera)}
    return chosen


def kind_named(words: str) -> str:
    """The channel that a path speaks of: the last part of it that does."""
    for part in reversed(re.split(r"[\\/]", words)):
        for kind, known in _WORDS.items():
            if any(word in part for word in known):
                return kind
    return ""


def _one_of(folder: Path, kind: str, names: list[str], camera: str) -> list[str]:
    """The one name of several, by the camera; UserError where it does not tell."""
    if len(names) > 1 and camera:
        exact = [name for name in names if camera.lower() in (camera_of(part) for part in re.split(r"[\\/]", name))]
        names = exact if len(exact) == 1 else names
    if len(names) > 1:
        raise UserError(
            f"{folder} has {len(names)} kinds of {kind} pictures ({', '.join(sorted(names)[:4])}): set camera to a "
            "part of the name that only one of them has."
        )
    return names


def camera_of(part: str) -> str:
    """What a name says beside the channel: "front" of "depth_front"."""
    for word in (word for words in _WORDS.values() for word in words):
        part = part.lower().replace(word, "")
    return part.strip("_-. *")


def _sources(folder: Path, depth: int) -> list[Path]:
    """Folders that hold pictures themselves, groups of pictures in mixed folders, videos and stacks, sorted."""
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    sources = [path for path in entries if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()]
    pictures = [path for path in entries if path.is_file() and is_picture(path)]
    stacks = [path for path in pictures if path.suffix.lower() == ".npy" and not re.search(r"\d", path.stem)]
    if len(pictures) > len(stacks):
        groups = [name for name in picture_groups(folder) if folder / name not in stacks]
        sources += [folder] if len(groups) == 1 else [folder / name for name in sorted(groups)]
    sources += stacks
    for path in entries:
        if path.is_dir() and depth > 0:
            sources += _sources(path, depth - 1)
    return sources
