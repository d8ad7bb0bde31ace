"""Which results go into a data set, into which of its splits, and under which names."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from ...conditions.buffers import Buffers, fingerprint, open_buffers
from ...errors import UserError
from ...video import media
from ..results import Results, read_results
from ..rows import DONE, REJECTED
from .scenes import Scene

DEFAULT_SPLITS = "train=.8,val=.2"
_TAKEN = ("annotations", "depth", "images", "instance", "labels", "objects", "semantic")
_OUT_OF = 2**64


@dataclass(frozen=True)
class Selection:
    """scenes: what is exported; left_out: a sentence on every result that could be and is not; rejected: how many the
    gate rejected, which are no part of it; results: the folder they were read from."""

    results: Results
    scenes: list[Scene]
    left_out: list[str]
    rejected: int


def parse_splits(text: str) -> dict[str, float]:
    """ "train=.8,val=.2" to {"train": 0.8, "val": 0.2}; UserError unless the shares are above 0 and sum to 1."""
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = (side.strip() for side in part.partition("="))
        try:
            shares[name] = float(share)
        except ValueError:
            raise UserError(f"{part!r} of --splits is no NAME=SHARE, such as val=.2: change --splits.") from None
        if not re.fullmatch(r"[A-Za-z0-9-]+", name) or name in _TAKEN or not 0 < shares[name] <= 1:
            raise UserError(
                f"{part!r} of --splits needs a name of letters and figures that no folder of the data set has, and a "
                "share above 0: change --splits."
            )
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise UserError(f"The shares of --splits sum to {sum(shares.values()):g} but must sum to 1: change --splits.")
    return shares


def split_of(clip_id: str, shares: dict[str, float]) -> str:
    """The split of a clip: a hash of its id decides, whatever other clips there are, so that all variants of a clip
    fall into one and a clip stays where it is when others come."""
    place = int.from_bytes(hashlib.sha256(clip_id.encode()).digest()[:8], "big") / _OUT_OF
    reached = 0.0
    for name, share in shares.items():
        reached += share
        if place < reached:
            return name
    return name


def select(
    out: Path, shares: dict[str, float], needs: tuple[str, ...], include_rejected: bool, every: int
) -> Selection:
    """The scenes of a batch folder. needs: channels that the buffers must have.

    Every clip and its buffers are looked at here, before anything is written. UserError where nothing is left.
    """
    results = read_results(out)
    scenes, left_out, names, rejected = [], list(results.damaged), set(), 0
    for row in results.rows:
        if row["status"] == REJECTED and not include_rejected:
            rejected += 1
        elif row["status"] in (DONE, REJECTED):
            try:
                scenes.append(_scene(results, row, _name(row, names), shares, needs, every))
            except UserError as reason:
                left_out.append(f"{row['id']} {row['variant']}: {reason}")
    if not scenes:
        first = f" The first that is left out is {left_out[0]}" if left_out else ""
        raise UserError(f"{out} has no result to export ({rejected} were rejected by the gate).{first}")
    return Selection(results, scenes, left_out, rejected)


def _name(row: dict, names: set[str]) -> str:
    """A name for the row's files that no other has, fit for every format: Cityscapes parts names at "_", WebDataset at
    the first "."."""
    plain = re.sub(r"[\W_]+", "-", f"{row['id']}-{row['variant']}").strip("-")
    name, number = plain, 2
    while name.casefold() in names:
        name, number = f"{plain}-{number}", number + 1
    names.add(name.casefold())
    return name


def _scene(
    results: Results, row: dict, name: str, shares: dict[str, float], needs: tuple[str, ...], every: int
) -> Scene:
    path = results.output_of(row)
    if path is None:
        raise UserError(f"its clip {row.get('output')} is not in {results.out}: run enhance-folder again.")
    if fingerprint(path) != row["hashes"].get("output"):
        raise UserError(f"{path} is not the clip that its row tells of: run enhance-folder again.")
    info, split = media.probe(path), split_of(row["id"], shares)
    source, size = results.clip_of(row), (info.height, info.width)
    return Scene(
        name, split, row, source, results.model_of(row), path, info.frames, size, float(info.fps), every,
        _buffers(row, needs),
    )  # fmt: skip


def _buffers(row: dict, needs: tuple[str, ...]) -> Buffers | None:
    source = row["input"]
    if source.get("buffers") is None:
        if needs:
            raise UserError(f"its source {source.get('clip')} has no buffers: make them with the command buffers.")
        return None
    buffers = open_buffers(source["buffers"], source["clip"])
    lacking = [channel for channel in needs if channel not in buffers.channels]
    if lacking:
        raise UserError(
            f"{buffers.folder} has no {' and no '.join(lacking)} pictures: make it anew with them (command buffers)."
        )
    return buffers
