"""Train the embedded model: python -m training run --core 1 --out DIR goes on until it is stopped, and then again.

run: begin in DIR from models/embedded, or go on there. status, stop: of the run in DIR. export: put DIR's candidate,
the averages that tuning scenes liked best, in place of models/embedded. See docs/training.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pipeline_core.errors import UserError

from .run.process import settle_on_core


def _parser(settings: bool) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="begin a run, or go on with it")
    run.add_argument("--core", type=int, help="the one core to run on (default: wherever there is room)")
    run.add_argument("--nice", type=int, default=10, help="how far to lower the priority (default 10)")
    run.add_argument("--checkpoint-minutes", type=float, default=4.0, help="between checkpoints (default 4)")
    run.add_argument("--figures-minutes", type=float, default=20.0, help="CPU minutes between tuning figures, 0: none")
    run.add_argument("--no-compile", dest="compile", action="store_false", help="without a C++ compiler; half as fast")
    stop = commands.add_parser("stop", help="end a run after its step")
    stop.add_argument("--patience", type=float, default=120.0, help="seconds to wait for it")
    export = commands.add_parser("export", help="put a run's candidate in place of a model's weights")
    export.add_argument("--model", type=Path, default=Path("models/embedded"))
    export.add_argument("--note", default="", help="for the model's card: what the log does not know")
    for command in (run, stop, export, commands.add_parser("status", help="what a run is doing")):
        command.add_argument("--out", type=Path, required=True, help="the run's folder")
    if settings:
        from .run.commands import add_settings

        add_settings(run)
    return parser


def main() -> None:
    # Twice: the settings' help needs the package, hence torch, whose threads read what the core's options set.
    asks_help = bool({"-h", "--help"} & set(sys.argv))
    try:
        if not asks_help:
            first, _ = _parser(settings=False).parse_known_args()
            if first.command == "run":
                settle_on_core(first.core, first.nice)
        options = _parser(settings=True).parse_args()
        from .run import commands

        getattr(commands, options.command)(options)
    except UserError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
