"""Pictures from outside: their size is looked at before they are decoded."""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import UserError
from .paths import regular_file

MOST_PIXELS = 1 << 26  # 8192 x 8192, twice an 8K frame


@contextmanager
def open_picture(path: str | os.PathLike, change: str) -> Iterator:
    """An open PIL picture of at most MOST_PIXELS; change: what to do about a damaged one, the end of the sentence.

    Raises UserError for a file that is missing, no file, no picture or too large, also for what goes wrong in the
    block, where the pixels are decoded.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the bound below is a stricter one
            image = Image.open(regular_file(path, change=change))
        with image:
            check_pixels(image.width, image.height, path)
            yield image
    except UserError:
        raise
    # What Pillow's readers raise for damaged files; a chunk that is cut off ends in a struct.error or SyntaxError.
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError) as error:
        raise UserError(f"The picture {path} is missing or damaged: {change}.") from error


def check_pixels(width: int, height: int, path: str | os.PathLike) -> None:
    """UserError for a picture of more than MOST_PIXELS."""
    if width * height > MOST_PIXELS:
        raise UserError(
            f"The picture {path} says it has {width}x{height} pixels but at most {MOST_PIXELS >> 20} million are read: "
            "give a smaller one."
        )
