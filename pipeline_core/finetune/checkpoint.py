"""The one file a run goes on from: every tensor of its learners, and its counters and config as JSON in the header.

Draws are functions of (seed, step), so the steps are all there is to the state of the random numbers.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ..errors import UserError
from ..video.files import atomic_file, remove_unfinished

NAME = "checkpoint.safetensors"


def save_checkpoint(folder: Path, tensors: Mapping[str, Tensor], state: Mapping[str, object]) -> None:
    """Write the file whole or not at all: a kill at any moment leaves the one before."""
    from safetensors.torch import save_file

    remove_unfinished(folder / NAME)
    separate = {name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}
    with atomic_file(folder / NAME) as unfinished:
        save_file(separate, str(unfinished), {"state": json.dumps(state)})
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())


def read_state(folder: Path) -> dict | None:
    """The counters and config of a folder's checkpoint; None when there is none. UserError when it is not one."""
    from safetensors import SafetensorError, safe_open

    path = folder / NAME
    if not path.exists():
        return None
    try:
        with safe_open(str(path), framework="pt") as file:
            return json.loads(file.metadata()["state"])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} is not a checkpoint of a run ({error}): choose another folder for the output."
        ) from error


def read_tensors(folder: Path, learner: str) -> dict[str, Tensor]:
    """A learner's tensors, without its name in front."""
    from safetensors import safe_open

    with safe_open(str(folder / NAME), framework="pt") as file:
        names = [name for name in file.keys() if name.startswith(f"{learner}.")]  # noqa: SIM118 (no __iter__)
        return {name.removeprefix(f"{learner}."): file.get_tensor(name) for name in names}
