"""Train the edit model on exact pairs of the world: python -m training.edits --core 1, or make train-edits.

Begins in the folder, from the embedded model's weights, or goes on there; Ctrl-C and SIGTERM end it after its step.
When its steps are done, the model folder is written.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline_core.errors import UserError

from ..run.process import StopRequest, only_one, settle_on_core

RUN, MODEL = Path("training/runs/edits"), Path("models/embedded_edit")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RUN, help="the run's folder (default %(default)s)")
    parser.add_argument("--model", type=Path, default=MODEL, help="where the model goes (default %(default)s)")
    parser.add_argument("--scenes-folder", type=Path, default=RUN / "scenes", help="where encoded scenes are kept")
    parser.add_argument("--scenes", type=int, default=400, help="scenes to train on (default %(default)s)")
    parser.add_argument("--tuning", type=int, default=8, help="scenes for the figures of the log (default %(default)s)")
    parser.add_argument("--steps", type=int, help="default: the task's own")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--core", type=int, help="the one core to run on (default: wherever there is room)")
    parser.add_argument("--nice", type=int, default=10, help="how far to lower the priority (default %(default)s)")
    options = parser.parse_args()
    try:
        settle_on_core(options.core, options.nice)
        train(options)
    except UserError as error:
        raise SystemExit(str(error)) from None


def train(options: argparse.Namespace) -> None:
    from ..perception.fit import fit
    from .data import TRAINING, TUNING, pair_shard
    from .learning import TASK

    with only_one(options.out):
        stop = StopRequest(options.out)
        tuning = [pair_shard(options.scenes_folder, TUNING + i) for i in range(options.tuning)]
        shards = []
        for i in range(options.scenes):
            shards.append(pair_shard(options.scenes_folder, TRAINING + i))
            if stop():
                return
        model = fit(TASK, options.out, shards, tuning, options.steps or TASK.steps, options.seed, stop)
        if not stop():
            options.model.mkdir(parents=True, exist_ok=True)
            TASK.write(model, options.model)


if __name__ == "__main__":
    main()
