"""The commands that README and docs show, and their parsers without what they do."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from pipeline_core.cli.commands import parse

ROOT = Path(__file__).parents[2]
INDEX = ROOT / "docs" / "README.md"
# What a block of commands is, after its language: carried out, parsed only, or another program's.
CLASSES = ("run", "parse", "elsewhere")
OURS = ("python", "make")


class Block(NamedTuple):
    """A fenced block of a page: its language, the words after it, its lines."""

    language: str
    words: tuple[str, ...]
    text: str


def pages() -> list[Path]:
    """README, then the pages of docs/ in the order in which the index names them."""
    names = re.findall(r"\]\(([\w-]+\.md)\)", INDEX.read_text(encoding="utf-8"))
    return [ROOT / "README.md", INDEX, *(INDEX.with_name(name) for name in dict.fromkeys(names))]


def blocks(page: Path) -> Iterator[Block]:
    fenced = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    for info, text in fenced.findall(page.read_text(encoding="utf-8")):
        language, *words = info.split() or [""]
        yield Block(language, tuple(words), text)


def commands(text: str) -> list[str]:
    """The command lines of a block: continued ones joined, without comments."""
    joined = re.sub(r"\\\n\s*", "", text)
    lines = [re.sub(r"\s+#.*", "", line).strip() for line in joined.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def commands_of_class(page: Path, name: str) -> list[str]:
    return [line for block in blocks(page) if block.words == (name,) for line in commands(block.text)]


def inline_commands(page: Path) -> list[str]:
    """Commands of ours inside the text, variables before them left out."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    spans = (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text))
    spans = (re.sub(r"^(\w+=\S+ )+", "", span) for span in spans)
    return [span for span in spans if re.match(r"python (-m|\w+/)|make [a-z]", span)]


class Parsed(Exception):
    """The arguments were taken; nothing else of the program has run."""


def parse_only(command: str) -> None:
    """Give a command's words to its own parser; SystemExit or ValueError where it does not take them."""
    program, *words = shlex.split(command)
    if program == "make":
        subprocess.run(["make", "-n", *words], cwd=ROOT, check=True, capture_output=True)
        return
    where, *arguments = words[1:] if words[0] == "-m" else words
    if words[0] != "-m" and not has_options(where):
        if arguments:
            raise ValueError(f"{where} takes no arguments")
        return
    try:
        with stopped_after_parsing(), mock.patch("sys.argv", [where, *arguments]):
            if where == "pipeline_core":
                parse(arguments)
            elif words[0] == "-m":
                runpy.run_module(where, run_name="__main__", alter_sys=False)
            else:
                runpy.run_path(str(ROOT / where), run_name="__main__")
    except Parsed:
        return
    raise ValueError(f"{where} ended without looking at its arguments")


def has_options(script: str) -> bool:
    return "parse_args" in (ROOT / script).read_text(encoding="utf-8")


@contextlib.contextmanager
def stopped_after_parsing() -> Iterator[None]:
    """Whoever parses arguments gets no further; modules, paths and the process are as before afterwards."""

    def parse_and_stop(self, args=None, namespace=None):
        parse_args(self, args, namespace)
        raise Parsed

    parse_args, modules = argparse.ArgumentParser.parse_args, set(sys.modules)
    with (
        mock.patch.object(argparse.ArgumentParser, "parse_args", parse_and_stop),
        mock.patch.dict(os.environ),
        mock.patch.object(os, "nice", lambda step: 0),
        mock.patch.object(os, "sched_setaffinity", lambda process, cores: None, create=True),
        mock.patch.object(sys, "path", [str(ROOT / "scripts"), str(ROOT / "benchmarks"), *sys.path]),
    ):
        try:
            yield
        finally:
            for name in set(sys.modules) - modules:
                if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(ROOT / "benchmarks")):
                    del sys.modules[name]


def options_of(command: str) -> str:
    """What the command's --help says, nothing where it has no options; for make, what it would do."""
    program, *words = shlex.split(command)
    if program == "make":
        return subprocess.run(["make", "-n", *words], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    start = words[: 2 if words[0] == "-m" else 1]
    subcommand = [word for word in words[len(start) :][:1] if not word.startswith("-")]
    if not start[-1].endswith(".py") or has_options(start[0]):
        start += [*subcommand, "--help"]
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            parse_only(shlex.join([program, *start]))
    except SystemExit as end:
        if end.code:
            raise ValueError(f"{command} is no command") from None
    return said.getvalue()
