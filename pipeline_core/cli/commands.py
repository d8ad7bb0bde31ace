"""All commands as one argument parser."""

import argparse

from ..doors.limits import MOST_TEXT
from ..errors import UserError
from . import (
    buffers,
    convert,
    demo,
    edit,
    enhance,
    enhance_folder,
    export,
    metrics,
    page,
    pairs,
    plan,
    render,
    render_cg,
    runs,
    select,
    train_lora,
)

COMMANDS = (
    enhance, enhance_folder, export, page, render, buffers, metrics, runs, convert, plan, train_lora, demo, pairs,
    render_cg, select, edit,
)  # fmt: skip


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of a command line, with `run` of its command; SystemExit(2) with the usage where they are none.

    Raises UserError for texts that are not Unicode or longer than any prompt is.
    """
    parser = argparse.ArgumentParser(
        prog="python -m pipeline_core", description="Turn synthetic driving video into photoreal video."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for command in COMMANDS:
        name = command.__name__.rsplit(".", 1)[-1].replace("_", "-")
        sub = commands.add_parser(name, help=command.__doc__.split("\n")[0], description=command.__doc__)
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
    options = parser.parse_args(arguments)
    for name, value in vars(options).items():
        if isinstance(value, str):
            _check_text(f"--{name.replace('_', '-')}", value)
    return options


def _check_text(name: str, text: str) -> None:
    if len(text) > MOST_TEXT:
        raise UserError(f"{name} has {len(text)} characters but at most {MOST_TEXT} are read: shorten {name}.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{name} is not Unicode (UTF-8) text: type it again.") from error
