"""What a person sees of a run: a line while it works, a table at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from .board import Board
from .rows import DONE, FAILED, REJECTED, Task

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
