"""What every supported release holds: names and shapes of its tensors, no weights, in lists/*.json.

A list says where it was read ("source"). Its tensors are written by pattern: `{0..27}` counts and `{q,k}` chooses, so
that "blocks.{0,1}.attn.{q,k}.weight" stands for four of one shape. "beside" are patterns of entries that such a file
may hold too and no network reads; "layouts" say how the same tensors are called elsewhere, as substitutions from there
to here.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...doors import read_json
from ...errors import UserError

LISTS = Path(__file__).parent / "lists"
_CHOICE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Release:
    """One list. prefix: stands before every name in the file. shapes: {name without it: shape}. network: the diffusers
    class of those names, "" where they are not diffusers'."""

    name: str
    title: str
    source: str
    network: str
    prefix: str
    shapes: Mapping[str, tuple[int, ...]]
    layouts: Mapping[str, Sequence[Sequence[str]]]

    def names_of(self, layout: str, names: Iterable[str]) -> dict[str, str]:
        """{name as here: name as in another layout} for those of `names` that this release has under another name."""
        renamed = {}
        for name in names:
            here = name
            for pattern, replacement in self.layouts[layout]:
                here = re.sub(pattern, replacement, here)
            if here != name and here in self.shapes:
                renamed[here] = name
        return renamed


def releases() -> tuple[str, ...]:
    """The names of all lists."""
    return tuple(sorted(path.stem for path in LISTS.glob("*.json")))


def read_release(name: str) -> Release:
    """A list by its name. UserError for one that is not there."""
    if name not in releases():
        raise UserError(f"There is no release {name}; give one of {', '.join(releases())}.")
    values = read_json(LISTS / f"{name}.json", "restore the file of the pack")
    shapes = {full: tuple(shape) for pattern, shape in values["tensors"].items() for full in expanded(pattern)}
    return Release(
        name,
        values["release"],
        values["source"],
        values.get("network", ""),
        values["prefix"],
        shapes,
        values["layouts"],
    )


def expanded(pattern: str) -> list[str]:
    """The names a pattern stands for, in its order."""
    parts = _CHOICE.split(pattern)
    choices = [_choices(part) if place % 2 else [part] for place, part in enumerate(parts)]
    return ["".join(words) for words in itertools.product(*choices)]


def renamed_tensor(network: str, missing: str, names: Iterable[str]) -> str:
    """How the files of a diffusers network call a tensor that it misses, as the end of a sentence; "" where they have
    it under no name that is known."""
    ours = (release for release in map(read_release, releases()) if release.network == network)
    return next(filter(None, (_called(release, missing, names) for release in ours)), "")


def _called(release: Release, missing: str, names: Iterable[str]) -> str:
    for layout in release.layouts:
        renamed = release.names_of(layout, names)
        if missing in renamed:
            return f", which it calls {renamed[missing]}: its names are {layout} ones"
    return ""


def _choices(text: str) -> list[str]:
    if ".." in text:
        first, last = map(int, text.split(".."))
        return [str(number) for number in range(first, last + 1)]
    return text.split(",")
