"""The clips of a folder, each with its name in the batch and the buffers that belong to it."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..conditions.buffers import MANIFEST as BUFFERS_MANIFEST
from ..conditions.buffers import Buffers, buffers_beside, open_buffers
from ..conditions.layouts import CHANNELS, camera_of, find_recording, kind_named
from ..conditions.pictures import is_video
from ..conditions.recordings import import_recording
from ..errors import UserError
from .leases import waited_for

_STAMP = "stamp.txt"  # in imported buffers: what they were made of
_CONTROL = re.compile(r"(seg|edges?|blur|vis|lidar|flow)(_|$)")  # videos beside those of depth and classes
_LONGEST = 120  # characters of an id: names of files made from it stay below the usual limit of 255 bytes


@dataclass(frozen=True)
class Source:
    """One clip of a batch.

    id: its path relative to the batch's folder, without suffix, "/" as "__", fit for a file's name, and no other
    clip's. buffers: a buffers folder, or a simulator's recording that the clip is a part of, or None. camera: which of
    the recording's cameras is the clip's, where it has several.
    """

    id: str
    clip: Path
    buffers: Path | None = None
    camera: str = ""


def find_clips(folder: str | os.PathLike, skip: str | os.PathLike | None = None) -> list[Source]:
    """Every clip below a folder, sorted by path.

    A clip's buffers are the folder CLIP_buffers beside it, or the recording whose depth, semantic or instance videos
    lie in its own folder; those videos are no clips. Hidden files and folders, buffers folders and `skip` (the batch's
    output) are not looked into. UserError for a folder that is none or holds no clip.
    """
    folder, skipped = Path(folder), None if skip is None else os.path.realpath(skip)
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: give the folder of the clips.")
    sources, taken = [], set()
    for clip, buffers, camera in _walk(folder, skipped):
        name = _id(clip.relative_to(folder))
        if name.casefold() in taken:
            name = f"{name}-{_digest(clip.relative_to(folder).as_posix())}"
        taken.add(name.casefold())
        sources.append(Source(name, clip, buffers, camera))
    if not sources:
        raise UserError(f"{folder} holds no clip (.mp4, .mkv, .mov, .avi, .webm): give the folder of the clips.")
    return sources


def _walk(folder: Path, skipped: str | None) -> Iterator[tuple[Path, Path | None, str]]:
    """(clip, its buffers or None, the camera) of a folder and those below."""
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    videos = [path for path in entries if is_video(path) and path.is_file()]
    clips = [path for path in videos if kind_named(path.stem.lower()) not in CHANNELS]
    if len(clips) < len(videos):
        clips = [path for path in clips if not _CONTROL.match(path.stem.lower())]
    for clip in clips or videos:
        beside = buffers_beside(clip)
        if beside.is_dir():
            yield clip, beside, ""
        elif clips and len(clips) < len(videos):
            yield clip, folder, camera_of(clip.stem) if len(clips) > 1 else ""
        else:
            yield clip, None, ""
    for path in entries:
        ours = (path / BUFFERS_MANIFEST).is_file() or path.name.endswith((".windows", "_buffers"))
        if path.is_dir() and not path.is_symlink() and not ours and os.path.realpath(path) != skipped:
            yield from _walk(path, skipped)


def _id(path: Path) -> str:
    name = "__".join((*path.parent.parts, path.stem))
    name = re.sub(r"[^\w.=+-]+", "_", unicodedata.normalize("NFC", name)).strip(". ") or "_"
    name = f"_{name}" if name[0] == "-" else name
    if len(name.encode()) > _LONGEST:
        name = f"{name.encode()[: _LONGEST - 9].decode(errors='ignore')}-{_digest(path.as_posix())}"
    return name


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:8]


def source_buffers(source: Source, out: Path) -> Buffers | None:
    """The clip's buffers, opened; a recording's are first made a buffers folder in the batch's folder `out`, unless
    they are there and the recording's files are as they were.

    UserError as `open_buffers`, `find_recording` and `import_recording`.
    """
    if source.buffers is None:
        return None
    if not is_recording(source):
        return open_buffers(source.buffers, source.clip)
    imported = imported_buffers(source, out)
    # Of all who want them one makes them.
    with waited_for(out / "leases", f"{source.id}.buffers") as lease:
        stamp, known = stamp_of(source, out), imported / _STAMP
        if not known.is_file() or known.read_text(encoding="utf-8") != stamp:
            _import(source, imported, lease.touch)
            known.write_text(stamp, encoding="utf-8")
    return open_buffers(imported, source.clip)


def is_recording(source: Source) -> bool:
    """Are the clip's buffers a simulator's own files, which have to be imported first."""
    own = source.buffers is None or source.buffers == buffers_beside(source.clip)
    return not own and not (source.buffers / BUFFERS_MANIFEST).is_file()


def imported_buffers(source: Source, out: Path) -> Path:
    """Where the buffers lie that are made of a recording."""
    return out / "buffers" / source.id


def _import(source: Source, target: Path, touch: Callable[[], None]) -> None:
    known = find_recording(source.buffers, source.camera)
    target.parent.mkdir(parents=True, exist_ok=True)
    import_recording(
        target, source.clip, known.depth, known.semantic, known.instance, known.depth_format, known.semantic_format,
        depth_scale=1.0 if known.depth_scale is None else known.depth_scale, instance_format=known.instance_format,
        progress=lambda *_: touch(),
    )  # fmt: skip


def files_of(source: Source, skip: str | os.PathLike | None = None) -> Iterator[tuple[str, Path]]:
    """(name, path) of the clip, whose own name does not count, and of every file of its buffers. skip: a folder that is
    no part of them (the batch's output, which may lie in a recording)."""
    yield "", source.clip
    for path in sorted(files_below(source.buffers, skip)) if source.buffers is not None else ():
        if path != source.clip:
            yield path.relative_to(source.buffers).as_posix(), path


def files_below(folder: Path, skip: str | os.PathLike | None = None) -> Iterator[Path]:
    """Every file in a folder and those below, without hidden ones and the folder `skip`."""
    skipped = None if skip is None else os.path.realpath(skip)
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name[0] != "." and os.path.realpath(Path(path) / name) != skipped]
        yield from (Path(path) / name for name in names if name[0] != ".")


def stamp_of(source: Source, skip: str | os.PathLike | None = None) -> str:
    """Names, sizes, times and places on the disk of the clip's files and its buffers', as one hash: tells without
    reading that they are the same. OSError for what is not there."""
    digest = hashlib.sha256(repr(source.camera).encode())
    for name, path in files_of(source, skip):
        status = path.stat()
        digest.update(repr((name, status.st_size, status.st_mtime_ns, status.st_ino)).encode(errors="surrogateescape"))
    return digest.hexdigest()
