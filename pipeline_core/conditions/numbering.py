"""Which pictures of a folder belong together, and which number in their names is the frame's.

Recorders name pictures as they like: one folder per camera or all cameras in one, numbers that start at any simulation
frame, with gaps, before or after other numbers (a camera's, a date). Pictures whose names differ in their numbers only
are a group; the number that differs most is the frame's. A group of a mixed folder is written as a path with a *
(FOLDER/depth_*.png).
"""

from __future__ import annotations

import os
import re
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

from ..errors import UserError

PICTURE_SUFFIXES = (".png", ".exr", ".npy", ".tif", ".tiff", ".jpg", ".jpeg")


def is_picture(path: Path) -> bool:
    """Is it a picture file by its name."""
    return path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")


def picture_groups(folder: str | os.PathLike) -> dict[str, dict[int, Path]]:
    """The groups of a folder's pictures: {name with * for its numbers: {frame number: file}}, frames in order.

    A picture without a number is a group of its own, frame 0. UserError for two pictures of one number.
    """
    skeletons: dict[tuple[str, ...], list[tuple[tuple[str, ...], Path]]] = {}
    for path in sorted(path for path in Path(folder).iterdir() if is_picture(path)):
        parts = re.split(r"(\d+)", path.stem)
        skeletons.setdefault((*parts[::2], path.suffix.lower()), []).append((tuple(parts[1::2]), path))
    groups: dict[str, dict[int, Path]] = {}
    for texts, members in skeletons.items():
        for name, numbered in _numbered(texts, members):
            groups[name] = numbered
    return groups


def _numbered(texts: tuple[str, ...], members: list[tuple[tuple[str, ...], Path]]):
    """(name with *, {frame number: file}) of files that differ in their numbers only."""
    numbers = [tuple(map(int, digits)) for digits, _ in members]
    if not numbers[0]:
        yield "".join(texts), {0: members[0][1]}
        return
    values = [set(column) for column in zip(*numbers)]
    frame = max(range(len(values)), key=lambda place: (len(values[place]), place))
    # Where the frame's number alone does not tell the files apart, the other numbers are cameras.
    alone = len(values[frame]) == len(members)
    others = [place for place in range(len(values)) if place != frame and len(values[place]) > 1 and not alone]
    streams: dict[tuple[str, ...], dict[int, Path]] = {}
    for (digits, path), whole in zip(members, numbers):
        free = tuple("*" if place not in others else digits[place] for place in range(len(digits)))
        stream = streams.setdefault(free, {})
        if whole[frame] in stream:
            raise UserError(f"The order of {path} among its pictures is not clear: number them, one per frame.")
        stream[whole[frame]] = path
    for free, stream in streams.items():
        name = "".join(text + place for text, place in zip(texts, (*free, ""))) + texts[-1]
        yield name, dict(sorted(stream.items()))


def list_pictures(source: str | os.PathLike) -> dict[int, Path]:
    """{frame number: file} of a folder, or of a group in it (FOLDER/depth_*.png), in the order of the numbers.

    UserError if there is none, or if they are not one group.
    """
    source = Path(source)
    folder, name = (source.parent, source.name) if "*" in source.name else (source, None)
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: give the folder that the simulator's pictures are in.")
    groups = picture_groups(folder)
    if name in groups:
        groups = {name: groups[name]}
    elif name is not None:
        groups = {key: files for key, files in groups.items() if fnmatch(key, name)}
    if not groups:
        raise UserError(f"{source} holds no PNG, EXR or other picture: give the folder of the simulator's pictures.")
    if len(groups) > 1:
        raise UserError(
            f"The order of the pictures in {folder} is not clear: it holds several kinds "
            f"({', '.join(sorted(groups)[:4])}): give one of them, as {folder / sorted(groups)[0]}."
        )
    return next(iter(groups.values()))


def told_numbers(numbers: list[int]) -> str:
    """In words which frames there are: "98 to 197", and how many are missing between them."""
    steps = Counter(after - before for before, after in zip(numbers, numbers[1:]))
    if not steps:
        return f"frame {numbers[0]}"
    step = min(steps, key=lambda step: (-steps[step], step))
    missing = sum((size // step - 1) * count for size, count in steps.items() if size > step and size % step == 0)
    every = f" in steps of {step}" if step > 1 and len(steps) == 1 else ""
    irregular = ", in uneven steps" if len(steps) > 1 and any(size % step for size in steps) else ""
    gaps = f", {missing} missing between them" if missing and not irregular else ""
    return f"frames {numbers[0]} to {numbers[-1]}{every}{gaps}{irregular}"
