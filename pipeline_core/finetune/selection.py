"""Which clips of a folder to train on: a row for each with figures, score, verdict, reason and weight.

OUT/rows/HASH.json     what was measured of a clip; kept while the clip and the judge are the same
OUT/selection.jsonl    the verdicts, a line for every clip of the folder
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..doors import read_json, read_json_lines
from ..errors import UserError
from ..video.files import write_json, write_text
from ..video.original import fingerprint
from .clips import CaptionedClip
from .curation import Limits, duplicates, measure_clip
from .explain import Errors, advantage, weights_of

INDEX, ROWS, VERSION = "selection.jsonl", "rows", 1
_BETTER = "the reference explains it better, by"
_AGAIN = "delete it to measure its clip again"


@dataclass(frozen=True)
class Judge:
    """explain: errors of model and reference on a clip; name: hash of what decides them; most: advantage of the
    reference above which clips are dropped; best: share of the clips, those of least advantage, that stay."""

    explain: Callable[[CaptionedClip], Errors]
    name: str
    most: float = 1.0
    best: float = 1.0


def curate(
    clips: Sequence[CaptionedClip], folder: Path, out: Path, limits: Limits, progress: Callable[[int, int], None]
) -> list[dict]:
    """A row for every clip of the folder, in their order, with figures, and reasons to drop it; measured clips that are
    the same as then are not measured again."""
    (out / ROWS).mkdir(parents=True, exist_ok=True)
    measured = []
    for clip in clips:
        measured.append(_measured(clip, folder, out))
        progress(len(measured), len(clips))
    rows, pictures = [], []
    for known in measured:
        reasons = [f"cannot be read ({known['broken']})"] if known["broken"] else limits.reasons(known["figures"])
        pictures.append(None if reasons else torch.tensor(known["thumbnails"]))
        rows.append({"file_name": known["file_name"], "source": known["source"], "reasons": reasons, "weight": 1.0,
                     "advantage": None, "figures": known["figures"], "errors": None})  # fmt: skip
    for row, twin in zip(rows, duplicates(pictures, limits.alike), strict=True):
        if twin is not None:
            other, distance = rows[twin[0]]["file_name"], twin[1]
            row["reasons"].append(f"near-duplicate of {other} ({distance:.4f} apart, at least {limits.alike:g})")
    return rows


def judge_rows(
    rows: Sequence[dict], clips: Sequence[CaptionedClip], out: Path, judge: Judge, progress: Callable[[int, int], None]
) -> None:
    """Score the clips that are not dropped yet, drop by the reference's advantage, and weigh what stays."""
    left = [(row, clip) for row, clip in zip(rows, clips, strict=True) if not row["reasons"]]
    for done, (row, clip) in enumerate(left, 1):
        path = _path(out, row["file_name"])
        known = read_json(path, _AGAIN)
        if known["judged_by"] != judge.name:
            known |= {"judged_by": judge.name, "errors": list(judge.explain(clip))}
            write_json(path, known, indent=None)
        row["errors"], row["advantage"] = known["errors"], advantage(known["errors"])
        progress(done, len(left))
    ranked = sorted((row for row, _ in left), key=lambda row: row["advantage"])
    stay = round(judge.best * len(ranked))
    for place, row in enumerate(ranked):
        better = f"{_BETTER} {100 * row['advantage']:.1f} %"
        if row["advantage"] > judge.most:
            row["reasons"].append(f"{better} (at most {100 * judge.most:g} %)")
        elif place >= stay:
            row["reasons"].append(f"{better} (not among the {100 * judge.best:g} % of clips with least)")
    ranked = [row for row in ranked if not row["reasons"]]
    weights = weights_of(torch.tensor([row["advantage"] for row in ranked], dtype=torch.float64))
    for row, weight in zip(ranked, weights.tolist(), strict=True):
        row["weight"] = round(weight, 6)


def write_selection(out: Path, rows: Sequence[dict]) -> None:
    """selection.jsonl: every row with its verdict."""
    lines = [
        {"accepted": not row["reasons"], "reason": "; ".join(row["reasons"]) or None}
        | {key: value for key, value in row.items() if key != "reasons"}
        for row in rows
    ]
    write_text(out / INDEX, "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines))


def _path(out: Path, name: str) -> Path:
    return out / ROWS / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.json"


def _measured(clip: CaptionedClip, folder: Path, out: Path) -> dict:
    """What is known of a clip, measured now where it is not."""
    name = clip.path.relative_to(folder).as_posix()
    path, mark = _path(out, name), [VERSION, fingerprint(clip.path), clip.caption]
    row = read_json(path, _AGAIN) if path.is_file() else {}
    if row.get("mark") == mark:
        return row
    row = {"mark": mark, "file_name": name, "source": clip.source, "broken": None, "figures": None, "thumbnails": None,
           "judged_by": None, "errors": None}  # fmt: skip
    try:
        row["figures"], thumbnails = measure_clip(clip.path, clip.joints)
        row["thumbnails"] = [round(value, 4) for value in thumbnails.flatten().tolist()]
    except UserError as error:
        row["broken"] = str(error)
    write_json(path, row, indent=None)
    return row


def read_selection(path: Path) -> dict[str, float]:
    """{file_name: weight} of the accepted clips of a selection.jsonl. UserError for what is none."""
    weights = {}
    for row in read_json_lines(path, "give the selection.jsonl of select"):
        name, weight, accepted = row.get("file_name"), row.get("weight"), row.get("accepted")
        if not (
            isinstance(name, str) and isinstance(accepted, bool) and isinstance(weight, (int, float)) and weight > 0
        ):
            raise UserError(f"{path} has a line without file_name, accepted and weight: give the one of select.")
        if accepted:
            weights[name] = float(weight)
    return weights


def summary(rows: Sequence[dict]) -> list[str]:
    """What came of a folder, in lines for people."""
    chosen = [row for row in rows if not row["reasons"]]
    sources = Counter(row["source"] for row in chosen if row["source"])
    by_source = "".join(f", {count} {source}" for source, count in sorted(sources.items()))
    lines = [f"{len(chosen)} of {len(rows)} clips are kept{by_source}"]
    why = Counter(_kind(reason) for row in rows for reason in row["reasons"])
    return lines + [f"  {count:5d}  {kind}" for kind, count in why.most_common()]


def _kind(reason: str) -> str:
    for kind in ("near-duplicate", _BETTER):
        if reason.startswith(kind):
            return kind
    return reason.split(" (")[0]
