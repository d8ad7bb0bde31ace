"""Clips with captions in a folder: Hugging Face's video folder (metadata.jsonl), or NAME.txt beside NAME.mp4.

A metadata.jsonl may say more than a caption: captions of other styles under names of their own, the clip's source, and
where COCO's keypoints of it are, as `render-cg` writes them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..conditions.pictures import is_video
from ..doors import parse_json, regular_file
from ..doors.limits import MOST_TEXT
from ..errors import UserError, shown

METADATA = "metadata.jsonl"
_MOST_METADATA = 256 << 20  # bytes
_FOLDER = object()  # key of a line for the folder that its paths are in


@dataclass(frozen=True)
class CaptionedClip:
    """A clip and what it shows. source: what kind of clip it is, by its line of metadata.jsonl or else the first folder
    it lies in; weight: how often it is seen among those of its source; joints: its COCO keypoints."""

    path: Path
    caption: str
    source: str = ""
    weight: float = 1.0
    joints: Path | None = None


def read_clips(
    folder: Path, caption: str | None = None, skip: Path | None = None, style: str = "text"
) -> list[CaptionedClip]:
    """Every clip below a folder with its caption, sorted by path.

    A caption is what a metadata.jsonl of the clip's own folder or one above has under the name `style`, or else what
    stands in NAME.txt beside it, or else `caption`. Hidden files and folders, and `skip`, are not looked into.
    UserError for a folder without clips, a clip without a caption, captions that are no texts, and a metadata.jsonl
    that names a file that is not there.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: give the folder of the clips.")
    files = _files(folder, skip)
    entries: dict[Path, dict] = {}
    for path in files:
        if path.name == METADATA:
            entries |= _metadata(path, style)
    clips = [path for path in files if is_video(path)]
    if not clips:
        raise UserError(f"{folder} holds no clip (.mp4, .mkv, .mov, .avi, .webm): give the folder of the clips.")
    return [_captioned(path, folder, entries.get(Path(os.path.realpath(path)), {}), caption, style) for path in clips]


def chosen_clips(clips: Sequence[CaptionedClip], folder: Path, weights: Mapping[str, float]) -> list[CaptionedClip]:
    """The clips that `weights` names, by their paths below the folder, with those weights. UserError where it names
    none of them."""
    names = {clip: clip.path.relative_to(folder).as_posix() for clip in clips}
    chosen = [replace(clip, weight=weights[name]) for clip, name in names.items() if name in weights]
    if not chosen:
        raise UserError(f"The selection names no clip of {folder}: give one that was made of this folder.")
    return chosen


def tagged(clips: Sequence[CaptionedClip], source: str, tag: str) -> list[CaptionedClip]:
    """The clips, with a tag before the captions of one source."""
    return [
        replace(clip, caption=f"{tag}, {clip.caption}")
        if clip.source == source and not clip.caption.startswith(tag)
        else clip
        for clip in clips
    ]


def parse_mix(text: str, sources: Iterable[str]) -> dict[str, float]:
    """ "synthetic=.3,photoreal=.7" to shares by source.

    UserError unless they add up to 1 and there are clips of each.
    """
    shares, known = {}, sorted(set(sources))
    for part in text.split(","):
        name, _, share = part.strip().rpartition("=")
        try:
            shares[name] = float(share)
        except ValueError:
            raise UserError(f"--mix is {text!r}; write shares of sources, such as synthetic=.3,photoreal=.7.") from None
        if not name or not 0 <= shares[name] <= 1:
            raise UserError(f"--mix is {text!r}; write shares from 0 to 1, such as synthetic=.3,photoreal=.7.")
        if shares[name] and name not in known:
            raise UserError(f"--mix names {name}, of which there are no clips: choose from {', '.join(known)}.")
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise UserError(f"The shares of --mix {text} add up to {sum(shares.values()):g}: make it 1.")
    return shares


def _files(folder: Path, skip: Path | None) -> list[Path]:
    files = []
    for above, folders, names in os.walk(folder):
        here = Path(above)
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and (skip is None or os.path.realpath(here / name) != os.path.realpath(skip))
        ]
        files += [here / name for name in names if not name.startswith(".")]
    return sorted(files)


def _captioned(clip: Path, folder: Path, entry: dict, caption: str | None, style: str) -> CaptionedClip:
    below = clip.relative_to(folder).parts
    source = entry.get("source") if isinstance(entry.get("source"), str) else below[0] if len(below) > 1 else ""
    joints = entry.get("joints")
    place = entry[_FOLDER] / joints if isinstance(joints, str) and joints and "\0" not in joints else None
    return CaptionedClip(clip, _caption(clip, entry.get(style), caption), source, joints=place)


def _metadata(path: Path, style: str) -> dict[Path, dict]:
    """{clip: its line} of a metadata.jsonl."""
    entries = {}
    for number, line in enumerate(_text(path, _MOST_METADATA).splitlines(), 1):
        if not line.strip():
            continue
        what = f"{path}, line {number}"
        entry = parse_json(line, what, 'write {"file_name": "NAME.mp4", "text": "what it shows"} there')
        name, text = entry.get("file_name"), entry.get(style)
        if not isinstance(name, str) or not isinstance(text, str):
            raise UserError(f"{what}, has no file_name or no {style} that is a text: give both, such as NAME.mp4.")
        clip = path.parent / name
        if "\0" in name or not clip.is_file():
            raise UserError(f"{what}, names {shown(name)}, which is not there: put the clip there, or drop the line.")
        entries[Path(os.path.realpath(clip))] = {**entry, _FOLDER: path.parent}
    return entries


def _caption(clip: Path, text: str | None, default: str | None) -> str:
    beside = clip.with_suffix(".txt")
    if text is None and beside.is_file():
        text = _text(beside, 4 * MOST_TEXT)
    text = default if text is None else text
    if text is None:
        raise UserError(
            f"{clip} has no caption: give it a line with its text in {METADATA}, or a {beside.name}, or all such clips "
            "one by --caption."
        )
    text = " ".join(text.split())
    if len(text) > MOST_TEXT or "\0" in text:
        raise UserError(f"The caption of {clip} is longer than {MOST_TEXT} characters or holds NUL: change it.")
    return text


def _text(path: Path, most: int) -> str:
    try:
        return regular_file(path, most).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: save it again as UTF-8.") from error
