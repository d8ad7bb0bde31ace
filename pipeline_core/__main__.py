"""Command line: python -m pipeline_core {enhance, render, buffers, metrics, runs, convert, demo}.

Exit codes: 0 done, 2 bad input, 130 cancelled.
"""

import argparse
import sys

from .cli.waiting import wait_passively

if __name__ == "__main__":
    wait_passively()  # before the commands import torch

from .cli import buffers, convert, demo, enhance, metrics, render, runs
from .errors import UserError

COMMANDS = (enhance, render, buffers, metrics, runs, convert, demo)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline_core", description="Turn synthetic driving video into photoreal video."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for command in COMMANDS:
        name = command.__name__.rsplit(".", 1)[-1]
        sub = commands.add_parser(name, help=command.__doc__.split("\n")[0], description=command.__doc__)
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("cancelled; finished windows are kept, and the same command goes on from them", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
