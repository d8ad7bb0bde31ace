"""What the commands that train a network on scenes of the world share: options, the core, and the way through."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from pipeline_core.errors import UserError

from ..run.process import StopRequest, only_one, settle_on_core


def add_options(parser: argparse.ArgumentParser, scenes: int, tuning: int) -> None:
    """Options of a run, with how many scenes it is trained on and looked at with by default."""
    parser.add_argument("--scenes", type=int, default=scenes, help="scenes to train on (default %(default)s)")
    parser.add_argument("--tuning", type=int, default=tuning, help="scenes for the log's figures (default %(default)s)")
    parser.add_argument("--steps", type=int, help="default: the network's own")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--core", type=int, help="the one core to run on (default: wherever there is room)")
    parser.add_argument("--nice", type=int, default=10, help="how far to lower the priority (default %(default)s)")


def carry_out(options: argparse.Namespace, train: Callable[[argparse.Namespace], None]) -> None:
    """train(options) on the chosen core; a UserError ends the process with its sentence."""
    try:
        settle_on_core(options.core, options.nice)
        train(options)
    except UserError as error:
        raise SystemExit(str(error)) from None


def train_on_scenes(
    task, out: Path, shard: Callable[[int], object], training: int, tuning: int, options: argparse.Namespace
) -> tuple | None:
    """(model, training shards, tuning shards) of a run in `out`, or None where it was stopped before its end.

    task: see fit.py; shard: seed -> a scene, made where it is not there; training, tuning: the first seed of each.
    """
    from .fit import fit

    with only_one(out):
        stop = StopRequest(out)
        looked_at = [shard(tuning + i) for i in range(options.tuning)]
        shards = []
        for i in range(options.scenes):
            shards.append(shard(training + i))
            if stop():
                return None
        model = fit(task, out, shards, looked_at, options.steps or task.steps, options.seed, stop)
        return None if stop() else (model, shards, looked_at)
