"""Do the channels of a recording show the same frames: as many, and of the same numbers."""

from __future__ import annotations

import os

from ..errors import UserError
from .numbering import list_pictures, told_numbers
from .pictures import count_pictures, is_stack, is_video

_MOST = 6  # frame numbers that are named


def frame_numbers(source: str | os.PathLike) -> list[int] | None:
    """The frame numbers of a folder's pictures; None for a video or a stack, which have none."""
    return None if is_video(source) or is_stack(source) else list(list_pictures(source))


def told_frames(source: str | os.PathLike) -> str:
    """In words which frames a source holds: "frames 98 to 197, 2 missing between them", "100 frames"."""
    numbers = frame_numbers(source)
    return f"{count_pictures(source)} frames" if numbers is None else told_numbers(numbers)


def common_frames(channels: dict[str, str | os.PathLike]) -> int:
    """How many frames the channels {name: source} have, each as many.

    UserError where they have not, and where folders share a part of their frame numbers only: those are of other
    moments, though they may be as many.
    """
    counts = {name: count_pictures(source) for name, source in channels.items()}
    numbers = {name: frame_numbers(source) for name, source in channels.items()}
    numbers = {name: set(values) for name, values in numbers.items() if values is not None}
    shared = set.intersection(*numbers.values()) if numbers else set()
    lone = sorted(set().union(*numbers.values()) - shared) if shared else []
    where = ""
    if lone:
        named = ", ".join(map(str, lone[:_MOST])) + (f" and {len(lone) - _MOST} more" if len(lone) > _MOST else "")
        where = f"; not all have {named}"
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise UserError(f"The recording's channels differ in length ({shown} frames{where}): give a whole recording.")
    if lone:
        shown = ", ".join(f"{name} {told_frames(channels[name])}" for name in numbers)
        raise UserError(
            f"The recording's channels show other frames ({shown}{where}): keep the frames that all have, or number "
            "them alike."
        )
    return next(iter(counts.values()))
