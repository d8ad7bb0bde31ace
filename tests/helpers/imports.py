"""What a Python file imports, wherever in it: at the top, inside functions, for type checkers, by name in a string."""

import ast
from pathlib import Path
from typing import NamedTuple

BY_NAME = ("import_module", "__import__", "importorskip")


class Import(NamedTuple):
    """One imported name. module: dotted, from the tree's root where `ours` (a relative import), else as written."""

    file: Path
    line: int
    module: str
    ours: bool

    def __str__(self):
        return f"{self.file}:{self.line} imports {self.module}"


def imports(root, files):
    """Every import of these files below `root`; `from a import b` counts as a.b, for b may be a module."""
    for file in sorted(files):
        place = file.relative_to(root)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
            if isinstance(node, ast.Import):
                yield from (Import(place, node.lineno, alias.name, False) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                folder = place.parts[: len(place.parts) - node.level] if node.level else ()
                base = [*folder, *(node.module.split(".") if node.module else [])]
                for alias in node.names:
                    yield Import(place, node.lineno, ".".join([*base, alias.name]), node.level > 0)
            elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                called = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if called in BY_NAME and isinstance(node.args[0].value, str):
                    yield Import(place, node.lineno, node.args[0].value, False)
