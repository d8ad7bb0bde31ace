"""The one reader of YAML from outside: bounded in bytes and depth, plain data only, no aliases, no key twice."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import UserError
from .paths import regular_file
from .sentences import first_line

MOST_BYTES = 1 << 20  # a recipe of a thousand prompts is a tenth of it
MOST_DEPTH = 16


def read_yaml(path: str | os.PathLike, change: str) -> dict:
    """The mapping that a YAML file holds; an empty file is an empty one.

    change: what to do about a file that is none, the end of the sentence. UserError for a file that is missing, too
    large, no file at all, not UTF-8, not YAML, nested too deeply, with aliases, a key twice or anything but plain data.
    """
    path = Path(path)
    content = regular_file(path, MOST_BYTES, change).read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: {change}.") from error
    return parse_yaml(text, str(path), change)


def parse_yaml(text: str, what: str, change: str) -> dict:
    """`read_yaml` for a text; what: how the sentence calls it."""
    import yaml

    if len(text) > MOST_BYTES:
        raise UserError(f"{what} is longer than {MOST_BYTES} characters: {change}.")

    class Loader(yaml.SafeLoader):
        """Depth is counted while it is read: what is too deep never gets as far as Python's own limit."""

        depth = 0

        def compose_node(self, parent, index):
            if self.check_event(yaml.events.AliasEvent):
                raise UserError(f"{what} has an alias (*name), which is not read: write out what it stands for.")
            self.depth += 1
            if self.depth > MOST_DEPTH:
                raise UserError(f"{what} is nested deeper than {MOST_DEPTH} levels: {change}.")
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

        def construct_mapping(self, node, deep=False):
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            for place, key in enumerate(keys):
                if not isinstance(key, str):
                    raise UserError(
                        f"{what} has the key {key!r}, which YAML does not take for a text: put it in quotes."
                    )
                if key in keys[:place]:
                    raise UserError(f"{what} has the key {key!r} twice: give it once.")
            return super().construct_mapping(node, deep)

    try:
        values = yaml.load(text, Loader)  # a SafeLoader: plain data only
    except yaml.MarkedYAMLError as error:
        where = "" if error.problem_mark is None else f" in line {error.problem_mark.line + 1}"
        raise UserError(f"{what} is not valid YAML ({error.problem or error.context}{where}): {change}.") from error
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{what} is not valid YAML ({first_line(error)}): {change}.") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UserError(f"{what} is not a list of keys and values: {change}.")
    return values
