"""What a result was made from, as hashes: input, settings, model, code. Where all agree, it is not made again."""

from __future__ import annotations

import hashlib
import json
import os
from functools import cache
from pathlib import Path

from ..conditions.buffers import fingerprint
from ..models.folders.loading import EMBEDDED
from .clips import Source
from .networks import NetworkChoice

_ROOT = Path(__file__).resolve().parents[1]
# Code that no result depends on: how commands look, who gives out the work, what is made of results, test scenes.
_NO_PART = (
    "cli/", "world/", "batch/engines/", "batch/export/", "batch/page/", "batch/results.py", "batch/graph_batch.py",
    "batch/board.py", "batch/leases.py", "batch/plan.py", "batch/progress.py", "batch/quarantine.py", "batch/worker.py",
)  # fmt: skip
_SAMPLES, _BYTES = 64, 4096  # places and bytes at each that are read of a file of weights


def hash_of_values(values: object) -> str:
    """Of plain values that JSON can hold; tuples count as lists."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def input_hash(source: Source) -> str:
    """Of the clip's bytes and of its buffers: the content of JSON files, names and sizes of all others.

    OSError for what cannot be read.
    """
    parts: list = [fingerprint(source.clip), source.camera]
    if source.buffers is not None:
        for path in sorted(_files(source.buffers)):
            if path != source.clip:
                content = fingerprint(path) if path.suffix == ".json" else path.stat().st_size
                parts.append([path.relative_to(source.buffers).as_posix(), content])
    return hash_of_values(parts)


def model_hash(networks: NetworkChoice) -> str:
    """Of all that the networks are loaded from, a sample of every file of weights, and of what they compute in."""
    places = {"model": networks.model or EMBEDDED, **networks.estimators()}
    parts = {name: None if place is None else _folder_hash(str(place)) for name, place in places.items()}
    return hash_of_values([parts, networks.precision, networks.weights])


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
    files = [root] if root.is_file() else sorted(_files(root))
    return hash_of_values([[path.name, _sample(path)] for path in files])


def _sample(path: Path) -> str:
    """Of a file's size and of pieces spread over it, the whole of a small one."""
    digest, size = hashlib.sha256(), path.stat().st_size
    digest.update(f"{size} ".encode())
    with path.open("rb") as file:
        if size <= _SAMPLES * _BYTES:
            digest.update(file.read())
        else:
            for index in range(_SAMPLES):
                file.seek(index * (size - _BYTES) // (_SAMPLES - 1))
                digest.update(file.read(_BYTES))
    return digest.hexdigest()


def _files(folder: Path):
    for path, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(path) / name for name in names if not name.startswith("."))
