"""What the commands share: output folders, sizes, and where networks run."""

import argparse
from pathlib import Path

from ..errors import UserError


def writable(path: Path, what: str) -> Path:
    """The path, if its folder exists; UserError otherwise, before any work is done."""
    if not path.parent.is_dir():
        raise UserError(f"The folder {path.parent} for {what} does not exist: create it or change the path.")
    if path.is_dir():
        raise UserError(f"{path} is a folder but {what} needs a file name: change the path.")
    return path


def add_device(parser: argparse.ArgumentParser) -> None:
    """--device, the same for every command with a network."""
    parser.add_argument(
        "--device", help="where networks run: cuda, mps or cpu, or one of several, such as cuda:1; default: the best"
    )


def parse_size(text: str) -> tuple[int, int]:
    """ "96x160" (height x width) to (96, 160)."""
    try:
        height, width = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise UserError(f"The size {text!r} is not HEIGHTxWIDTH, such as 96x160: change --size.") from None
    return height, width
