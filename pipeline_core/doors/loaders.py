"""What libraries' own loaders raise for a damaged model folder is anything at all: one broad except for all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import UserError
from .sentences import first_line, sentence


@contextmanager
def loading(path: str | os.PathLike, what: str, change: str) -> Iterator[None]:
    """Around one call of a library that reads a file or folder of the user's: whatever it raises becomes a UserError.

    what: what it should be, such as "a tokenizer"; change: what to do, the end of the sentence.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if isinstance(error, MemoryError):
            raise UserError(sentence(error)) from error
        raise UserError(f"{path} could not be loaded as {what} ({first_line(error)[:200]}): {change}.") from error
