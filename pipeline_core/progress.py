"""A progress bar for the terminal; silent where standard error is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(label: str, unit: str = "frame") -> Iterator[Callable[[int, int], None]]:
    """`with bar("metrics") as progress: work(progress=progress)`, where work calls progress(done, total)."""
    from tqdm import tqdm

    with tqdm(desc=label, unit=unit, disable=None, leave=False) as shown:

        def progress(done: int, total: int) -> None:
            shown.total = total
            shown.update(done - shown.n)

        yield progress
