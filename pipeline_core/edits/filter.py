"""Which pairs are good enough: scores and verdicts in the rows of a pair set, and one index of all of them."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..batch.hashes import hash_of_values, model_hash
from ..batch.networks import NetworkChoice
from ..batch.rows import DONE
from ..doors import read_json, read_json_lines
from ..errors import UserError
from ..perception.own import own_folder
from ..perception.text_image import TextImage, load_text_image
from ..video import media
from ..video.files import write_json, write_text
from .scores import Scores, Thresholds, score_pair, scores_from, usual_thresholds
from .triples import Triple

VERSION = 1  # of a pair's row
INDEX = "pairs.jsonl"
_LISTED = "listed"  # folder of rows of pairs that somebody else's list names
_TEXTS = ("caption", "instruction", "edited_caption")


@dataclass(frozen=True)
class Judge:
    """network: scores pairs; name: its hash, by which scores are known as its own."""

    network: TextImage
    name: str
    thresholds: Thresholds


def load_judge(
    folder: Path | None = None, limits: Mapping[str, float] | None = None, device: str | None = None
) -> Judge | None:
    """By a CLIP-class folder; without one by the world's own encoder, None where that is not there either. limits: some
    of `Thresholds`, the folder's usual ones stand for the others. UserError as `load_text_image`."""
    folder = folder or own_folder("text_image")
    if folder is None:
        return None
    thresholds = replace(usual_thresholds(folder), **(limits or {}))
    return Judge(load_text_image(folder, device), model_hash(NetworkChoice(model=str(folder))), thresholds)


def read_rows(out: Path) -> Iterator[dict]:
    """The rows of a pair set, by clip and number. UserError for one that is damaged."""
    for path in _row_files(out):
        yield read_json(path, "make or list its pair again")


def _row_files(out: Path) -> list[Path]:
    files = (out / "pairs").glob("*/*.json")
    return sorted(path for path in files if path.name[0] != "." and path.name != "triples.json")


def judged(out: Path, path: Path, judge: Judge) -> dict:
    """Score and judge the pair of a row, and write that into the row; what stands there already is not done again."""
    row = read_json(path, "make or list its pair again")
    if row["status"] != DONE:
        return row
    scores, before = scores_from(row["scores"]), dict(row)
    if scores is None or row["scored_by"] != judge.name:
        try:
            scores = _scored(out, row, judge)
        except UserError as error:  # a listed clip that is gone or of another length
            row |= {"accepted": False, "reason": str(error), "scores": None, "scored_by": None}
            write_json(path, row)
            return row
    reasons = judge.thresholds.reasons(scores)
    row |= {"scores": asdict(scores), "scored_by": judge.name, "thresholds": asdict(judge.thresholds)}
    row |= {"accepted": not reasons, "reason": "; ".join(reasons) or None}
    if row != before:
        write_json(path, row)
    return row


def _scored(out: Path, row: dict, judge: Judge) -> Scores:
    frames = [media.read_frames(out / row[side]) for side in ("source", "edited")]
    return score_pair(judge.network, *frames, row["caption"], row["edited_caption"])


def filter_pairs(out: Path, judge: Judge, progress: Callable[[int, int], None] | None = None) -> list[dict]:
    """Judge every pair of a set and write its index. UserError for a folder without pairs."""
    files = _row_files(out)
    if not files:
        raise UserError(f"{out} holds no pairs: give the OUT of pairs make, or a list of pairs with --list.")
    rows = []
    for done, path in enumerate(files, 1):
        rows.append(judged(out, path, judge))
        if progress is not None:
            progress(done, len(files))
    write_index(out)
    return rows


def write_index(out: Path) -> None:
    """pairs.jsonl: every row of the set on a line of its own."""
    write_text(out / INDEX, "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in read_rows(out)))


def list_pairs(listing: Path, folder: Path, out: Path) -> None:
    """Rows in `out` for pairs of clips in general: a JSON object on every line of `listing`, with source, edited
    (paths, relative ones in `folder`), caption, instruction and edited_caption.

    What is there already with the same content stays, with its scores; rows of an earlier list go. UserError for a line
    without one of those.
    """
    rows = [
        _listed_row(number, line, listing, folder) for number, line in enumerate(read_json_lines(listing, _needed()))
    ]
    target = out / "pairs" / _LISTED
    target.mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(rows):
        path = target / f"{number:06d}.json"
        if not _same(path, row):
            write_json(path, row)
    for path in sorted(target.glob("*.json"))[len(rows) :]:
        path.unlink()


def _listed_row(number: int, line: dict, listing: Path, folder: Path) -> dict:
    missing = [name for name in ("source", "edited", *_TEXTS) if not isinstance(line.get(name), str)]
    if missing:
        raise UserError(f"Pair {number + 1} of {listing} has no {missing[0]}: {_needed()}.")
    paths = {side: os.path.abspath(folder / line[side]) for side in ("source", "edited")}
    triple = Triple(*(line[name] for name in _TEXTS), str(line.get("kind", "")))
    return {
        "version": VERSION,
        "id": f"{_LISTED}.{number:06d}",
        "status": DONE,
        "reason": None,
        "by": _LISTED,
        "clip": None,
        **paths,
        **triple.to_dict(),
        "scores": None,
        "scored_by": None,
        "thresholds": None,
        "accepted": None,
        "hashes": {"input": hash_of_values([_stamp(path) for path in paths.values()])},
    }


def _needed() -> str:
    return f"give a JSON object with source, edited, {', '.join(_TEXTS)} on every line"


def _stamp(path: str) -> list:
    """Tells without reading that a file is the same."""
    try:
        status = os.stat(path)
    except OSError:
        return [path]
    return [path, status.st_size, status.st_mtime_ns]


def _same(path: Path, row: dict) -> bool:
    try:
        there = read_json(path, "list it again")
    except UserError:
        return False
    return all(there.get(name) == row.get(name) for name in ("source", "edited", "hashes", *_TEXTS))


def summary(rows: Sequence[dict]) -> list[str]:
    """What came of a set, in lines for people."""
    done = [row for row in rows if row["status"] == DONE]
    scored = [row for row in done if row["accepted"] is not None]
    lines = [
        f"{len(done)} pairs of {len(rows)}" + (f", {sum(r['accepted'] for r in scored)} accepted" if scored else "")
    ]
    short = Counter(part.split(" (")[0] for row in scored if not row["accepted"] for part in row["reason"].split("; "))
    lines += [f"  {count:5d}  {reason}" for reason, count in short.most_common()]
    failed = Counter(row["reason"] for row in rows if row["status"] != DONE)
    return lines + [f"  {count:5d}  could not be made: {reason}" for reason, count in failed.most_common(5)]
