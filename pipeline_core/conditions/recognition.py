"""What the pictures of a source are, looked at where they lie: see depth_recognition.py and class_recognition.py."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import UserError
from .class_recognition import holds_instances, recognise_classes, recognise_instances
from .depth_recognition import recognise_depth
from .numbering import list_pictures
from .pictures import is_stack, is_video, keeps_codes, sample_pictures
from .recognised import Recognised


def is_lossy(source: str | os.PathLike) -> bool:
    """Do a source's pictures hold other codes than those that were written: most videos, and JPEG."""
    if is_video(source):
        return not keeps_codes(source)
    return not is_stack(source) and next(iter(list_pictures(source).values())).suffix.lower() in (".jpg", ".jpeg")


def depth_of(source: str | os.PathLike, **known) -> Recognised:
    """The depth format of a source's pictures, by what else is known of them (see `recognise_depth`)."""
    reason = recognise_depth(_sample(source), str(source), **known)
    if reason.format in ("carla", "carla_bgr") and is_lossy(source):
        raise UserError(f"{source} holds 24-bit depth and has lost the codes: give PNG files or a lossless RGB video.")
    return reason


def classes_of(source: str | os.PathLike) -> Recognised:
    """The semantic format of a source's pictures, see `recognise_classes`."""
    return recognise_classes(_sample(source), str(source), is_lossy(source))


def instances_of(source: str | os.PathLike, semantic_format: str) -> Recognised:
    """The instance format of a source's pictures; semantic_format: that of the classes beside or in them."""
    if semantic_format == "vkitti2 colours":
        return Recognised("vkitti2", "the numbers of PNGs with a colour table, beside Virtual KITTI 2's classes")
    return recognise_instances(_sample(source), str(source))


def channel_of(source: str | os.PathLike) -> str:
    """What the pictures of a source are that its name does not tell: "semantic", "instance", "depth" or "" (colour
    pictures, or nothing known)."""
    try:
        pictures = _sample(source)
        recognise_classes(pictures, str(source), is_lossy(source))
        return "instance" if holds_instances(pictures) else "semantic"
    except UserError:
        pass
    try:
        return "depth" if depth_of(source) else ""
    except UserError:
        return ""


def _sample(source: str | os.PathLike):
    pictures = sample_pictures(source)
    if any(picture.shape != pictures[0].shape or picture.dtype != pictures[0].dtype for picture in pictures):
        raise UserError(f"The pictures of {Path(source)} differ in size or kind: give a whole recording.")
    return pictures
