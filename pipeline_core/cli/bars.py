"""The progress bar of a command; a cancel that was lost on its way is heard here again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .ends import heed_cancel


@contextmanager
def progress_bar(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr while the block runs, from the first step on; gives progress(done, total), which raises
    KeyboardInterrupt once cancelled."""
    from tqdm import tqdm

    bar = None

    def progress(done: int, total: int) -> None:
        nonlocal bar
        heed_cancel()
        if bar is None:
            bar = tqdm(desc=what, unit=unit, dynamic_ncols=True)
        bar.total = total
        bar.update(done - bar.n)

    try:
        yield progress
    finally:
        if bar is not None:
            bar.close()
