"""Slurm: an array of jobs, each with its share of the clips. Slurm gives out the jobs; nothing has to be started here.

scripts/many_clips.sbatch is such a script.
"""

from __future__ import annotations

import os
from collections.abc import Mapping


def array_shard(environment: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """(i, n), counted from 1, of the array's job that this is; (1, 1) outside an array.

    Slurm's own numbers may begin anywhere and leave steps out (--array=4-20:4).
    """
    names = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP", "SLURM_ARRAY_TASK_COUNT")
    try:
        number, least, step, count = (int(environment[name]) for name in names)
        place = (number - least) // step + 1
    except (KeyError, ValueError, ZeroDivisionError):
        return 1, 1
    return (place, count) if 1 <= place <= count else (1, 1)
