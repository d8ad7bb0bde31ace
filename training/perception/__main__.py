"""Train one of the world's own perception networks: python -m training.perception depth --core 1.

Begins in the folder or goes on there; Ctrl-C and SIGTERM end it after its step. When its steps are done, the model
folder is written to models/perception/NAME with its card. `make train-perception` trains all of them.
"""

from __future__ import annotations

import argparse
import importlib
from functools import partial
from pathlib import Path

from .command import add_options, carry_out, train_on_scenes

NETWORKS = ("depth", "segmentation", "detector", "text_image")
RUNS, MODELS = Path("training/runs/perception"), Path("models/perception")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--out", type=Path, help="the run's folder (default training/runs/perception/NETWORK)")
    parser.add_argument("--model", type=Path, help="where the model goes (default models/perception/NETWORK)")
    parser.add_argument("--scenes-folder", type=Path, default=RUNS / "scenes", help="where rendered scenes are kept")
    add_options(parser, scenes=300, tuning=12)
    carry_out(parser.parse_args(), train)


def train(options: argparse.Namespace) -> None:
    from .card import write_card
    from .data import TRAINING, TUNING, shard
    from .world import write_statistics

    task = importlib.import_module(f".{options.network}", __package__).TASK
    out = options.out or RUNS / options.network
    ended = train_on_scenes(task, out, partial(shard, options.scenes_folder), TRAINING, TUNING, options)
    if ended is None:
        return
    model, shards, tuning = ended
    folder = options.model or MODELS / options.network
    task.write(model, folder)
    if options.network == "depth":
        write_statistics(folder, shards, tuning)
    write_card(options.network, folder, out)


if __name__ == "__main__":
    main()
