"""What a recording's folder holds and how it would be read, in words, without writing anything."""

from __future__ import annotations

import os
from pathlib import Path

from .alignment import common_frames, told_frames
from .layouts import Recording, find_recording
from .pictures import read_pictures
from .recognised import AUTO


def check_recording(
    folder: str | os.PathLike,
    camera: str = "",
    depth_format: str = AUTO,
    semantic_format: str = AUTO,
    depth_scale: float = 1.0,
) -> list[str]:
    """Lines for people: each channel's place, frames and size, its format and why, and what to know of it.

    The arguments are `find_recording`'s, and so are its UserErrors, besides `common_frames`'s where the channels do not
    show the same frames.
    """
    recording = find_recording(folder, camera, depth_format, semantic_format, depth_scale)
    lines = described(recording, Path(folder))
    frames = common_frames(recording.channels())
    lines.append(f"{', '.join(recording.channels())} fit each other: {frames} frames.")
    if recording.rgb is not None:
        lines.append(f"The camera's own pictures, {recording.rgb}: {told_frames(recording.rgb)}.")
    return lines


def described(recording: Recording, folder: Path | None = None) -> list[str]:
    """Lines that say of each channel where it is, how it is read and why."""
    lines = []
    for channel, source in recording.channels().items():
        inside = folder is not None and source.is_relative_to(folder)
        place = source.relative_to(folder) if inside and source != folder else source
        height, width = next(read_pictures(source, 0, 1))[1].shape[:2]
        lines.append(f"{channel}: {place}, {told_frames(source)}, {width}x{height}")
        reason = recording.recognised.get(channel)
        format_said = f"{getattr(recording, f'{channel}_format')}: as it was said"
        lines += [f"  {line}" for line in (reason.lines() if reason is not None else [format_said])]
    return lines
