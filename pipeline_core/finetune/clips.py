"""Clips with captions in a folder: Hugging Face's video folder (metadata.jsonl), or NAME.txt beside NAME.mp4."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..conditions.pictures import is_video
from ..doors import parse_json, regular_file
from ..doors.limits import MOST_TEXT
from ..errors import UserError, shown

METADATA = "metadata.jsonl"
_MOST_METADATA = 256 << 20  # bytes


@dataclass(frozen=True)
class CaptionedClip:
    """A clip and what it shows."""

    path: Path
    caption: str


def read_clips(folder: Path, caption: str | None = None, skip: Path | None = None) -> list[CaptionedClip]:
    """Every clip below a folder with its caption, sorted by path.

    A caption is the clip's "text" in a metadata.jsonl of its own folder or one above, or else what stands in NAME.txt
    beside it, or else `caption`. Hidden files and folders, and `skip`, are not looked into. UserError for a folder
    without clips, a clip without a caption, captions that are no texts, and a metadata.jsonl that names a file that is
    not there.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: give the folder of the clips.")
    files = _files(folder, skip)
    texts: dict[Path, str] = {}
    for path in files:
        if path.name == METADATA:
            texts |= _metadata(path)
    clips = [path for path in files if is_video(path)]
    if not clips:
        raise UserError(f"{folder} holds no clip (.mp4, .mkv, .mov, .avi, .webm): give the folder of the clips.")
    return [CaptionedClip(path, _caption(path, texts, caption)) for path in clips]


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


def _metadata(path: Path) -> dict[Path, str]:
    """{clip: text} of the lines of a metadata.jsonl."""
    texts = {}
    for number, line in enumerate(_text(path, _MOST_METADATA).splitlines(), 1):
        if not line.strip():
            continue
        what = f"{path}, line {number}"
        entry = parse_json(line, what, 'write {"file_name": "NAME.mp4", "text": "what it shows"} there')
        name, text = entry.get("file_name"), entry.get("text")
        if not isinstance(name, str) or not isinstance(text, str):
            raise UserError(f"{what}, has no file_name or no text that is a text: give both, such as NAME.mp4.")
        clip = path.parent / name
        if "\0" in name or not clip.is_file():
            raise UserError(f"{what}, names {shown(name)}, which is not there: put the clip there, or drop the line.")
        texts[Path(os.path.realpath(clip))] = text
    return texts


def _caption(clip: Path, texts: dict[Path, str], default: str | None) -> str:
    beside, text = clip.with_suffix(".txt"), texts.get(Path(os.path.realpath(clip)))
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
