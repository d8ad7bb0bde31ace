"""Paired prompts: a caption, an instruction, and the caption after the edit; on disk one JSON object a line."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..doors import read_json_lines
from ..doors.limits import MOST_TEXT
from ..errors import UserError
from ..video.files import write_text

_FIELDS = ("caption", "instruction", "edited_caption")


@dataclass(frozen=True)
class Triple:
    """caption, instruction, edited_caption: text. kind: which edit it is, such as "look: night", "" where nobody said.
    styles: of the world's STYLES before and after, where the edit is one of them to another and nothing else."""

    caption: str
    instruction: str
    edited_caption: str
    kind: str = ""
    styles: tuple[str, str] | None = None

    def to_dict(self) -> dict:
        """Plain values, those without content left out."""
        values = {name: getattr(self, name) for name in _FIELDS}
        kind = {"kind": self.kind} if self.kind else {}
        return values | kind | ({"styles": list(self.styles)} if self.styles else {})


def read_triples(path: str | os.PathLike) -> list[Triple]:
    """The triples of a JSON Lines file. UserError for a line that is none, with its number."""
    triples = [_triple(line, number, path) for number, line in enumerate(read_json_lines(path, _change()), 1)]
    if not triples:
        raise UserError(f"{path} holds no triples: {_change()}.")
    return triples


def _change() -> str:
    return f"give a JSON object with {', '.join(_FIELDS)} on every line"


def _triple(line: dict, number: int, path: str | os.PathLike) -> Triple:
    for name in _FIELDS:
        text = line.get(name)
        if not isinstance(text, str) or not text.strip() or len(text) > MOST_TEXT:
            raise UserError(f"Triple {number} of {path} has no text as its {name}: {_change()}.")
    kind, styles = line.get("kind", ""), line.get("styles")
    named = isinstance(styles, list) and len(styles) == 2 and all(isinstance(style, str) for style in styles)
    if not isinstance(kind, str) or not (styles is None or named):
        raise UserError(f"Triple {number} of {path} has a kind that is no text or styles that are not two: leave them.")
    return Triple(*(" ".join(line[name].split()) for name in _FIELDS), kind, tuple(styles) if named else None)


def write_triples(path: str | os.PathLike, triples: Iterable[Triple]) -> None:
    """UserError where the folder does not exist."""
    lines = [json.dumps(triple.to_dict(), ensure_ascii=False) for triple in triples]
    write_text(path, "".join(f"{line}\n" for line in lines))


def unique(triples: Iterable[Triple]) -> list[Triple]:
    """The first of those that differ in case, spaces and punctuation only; without those that edit nothing."""
    seen, kept_triples = set(), []
    for triple in triples:
        key = tuple(_plain(getattr(triple, name)) for name in _FIELDS)
        if key[0] != key[2] and key not in seen:
            seen.add(key)
            kept_triples.append(triple)
    return kept_triples


def _plain(text: str) -> str:
    return " ".join(words(text))


def words(text: str) -> list[str]:
    """The words of a text, in small letters."""
    return re.findall(r"[\w'-]+", text.casefold())
