"""Two small pictures a result, made once: its middle frame and its worst one, each beside the source's."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...errors import UserError
from ...metrics.pictures import worst_frames
from ...metrics.structure import EdgeF1
from ...video import media
from ...video.files import atomic_file
from ...video.frames import as_floats, resize
from ..results import Results

FOLDER = "thumbnails"
WIDE = 192  # pixels of one frame at most
_CHUNK = 16
_WORST = re.compile(r".*\.worst-(\d+)\.jpg")


@dataclass(frozen=True)
class Thumbnails:
    """Paths below OUT: `middle` and `worst`, each the source left and the result right, and which frame is the worst;
    None where a clip cannot be read."""

    middle: str | None = None
    worst: str | None = None
    frame: int | None = None


def thumbnails_of(results: Results, row: dict) -> Thumbnails:
    """The row's thumbnails, made now where there are none or they are older than the row's clip.

    The worst frame is the one whose edges, at thumbnail size, agree least with the source's.
    """
    output, source = results.output_of(row), Path(str(row["input"].get("clip")))
    if output is None:
        return Thumbnails()
    name = f"{row['id']}.{row['variant']}"
    folder = results.out / FOLDER
    middle, worst = folder / f"{name}.jpg", _worst_of(folder, name)
    if middle.is_file() and middle.stat().st_mtime_ns >= output.stat().st_mtime_ns:
        return _named(middle, worst)
    try:
        pictures = _pictures(source, output)
    except (UserError, OSError):
        return Thumbnails()
    if worst is not None:
        worst.unlink(missing_ok=True)
    if pictures.worst is not None:
        worst = folder / f"{name}.worst-{pictures.frame:06d}.jpg"
        _save(worst, pictures.worst)
    _save(middle, pictures.middle)  # last: it says that both are there
    return _named(middle, None if pictures.worst is None else worst)


def _worst_of(folder: Path, name: str) -> Path | None:
    return next(iter(sorted(folder.glob(f"{glob.escape(name)}.worst-{'[0-9]' * 6}.jpg"))), None)


def _named(middle: Path, worst: Path | None) -> Thumbnails:
    number = None if worst is None else int(_WORST.fullmatch(worst.name)[1])
    return Thumbnails(f"{FOLDER}/{middle.name}", worst and f"{FOLDER}/{worst.name}", number)


@dataclass(frozen=True)
class _Pictures:
    """(H, 2 W, 3) in [0, 1], source left and result right; frame: number of the worst, None where none has edges."""

    middle: Tensor
    worst: Tensor | None
    frame: int | None


def _pictures(source: Path, output: Path) -> _Pictures:
    info = media.probe(output)
    size = max(1, round(info.height * min(1, WIDE / info.width))), min(WIDE, info.width)
    edges, lowest, first = EdgeF1(), None, 0
    middle = worst = None
    for before, after in _pairs(source, output, size):
        edges.update(after, before)
        here = edges.series["edge_f1"][first:]
        for t in worst_frames(here, count=1):
            if lowest is None or here[t] < lowest[0]:
                lowest, worst = (here[t], first + t), torch.cat([before[t], after[t]], 1)
        if first <= info.frames // 2 < first + len(after):
            at = info.frames // 2 - first
            middle = torch.cat([before[at], after[at]], 1)
        first += len(after)
    if middle is None:
        raise UserError(f"{source} is shorter than {output}: enhance it again.")
    return _Pictures(middle, worst, None if lowest is None else lowest[1])


def _pairs(source: Path, output: Path, size: tuple[int, int]) -> Iterator[tuple[Tensor, Tensor]]:
    """Chunks of both clips' frames (T, H, W, 3) at thumbnail size, while both have any."""
    held: list[tuple[Tensor, Tensor]] = []
    for pair in zip(media.read_frames(source), media.read_frames(output)):
        held.append(tuple(resize(as_floats(frame)[None], size)[0].clamp(0, 1) for frame in pair))
        if len(held) == _CHUNK:
            yield tuple(torch.stack(frames) for frames in zip(*held))
            held = []
    if held:
        yield tuple(torch.stack(frames) for frames in zip(*held))


def _save(path: Path, picture: Tensor) -> None:
    from PIL import Image

    with atomic_file(path) as unfinished:
        Image.fromarray((picture * 255).round().byte().numpy()).save(unfinished, "JPEG", quality=85)
