"""Command line: python -m pipeline_core {enhance, enhance-folder, export, page, render, buffers, metrics, plan, ...}.

Exit codes: 0 done, 2 bad input, 130 cancelled (Ctrl-C or a polite kill, SIGTERM).
"""

import sys

from .cli.ends import ended, leaving_at_once
from .cli.waiting import wait_passively


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code. Every fault of what came from outside is one sentence on stderr."""
    return ended(_run, arguments)


def _run(arguments: list[str] | None) -> None:
    with leaving_at_once():  # it takes seconds, in which a user may cancel too
        from .cli.commands import parse

    options = parse(arguments)
    options.run(options)


if __name__ == "__main__":
    wait_passively()  # before the commands import torch
    sys.exit(main())
