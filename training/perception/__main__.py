"""Train one of the world's own perception networks: python -m training.perception depth --core 1.

Begins in the folder or goes on there; Ctrl-C and SIGTERM end it after its step. When its steps are done, the model
folder is written to models/perception/NAME with its card. `make train-perception` trains all of them.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from pipeline_core.errors import UserError

from ..run.process import StopRequest, only_one, settle_on_core

NETWORKS = ("depth", "segmentation", "detector", "text_image")
RUNS, MODELS = Path("training/runs/perception"), Path("models/perception")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--out", type=Path, help="the run's folder (default training/runs/perception/NETWORK)")
    parser.add_argument("--model", type=Path, help="where the model goes (default models/perception/NETWORK)")
    parser.add_argument("--scenes-folder", type=Path, default=RUNS / "scenes", help="where rendered scenes are kept")
    parser.add_argument("--scenes", type=int, default=300, help="scenes to train on (default 300)")
    parser.add_argument("--tuning", type=int, default=12, help="scenes for the figures of the log (default 12)")
    parser.add_argument("--steps", type=int, help="default: the network's own")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--core", type=int, help="the one core to run on (default: wherever there is room)")
    parser.add_argument("--nice", type=int, default=10, help="how far to lower the priority (default 10)")
    options = parser.parse_args()
    try:
        settle_on_core(options.core, options.nice)
        train(options)
    except UserError as error:
        raise SystemExit(str(error)) from None


def train(options: argparse.Namespace) -> None:
    from .card import write_card
    from .data import TRAINING, TUNING, shard
    from .fit import fit
    from .world import write_statistics

    task = importlib.import_module(f".{options.network}", __package__).TASK
    out = options.out or RUNS / options.network
    steps = options.steps or task.steps
    with only_one(out):
        stop = StopRequest(out)
        tuning = [shard(options.scenes_folder, TUNING + i) for i in range(options.tuning)]
        shards = []
        for i in range(options.scenes):
            shards.append(shard(options.scenes_folder, TRAINING + i))
            if stop():
                return
        model = fit(task, out, shards, tuning, steps, options.seed, stop)
        if not stop():
            folder = options.model or MODELS / options.network
            task.write(model, folder)
            if options.network == "depth":
                write_statistics(folder, shards, tuning)
            write_card(options.network, folder, out)


if __name__ == "__main__":
    main()
