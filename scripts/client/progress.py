"""How far a graph has come, on the terminal; where there is none, a line for each node."""

from __future__ import annotations

import shutil
import sys

from client.workflow_graph import title_of


class Progress:
    """Nodes that are done of all, and the running node with its step: one line that is written over and over."""

    def __init__(self, graph: dict):
        self._graph = graph
        self._running = ""
        self._done: set[str] = set()
        self._terminal = sys.stderr.isatty()

    def waiting(self, others: int) -> None:
        self._show(f"waiting, {others} in the queue")

    def start(self, node_id: str) -> None:
        if node_id != self._running:
            self.done([self._running])
            if not self._terminal:
                print(self._title(node_id), file=sys.stderr)
        self._running = node_id
        self._show(self._title(node_id))

    def step(self, node_id: str, value: float, total: float) -> None:
        self._show(f"{self._title(node_id)} {value:g}/{total:g}")

    def done(self, node_ids: list[str]) -> None:
        self._done |= set(node_ids) & set(self._graph)
        self._show(self._title(self._running) if self._running else "")

    def close(self) -> None:
        if self._terminal:
            print(file=sys.stderr)

    def _show(self, text: str) -> None:
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            line = f"{len(self._done)}/{len(self._graph)} nodes  {text}"
            print(f"\r{line[:width]:<{width}}", end="", file=sys.stderr, flush=True)

    def _title(self, node_id: str) -> str:
        return title_of(self._graph, node_id) if node_id in self._graph else f"node {node_id}"
