"""What the commands share: sizes, and where networks run."""

import argparse

from ..doors.limits import check_size
from ..errors import UserError


def add_device(parser: argparse.ArgumentParser) -> None:
    """--device, the same for every command with a network."""
    parser.add_argument(
        "--device", help="where networks run: cuda, mps or cpu, or one of several, such as cuda:1; default: the best"
    )


def parse_size(text: str) -> tuple[int, int]:
    """ "96x160" (height x width) to (96, 160); UserError for anything else, and for sizes beyond the limits."""
    try:
        height, width = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise UserError(f"The size {text!r} is not HEIGHTxWIDTH, such as 96x160: change --size.") from None
    check_size("--size", (height, width))
    return height, width
