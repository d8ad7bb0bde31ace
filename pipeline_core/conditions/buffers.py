"""The buffers folder beside a clip: what the simulator knows, in CARLA's own picture encodings.

    depth/000000.png      24-bit depth
    semantic/000000.png   class tags
    instance/000000.png   tag and instance id
    flow/000000.png       forward optical flow, 16-bit
    lights.json           every traffic light's state, box, lamp box and visible share per frame
    scene.json            free: seed, captions, the objects' colours
    buffers.json          the manifest: frames, size, rate, channels and the SHA-256 of the clip they belong to

Apart from the manifest everything is optional. The manifest's fingerprint keeps the buffers of another clip out.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..doors import open_picture, read_json
from ..errors import UserError
from ..video import media
from ..video.files import unfinished_name
from ..video.original import fingerprint
from . import encodings
from .buffer_files import AGAIN, LIGHT_FIELDS, VERSION, check_lights, check_manifest

MANIFEST = "buffers.json"


def _save(path: Path, image: np.ndarray) -> None:
    from PIL import Image

    Image.fromarray(image).save(path, compress_level=1)


def _load(path: Path) -> np.ndarray:
    with open_picture(path, AGAIN) as image:
        return np.asarray(image)


class BuffersWriter:
    """Write a buffers folder in chunks: `with BuffersWriter(folder, clip, scene) as out: out.append(...)`.

    `clip` is the video the buffers belong to; it must be complete when the `with` block ends, for its
    bytes, size, rate and frame count go into the manifest. Everything is written under a temporary name
    beside `folder` and takes the final name at the end; on an error nothing stays. An older buffers folder
    of that name is replaced, any other folder with something in it is refused. `scene` is any dict that
    JSON can hold.
    """

    def __init__(self, folder: str | os.PathLike, clip: str | os.PathLike, scene: dict | None = None) -> None:
        self.folder, self.clip, self.scene = Path(folder), Path(clip), dict(scene or {})
        self.frames, self._channels, self._size, self._lights = 0, None, None, {}
        if not self.folder.parent.is_dir():
            raise UserError(f"The folder {self.folder.parent} does not exist: create it for the buffers first.")
        if self.folder.exists() and not self._replaceable():
            raise UserError(f"{self.folder} exists and holds no buffers: name a new or empty folder for them.")

    def _replaceable(self) -> bool:
        return self.folder.is_dir() and ((self.folder / MANIFEST).is_file() or not any(self.folder.iterdir()))

    def __enter__(self) -> BuffersWriter:
        self._partial = unfinished_name(self.folder)
        self._partial.mkdir()
        return self

    def append(
        self,
        depth: Tensor | None = None,
        classes: Tensor | None = None,
        instances: Tensor | None = None,
        flow: Tensor | None = None,
        lights: list[dict] | None = None,
    ) -> None:
        """Append T frames; every chunk must bring the same channels as the first, all of one size.

        depth (T, H, W) metres, sky inf or 1000 and more; classes (T, H, W) CARLA tags; instances (T, H, W)
        ids 0 .. 65535 (needs classes); flow (T, H, W, 2) forward pixels (dx, dy), NaN where undefined;
        lights: one dict per light, "instance" and lists of T entries: "state" (red, yellow, green), "box"
        and "lamp_box" ([x0, y0, x1, y1] in pixels, or None) and "visible" (the visible share, 0 .. 1).
        """
        channels = {"depth": depth, "semantic": classes, "instance": instances, "flow": flow}
        channels = {name: value for name, value in channels.items() if value is not None}
        if not channels:
            raise UserError("No buffer came: give at least one of depth, classes, instances and flow.")
        if "instance" in channels and classes is None:
            raise UserError("Instances came without classes: CARLA's instance image holds both, give both.")
        sizes = {tuple(value.shape[:3]) for value in channels.values()}
        T, *size = sizes.pop()
        if sizes or (self._size and size != self._size):
            raise UserError("The buffers differ in frames or size: give all of them as (T, H, W) of one size.")
        if self._channels is None:
            self._channels, self._size = list(channels), size
            for name in channels:
                (self._partial / name).mkdir()
        elif self._channels != list(channels):
            raise UserError(
                f"The channels {', '.join(channels)} came after {', '.join(self._channels)}: "
                "give the same ones in every chunk."
            )
        for t in range(T):
            images = {
                "depth": lambda: encodings.encode_depth(depth[t]),
                "semantic": lambda: encodings.encode_classes(classes[t]),
                "instance": lambda: encodings.encode_instances(classes[t], instances[t]),
                "flow": lambda: encodings.encode_flow(flow[t]),
            }
            for name in channels:
                _save(self._partial / name / f"{self.frames + t:06d}.png", images[name]())
        self._append_lights(lights or [], T)
        self.frames += T

    def _append_lights(self, lights: list[dict], T: int) -> None:
        for light in lights:
            entry = self._lights.setdefault(int(light["instance"]), {})
            for field, absent in LIGHT_FIELDS.items():
                values = _plain(light[field])
                if len(values) != T:
                    raise UserError(
                        f"Light {light['instance']} has {len(values)} entries of {field} for {T} frames: "
                        "give one per frame."
                    )
                entry.setdefault(field, [absent] * self.frames).extend(values)
        for entry in self._lights.values():  # lights this chunk does not speak of
            for field, absent in LIGHT_FIELDS.items():
                entry[field].extend([absent] * (self.frames + T - len(entry[field])))

    def __exit__(self, kind, error, trace) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            shutil.rmtree(self._partial, ignore_errors=True)

    def _finish(self) -> None:
        info = media.probe(self.clip)
        if info.frames != self.frames or (self._size and [info.height, info.width] != self._size):
            raise UserError(
                f"{self.frames} frames of buffers came for {self.clip}, which has {info.frames} frames of "
                f"{info.height}x{info.width}: give the clip that was rendered with them, at their size."
            )
        manifest = {
            "version": VERSION,
            "frames": info.frames,
            "height": info.height,
            "width": info.width,
            "fps": str(info.fps),
            "channels": self._channels,
            "clip_sha256": fingerprint(self.clip),
        }
        lights = [{"instance": instance, **entry} for instance, entry in self._lights.items()]
        for name, content in (("lights.json", lights), ("scene.json", self.scene), (MANIFEST, manifest)):
            (self._partial / name).write_text(json.dumps(content, indent=1), encoding="utf-8")
        if self.folder.exists():
            if not self._replaceable():  # looked at again: rendering may have taken long
                raise UserError(f"{self.folder} now holds something else: name another folder for the buffers.")
            shutil.rmtree(self.folder)
        os.replace(self._partial, self.folder)


def _plain(values):
    """Lists, tuples, tensors and arrays as plain lists that JSON can hold."""
    if hasattr(values, "tolist"):
        return values.tolist()
    return [_plain(v) if isinstance(v, (list, tuple)) or hasattr(v, "tolist") else v for v in values]


def write_buffers(folder: str | os.PathLike, clip: str | os.PathLike, rendered) -> None:
    """Write the buffers of a rendered clip (depth, classes, instances, flow, lights, scene) beside its
    video."""
    with BuffersWriter(folder, clip, rendered.scene) as out:
        out.append(rendered.depth, rendered.classes, rendered.instances, rendered.flow, rendered.lights)


class Buffers:
    """An open buffers folder; reads only the frames asked for. See `open_buffers`."""

    def __init__(self, folder: Path, manifest: dict) -> None:
        self.folder = folder
        self.frames, self.height, self.width = (manifest[k] for k in ("frames", "height", "width"))
        self.channels = tuple(manifest["channels"])
        self.lights: list[dict] = read_json(folder / "lights.json", AGAIN, list)
        self.scene: dict = read_json(folder / "scene.json", AGAIN)
        check_lights(self.lights, self.frames, folder / "lights.json")
        if not isinstance(self.scene.get("description", ""), str):
            raise UserError(f"{folder / 'scene.json'} describes the scene in something else than text: {AGAIN}.")

    def picture_path(self, channel: str, frame: int) -> Path:
        """Where the picture of a channel's frame lies; UserError for a channel that is not there."""
        if channel not in self.channels:
            raise UserError(f"The buffers {self.folder} have no {channel}: they hold {', '.join(self.channels)}.")
        return self.folder / channel / f"{frame:06d}.png"

    def picture(self, channel: str, frame: int) -> np.ndarray:
        """The codes of a frame as they are stored, (H, W, 3) uint8 (see encodings.py); flow is (2 H, W) uint16."""
        image = _load(self.picture_path(channel, frame))
        if image.shape[:2] != (self.height * (2 if channel == "flow" else 1), self.width):
            raise UserError(f"Frame {frame} of {channel} in {self.folder} has another size: render them again.")
        return image

    def _read(self, channel: str, start: int, stop: int | None, decode: Callable[[np.ndarray], Tensor]) -> Tensor:
        stop = self.frames if stop is None else stop
        self.picture_path(channel, start)  # a channel that is not there is said before frames that are not
        if not 0 <= start < stop <= self.frames:
            raise UserError(f"Frames {start} to {stop} were asked of {self.folder}, which has {self.frames}.")
        return torch.stack([decode(self.picture(channel, t)) for t in range(start, stop)])

    def depth(self, start: int = 0, stop: int | None = None) -> Tensor:
        """Depth of frames start .. stop - 1: (T, H, W) float32 metres, the sky at 1000.0."""
        return self._read("depth", start, stop, encodings.decode_depth)

    def classes(self, start: int = 0, stop: int | None = None) -> Tensor:
        """CARLA tags of frames start .. stop - 1: (T, H, W) uint8."""
        return self._read("semantic", start, stop, encodings.decode_classes)

    def instances(self, start: int = 0, stop: int | None = None) -> Tensor:
        """Instance ids of frames start .. stop - 1: (T, H, W) int32, 0 for none."""
        return self._read("instance", start, stop, encodings.decode_instances)

    def flow(self, start: int = 0, stop: int | None = None) -> Tensor:
        """Forward flow of frames start .. stop - 1: (T, H, W, 2) float32 pixels (dx, dy), NaN where
        undefined."""
        return self._read("flow", start, stop, encodings.decode_flow)


def open_buffers(folder: str | os.PathLike, clip: str | os.PathLike) -> Buffers:
    """Open the buffers folder of a clip.

    Raises UserError when the folder is missing, is no buffers folder, is damaged, or belongs to another clip.
    """
    folder, clip = Path(folder), Path(clip)
    if not (folder / MANIFEST).is_file():
        raise UserError(f"{folder} is no buffers folder (no {MANIFEST} in it): give one written with a clip.")
    if not clip.is_file():
        raise UserError(f"The video {clip} does not exist: give the path of an existing video file.")
    manifest = read_json(folder / MANIFEST, AGAIN)
    check_manifest(manifest, folder / MANIFEST)
    if manifest.get("clip_sha256") != fingerprint(clip):
        raise UserError(f"The buffers {folder} belong to another clip than {clip}: give that clip's own folder.")
    info = media.probe(clip)
    if (info.frames, info.height, info.width) != tuple(manifest[k] for k in ("frames", "height", "width")):
        raise UserError(f"{folder / MANIFEST} states other frames than {clip} has: {AGAIN}.")
    return Buffers(folder, manifest)


def buffers_beside(clip: Path) -> Path:
    """The buffers folder of a clip where no other is named: CLIP_buffers beside it."""
    return clip.with_name(f"{clip.stem}_buffers")


def find_buffers(clip: Path, folder: Path | None = None) -> Buffers | None:
    """The buffers folder that is named, or the one beside the clip, opened; None where there is none."""
    if folder is None and buffers_beside(clip).is_dir():
        folder = buffers_beside(clip)
    return open_buffers(folder, clip) if folder is not None else None


def scene_description(folder: str | os.PathLike | None) -> str:
    """What is in the scene, in words, where a recording's folder says so in its scene.json; "" for no folder, and where
    it says nothing."""
    path = None if folder is None else Path(folder) / "scene.json"
    if path is None or not path.is_file():
        return ""
    try:
        return str(read_json(path, AGAIN).get("description", ""))
    except UserError:
        return ""
