"""Train the edit model on exact pairs of the world: python -m training.edits --core 1, or make train-edits.

Begins in the folder, from the embedded model's weights, or goes on there; Ctrl-C and SIGTERM end it after its step.
When its steps are done, the model folder is written.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from ..perception.command import add_options, carry_out, train_on_scenes

RUN, MODEL = Path("training/runs/edits"), Path("models/embedded_edit")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RUN, help="the run's folder (default %(default)s)")
    parser.add_argument("--model", type=Path, default=MODEL, help="where the model goes (default %(default)s)")
    parser.add_argument("--export", action="store_true", help="write the model of the run so far, and learn nothing")
    parser.add_argument("--scenes-folder", type=Path, default=RUN / "scenes", help="where encoded scenes are kept")
    add_options(parser, scenes=400, tuning=8)
    carry_out(parser.parse_args(), train)


def train(options: argparse.Namespace) -> None:
    from ..perception.fit import averaged_so_far
    from .data import TRAINING, TUNING, PairScene, vae
    from .learning import edit_task

    scene = partial(PairScene, options.scenes_folder)
    task = edit_task(scene(TUNING), vae())
    if options.export:
        task.write(averaged_so_far(task, options.out), options.model)
        return
    ended = train_on_scenes(task, options.out, scene, TRAINING, TUNING, options)
    if ended is not None:
        task.write(ended[0], options.model)


if __name__ == "__main__":
    main()
