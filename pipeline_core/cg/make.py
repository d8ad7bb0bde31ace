"""Clips of the studio in a folder: each whole or not there, known by a row that is written last.

metadata.jsonl          Hugging Face's video folder: a line for every clip
KIND/NAME.mp4           the clip; NAME_buffers beside it where buffers are wanted
truth/NAME/             row.json; joints.json (COCO), cameras/ (COLMAP), alpha/ (pictures)
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import torch

from ..conditions.buffers import BuffersWriter
from ..conditions.encodings import MOST_FLOW
from ..doors import read_json
from ..errors import UserError
from ..video import media
from ..video.files import atomic_folder, write_json, write_text
from ..world.studio.captions import TAG, stage_captions
from ..world.studio.motions import MOTIONS
from ..world.studio.render import Take, render_stage
from ..world.studio.stage import BACKDROPS, Stage, make_stage
from .formats import coco_keypoints, write_alpha, write_colmap

VERSION = 1
ROW, METADATA = "row.json", "metadata.jsonl"


@dataclass(frozen=True)
class CgSettings:
    """What decides a clip beside its kind and seed; see `make_stage` and `render_stage`. tag: whether its caption says
    that it is rendered (`captions.TAG`); buffers: whether a simulator's buffers are written beside it."""

    frames: int = 49
    fps: float = 24.0
    size: tuple[int, int] = (96, 160)
    style: str = "synthetic"
    quality: str = "high"
    assets: str = "high"
    motions: tuple[str, ...] = tuple(MOTIONS)
    sweep: float | None = None
    tag: bool = False
    buffers: bool = False

    def mark(self) -> str:
        """Hash that tells settings apart."""
        return sha256(json.dumps([VERSION, asdict(self)]).encode()).hexdigest()[:16]


def clip_name(kind: str, seed: int, settings: CgSettings) -> str:
    """The name of a clip's files."""
    return f"{kind}_{settings.style}_{seed:06d}"


def make_clips(
    out: Path, kinds: tuple[str, ...], seeds: range, settings: CgSettings, progress: Callable[[int, int], None]
) -> list[dict]:
    """Render what is not there yet, write metadata.jsonl; returns the rows of the clips that were asked for.

    A clip with the row of other settings is rendered anew. Stopped in between, what is finished stays.
    """
    rows, total = [], len(kinds) * len(seeds)
    try:
        for seed in seeds:
            for kind in kinds:
                rows.append(_known(out, kind, seed, settings) or make_clip(out, kind, seed, settings))
                progress(len(rows), total)
    finally:
        write_metadata(out)
    return rows


def _known(out: Path, kind: str, seed: int, settings: CgSettings) -> dict | None:
    path = out / "truth" / clip_name(kind, seed, settings) / ROW
    if not path.is_file():
        return None
    row = read_json(path, "delete it to render its clip again")
    return row if row.get("settings") == settings.mark() and (out / str(row.get("file_name"))).is_file() else None


def make_clip(out: Path, kind: str, seed: int, settings: CgSettings) -> dict:
    """Render a clip with all of its truth; the row, which is its line of metadata.jsonl too, comes last."""
    name = clip_name(kind, seed, settings)
    stage = make_stage(
        seed, kind, settings.frames, settings.fps, settings.assets, settings.motions, settings.sweep
    )  # fmt: skip
    take = render_stage(stage, None, settings.size, settings.style, settings.quality)
    clip, truth = out / kind / f"{name}.mp4", out / "truth" / name
    buffers = clip.with_name(f"{name}_buffers")
    for folder in (truth, buffers):  # of other settings, or of a run that was killed
        shutil.rmtree(folder, ignore_errors=True)
    for folder in (clip.parent, truth):
        folder.mkdir(parents=True, exist_ok=True)
    row = _row(stage, take, settings, name)
    # At full chroma: at these sizes 4:2:0 costs a saturated picture more than ten decibels.
    media.write_clip(clip, take.rgb, settings.fps, full_chroma=True)
    with atomic_folder(truth / "cameras") as folder:
        write_colmap(folder, take.camera, take.depth, take.rgb)
    if row["joints"]:
        joints = coco_keypoints(take.keypoints, take.joints, take.instances, settings.size)
        write_json(out / row["joints"], joints, indent=None)
    if take.alpha is not None:
        with atomic_folder(truth / "alpha") as folder:
            write_alpha(folder, take.alpha)
    if settings.buffers:
        about = {"seed": seed, "style": settings.style, "fps": settings.fps, "caption": row["text"],
                 "description": row["brief"], "objects": row["objects"], "cameras": take.camera.matrices()}  # fmt: skip
        with BuffersWriter(buffers, clip, about) as beside:
            far = take.flow.abs().amax(-1, keepdim=True) > MOST_FLOW  # a fast turn's: the pictures cannot hold it
            flow = torch.where(far, torch.nan, take.flow)
            beside.append(take.depth, take.classes, take.instances, flow)
    write_json(truth / ROW, row)
    return row


def _row(stage: Stage, take: Take, settings: CgSettings, name: str) -> dict:
    captions = stage_captions(stage, settings.style)
    height, width = settings.size
    return {
        "file_name": f"{stage.kind}/{name}.mp4",
        "text": f"{TAG}, {captions['fine']}" if settings.tag else captions["fine"],
        "brief": captions["brief"],
        "source": settings.style.partition(".")[0],
        "kind": stage.kind, "style": settings.style, "seed": stage.seed, "quality": settings.quality,
        "assets": settings.assets, "frames": len(take.rgb), "fps": settings.fps, "height": height, "width": width,
        "camera": stage.path.phrase(),
        "motions": [entry["motion"] for entry in stage.objects if "motion" in entry],
        "joints": f"truth/{name}/joints.json" if take.keypoints else "",
        "cameras": f"truth/{name}/cameras",
        "alpha": f"truth/{name}/alpha" if take.alpha is not None else "",
        "background": list(BACKDROPS[stage.backdrop]) if stage.backdrop else [],
        "objects": list(stage.objects),
        "settings": settings.mark(),
    }  # fmt: skip


def read_rows(out: Path) -> Iterator[dict]:
    """The rows of all finished clips of a folder, by name. UserError for one that is damaged."""
    for path in sorted((out / "truth").glob(f"*/{ROW}")):
        yield read_json(path, "delete it to render its clip again")


def write_metadata(out: Path) -> None:
    """metadata.jsonl of the rows that are there. `objects` and what else differs in form stays in the rows."""
    lines = [{key: value for key, value in row.items() if key not in ("objects", "settings")} for row in read_rows(out)]
    write_text(out / METADATA, "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines))


def check_folder(out: Path) -> None:
    """UserError for a folder that holds something else than such clips."""
    if out.is_dir() and any(out.iterdir()) and not (out / "truth").is_dir():
        raise UserError(f"{out} holds something else than rendered clips: give a new or empty folder.")
