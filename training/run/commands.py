"""The commands run, status, stop and export of `python -m training`; torch is imported only now."""

from __future__ import annotations

import argparse
import time
from dataclasses import MISSING, fields

from .config import RunConfig
from .log import RunLog
from .process import StopRequest, ask_to_stop, holder, only_one


def add_settings(parser: argparse.ArgumentParser) -> None:
    """An option for each setting of a run; None where it is not given."""
    for setting in fields(RunConfig):
        assert setting.default is not MISSING
        kind = type(setting.default)
        name = "--" + setting.name.replace("_", "-")
        parser.add_argument(name, type=kind, help=f"{setting.metadata['help']} (default {setting.default})")


def run(options: argparse.Namespace) -> None:
    """Begin the run of a folder or go on with it, until its steps are done or it is asked to stop."""
    from .loop import Habits, train
    from .opening import open_run

    given = {setting.name: getattr(options, setting.name) for setting in fields(RunConfig)}
    with only_one(options.out):
        stop = StopRequest(options.out)
        run = open_run(options.out, given)
        print(f"{options.out}: step {run.state['step']}, {run.cpu_hours():.2f} CPU hours so far", flush=True)
        habits = Habits(options.checkpoint_minutes, options.figures_minutes, options.compile)
        train(run, habits, stop, lambda line: print(time.strftime("%H:%M:%S"), line, flush=True))


def status(options: argparse.Namespace) -> None:
    """Print whether a process trains in the folder, and the last entries of its log."""
    process = holder(options.out)
    log = RunLog(options.out)
    print(f"process {process} is training" if process else "not running")
    for kind in ("loss", "figures"):
        for entry in log.entries(kind)[-1:]:
            print("  ".join(f"{name} {value}" for name, value in entry.items()))


def stop(options: argparse.Namespace) -> None:
    """Ask the folder's run to end after its step, and wait until it has."""
    if not ask_to_stop(options.out, options.patience):
        raise SystemExit(f"it has not ended within {options.patience:g} seconds; it will after its step")
    print("ended")


def export(options: argparse.Namespace) -> None:
    """Put the run's candidate in place of a model folder's weights."""
    from .candidate import export_candidate

    print(export_candidate(options.out, options.model, options.note))
