"""The progress bar of a command; a cancel that was lost on its way is heard here again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .ends import heed_cancel


@contextmanager
def progress_bar(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr while the block runs; gives progress(done, total). It raises KeyboardInterrupt once cancelled."""
    from tqdm import tqdm

    with tqdm(total=1, desc=what, unit=unit, dynamic_ncols=True) as bar:

        def progress(done: int, total: int) -> None:
            heed_cancel()
            bar.total = total
            bar.update(done - bar.n)

        yield progress
