"""The one reader of JSON from outside: bounded in bytes and depth, UTF-8, and of the kind that is needed."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ..errors import UserError
from .paths import regular_file

MOST_BYTES = 256 << 20  # the lights of an hour's drive are a tenth of it
MOST_DEPTH = 64  # lists and objects inside each other


def read_json(path: str | os.PathLike, change: str, kind: type | None = dict):
    """What a JSON file holds: a dict, or what else `kind` says (list; None for anything).

    change: what to do about a file that is none, the end of the sentence. Raises UserError for a file that is missing,
    too large, no file at all, not UTF-8, not JSON, too deeply nested or of another kind.
    """
    path = Path(path)
    content = _bounded(regular_file(path, MOST_BYTES, change))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: {change}.") from error
    return parse_json(text, str(path), change, kind)


def read_json_lines(path: str | os.PathLike, change: str) -> list[dict]:
    """The objects of a file with one on every line (JSON Lines); empty lines count for nothing. UserError as
    `read_json`, with the line's number."""
    path = Path(path)
    try:
        lines = _bounded(regular_file(path, MOST_BYTES, change)).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: {change}.") from error
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    return [parse_json(line, f"Line {number} of {path}", change) for number, line in numbered]


def parse_json(text: str, what: str, change: str, kind: type | None = dict):
    """`read_json` for a text; what: how the sentence calls it."""
    if len(text) > MOST_BYTES:
        raise UserError(f"{what} is longer than {MOST_BYTES >> 20} million characters: {change}.")
    try:
        values = json.loads(text)
    except RecursionError as error:
        raise UserError(f"{what} is nested too deeply: {change}.") from error
    except ValueError as error:
        raise UserError(f"{what} is not valid JSON ({error}): {change}.") from error
    if kind is not None and not isinstance(values, kind):
        needed = {dict: "a JSON object", list: "a JSON list"}[kind]
        raise UserError(f"{what} is not {needed}: {change}.")
    _check(values, what, change)
    return values


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:  # it grew, or said nothing of its size
        raise UserError(f"{path} is larger than {MOST_BYTES >> 20} MB: give another file.")
    return content


def _check(values, what: str, change: str) -> None:
    """UserError for nesting deeper than MOST_DEPTH and for halves of surrogate pairs, which no text may hold."""
    level = [values]
    for _ in range(MOST_DEPTH + 1):
        below = []
        for value in level:
            if isinstance(value, dict):
                below += value.keys()
                below += value.values()
            elif isinstance(value, list):
                below += value
            elif isinstance(value, str) and not _is_unicode(value):
                raise UserError(f"{what} holds a text that is not Unicode: {change}.")
        if not below:
            return
        level = below
    raise UserError(f"{what} is nested deeper than {MOST_DEPTH} levels: {change}.")


def _is_unicode(text: str) -> bool:
    try:
        return text.isascii() or bool(text.encode()) or True
    except UnicodeEncodeError:
        return False
