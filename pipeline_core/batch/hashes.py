"""What a result was made from, as hashes: input, settings, model, code. Where all agree, it is not made again."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..conditions.buffers import fingerprint
from ..job.own_maps import OWN_MAPS
from ..models.folders.layout import sample_hash, shared_folder
from ..models.folders.loading import EMBEDDED
from ..models.folders.lora import parse_lora
from ..perception.own import own_folder
from .clips import Source, files_below, files_of, stamp_of
from .networks import NetworkChoice

_ROOT = Path(__file__).resolve().parents[1]
# Code that no result depends on: how commands look, who gives out the work, what is made of results, test scenes.
_NO_PART = (
    "cli/", "world/", "edits/", "finetune/", "batch/engines/", "batch/export/", "batch/page/", "batch/results.py",
    "batch/graph_batch.py", "batch/board.py", "batch/leases.py", "batch/plan.py", "batch/progress.py",
    "batch/quarantine.py", "batch/worker.py",
)  # fmt: skip


def hash_of_values(values: object) -> str:
    """Of plain values that JSON can hold; tuples count as lists."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Input:
    """What a clip and its buffers hold. hash: of every byte of theirs. stamp: see `stamp_of`; both None where they
    cannot be read."""

    hash: str | None = None
    stamp: str | None = None


def input_of(source: Source, skip: str | os.PathLike | None = None, earlier: Input = Input()) -> Input:
    """skip: see `files_of`. earlier: what was found before; files of the same stamp are not read again."""
    try:
        stamp = stamp_of(source, skip)
        if stamp == earlier.stamp:
            return earlier
        contents = ([name, fingerprint(path)] for name, path in files_of(source, skip))
        return Input(hash_of_values([source.camera, *contents]), stamp)
    except OSError:
        return Input()  # whoever works on it says what is wrong


def model_hash(networks: NetworkChoice) -> str:
    """Of all that the networks are loaded from, a sample of every file of weights, and of what they compute in."""
    own = {f"own {name}": own_folder(name) for name in OWN_MAPS}
    places = {"model": networks.model or EMBEDDED, **networks.estimators(), **own}
    if (shared := shared_folder(places["model"])) is not None:
        places["shared"] = shared
    parts = {name: None if place is None else _folder_hash(str(place)) for name, place in places.items()}
    loras = [_lora_hash(text) for text in networks.loras]
    reference = networks.simdrop_reference and _lora_hash(networks.simdrop_reference)
    return hash_of_values([parts, networks.precision, networks.weights, loras, reference])


def _lora_hash(text: str) -> list:
    lora = parse_lora(text)
    return [sample_hash(lora.path), lora.weight]


@cache
def code_hash() -> str:
    """Of the code of this package that a result depends on."""
    digest = hashlib.sha256()
    for path in sorted(_ROOT.rglob("*.py")):
        name = path.relative_to(_ROOT).as_posix()
        if not name.startswith(_NO_PART):
            digest.update(f"{name} {len(content := path.read_bytes())} ".encode() + content)
    return digest.hexdigest()


@cache
def _folder_hash(place: str) -> str:
    root = Path(place)
    files = [root] if root.is_file() else sorted(files_below(root))
    return hash_of_values([[path.name, sample_hash(path)] for path in files])
