"""What a person sees of a run: a line while it works, a table at the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping

from ..errors import UserError
from .board import Board
from .page import write_page
from .rows import DONE, FAILED, REJECTED, Task

_LEAST, _SHARE = 10.0, 30.0  # between two pages: seconds, and times what one took
_COLUMNS = (DONE, REJECTED, FAILED, "left")


class RunLine:
    """A progress bar over a board's tasks: how many are done, failed, rejected, and the time that is left."""

    def __init__(self, board: Board, total: int) -> None:
        from tqdm import tqdm

        self._board = board
        self._bar = tqdm(total=total, initial=len(board.settled), desc="clips", unit="clip", dynamic_ncols=True)

    def __call__(self) -> None:
        settled = len(self._board.settled)
        if settled != self._bar.n:
            counts = Counter(row["status"] for row in list(self._board.settled.values()))
            self._bar.set_postfix({name: counts[name] for name in _COLUMNS[:3]}, refresh=False)
            self._bar.update(settled - self._bar.n)

    def __enter__(self) -> RunLine:
        return self

    def __exit__(self, *error) -> None:
        self()
        self._bar.close()


class RunPage:
    """Keeps the page of a board's folder up to date, at a small share of the run's time."""

    def __init__(self, board: Board) -> None:
        self._board, self._shown, self._next = board, -1, 0.0

    def __call__(self) -> None:
        if len(self._board.settled) != self._shown and time.monotonic() >= self._next:
            self.write()

    def write(self) -> None:
        """What the page cannot show is said, and no reason to end a run."""
        begun, self._shown = time.monotonic(), len(self._board.settled)
        try:
            write_page(self._board.out)
        except (UserError, OSError) as error:
            print(f"note: the page was not written ({str(error).rstrip('.')}).")
        self._next = time.monotonic() + max(_LEAST, _SHARE * (time.monotonic() - begun))


def format_table(tasks: Iterable[Task], settled: Mapping[str, dict]) -> str:
    """One line for each variant and one for all: results that are done, rejected, failed and left to do."""
    counts: dict[str, Counter] = {}
    for task in tasks:
        row = settled.get(task.name)
        counts.setdefault(task.variant.name, Counter())["left" if row is None else row["status"]] += 1
    if len(counts) > 1:
        counts["all"] = sum(counts.values(), Counter())
    lines = [["variant", *_COLUMNS]]
    lines += [[name, *(str(count[column]) for column in _COLUMNS)] for name, count in counts.items()]
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))])
        for line in lines
    )
