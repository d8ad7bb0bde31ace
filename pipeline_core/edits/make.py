"""Pair sets: every pair made once, whoever asks and whatever is killed; its row is written last."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..batch.clips import source_buffers
from ..batch.leases import claim, sweep
from ..batch.rows import DONE, FAILED
from ..doors import read_json
from ..errors import UserError
from ..job.plan import prepare
from ..video import media
from ..video.files import remove_unfinished, write_json
from ..video.frames import as_floats, resize, working_size
from .filter import VERSION, Judge, judged, read_rows, write_index
from .pairs import exact_pair, model_pair
from .plan import PairRecipe, PairTask

if TYPE_CHECKING:
    from ..batch.networks import Networks
    from ..models.folders.preset import Preset

_WAIT = 0.5  # seconds between two looks at what other runs do

Progress = Callable[[int, int], None]


def make_pairs(
    tasks: Sequence[PairTask],
    out: Path,
    recipe: PairRecipe,
    networks: Networks | Preset,
    judge: Judge | None = None,
    progress: Progress | None = None,
) -> list[dict]:
    """Make what is not there, judge it, write the index (`filter.write_index`), return the rows of the tasks.

    networks: what pairs are made by; for exact ones a preset, which gives size and length, is enough. Any number of
    runs may share `out`. progress(done, tasks) after each pair; cancel by raising in it.
    """
    waiting, done = list(tasks), 0
    while waiting:
        others = []
        for task in waiting:
            if not _is_there(out, task):
                lease = claim(out / "leases", task.name)
                if lease is None:
                    others.append(task)
                    continue
                try:
                    if not _is_there(out, task):
                        _make(task, out, recipe, networks, lease.touch)
                finally:
                    lease.release()
            if judge is not None:
                judged(out, task.file(out, "json"), judge)
            done += 1
            if progress is not None:
                progress(done, len(tasks))
        waiting = others
        if waiting:
            time.sleep(_WAIT)
    sweep(out / "leases")
    write_index(out)
    own = {task.name for task in tasks}
    return [row for row in read_rows(out) if row["id"] in own]


def _is_there(out: Path, task: PairTask) -> bool:
    try:
        row = read_json(task.file(out, "json"), "make it again")
    except UserError:
        return False
    clips = [task.file(out, f"{side}.mp4").is_file() for side in ("source", "edited")]
    return (
        row.get("version") == VERSION and row.get("hashes") == task.hashes and (row["status"] == FAILED or all(clips))
    )


def _make(
    task: PairTask, out: Path, recipe: PairRecipe, networks: Networks | Preset, touch: Callable[[], None]
) -> None:
    row = _new_row(task, recipe)
    paths = [task.file(out, f"{side}.mp4") for side in ("source", "edited")]
    task.file(out, "json").parent.mkdir(parents=True, exist_ok=True)
    task.file(out, "json").unlink(missing_ok=True)
    for path in paths:
        remove_unfinished(path)
    try:
        clips, info = _rendered(task, out, recipe, networks, touch)
        for path, frames in zip(paths, clips):
            # Full chroma: these are to be learned from.
            with media.VideoWriter(path, info.fps, tuple(frames.shape[1:3]), full_chroma=True) as file:
                file.write(frames)
        row |= {"status": DONE, "frames": len(clips[0]), "size": list(clips[0].shape[1:3]), "fps": float(info.fps)}
        row |= {side: path.relative_to(out).as_posix() for side, path in zip(("source", "edited"), paths)}
    except UserError as error:
        row["reason"] = str(error)
    write_json(task.file(out, "json"), row)


def _rendered(task: PairTask, out: Path, recipe: PairRecipe, networks: Networks | Preset, touch: Callable[[], None]):
    """((source, edit), what is known of the clip)."""
    info = media.probe(task.source.clip)
    buffers = source_buffers(task.source, out)
    preset = networks.model.preset if recipe.by == "model" else networks
    frames = min(recipe.frames or preset.window, preset.window, info.frames)
    frames -= (frames - 1) % preset.temporal_ratio
    size = working_size((info.height, info.width), preset.size, preset.spatial_ratio * 2)
    clip = torch.stack([as_floats(frame) for frame in media.read_frames(task.source.clip, 0, frames)])
    if recipe.by == "exact":
        return exact_pair(buffers, clip, size, task.triple.styles), info
    job = prepare(
        frames, (info.height, info.width), networks.model, recipe.settings.job(task.seed), buffers, networks.estimators,
        read=lambda: iter(clip),
    )  # fmt: skip
    return model_pair(job, resize(clip, job.work_size), task.triple, recipe.settings, touch), info


def _new_row(task: PairTask, recipe: PairRecipe) -> dict:
    return {
        "version": VERSION,
        "id": task.name,
        "status": FAILED,
        "reason": None,
        "by": recipe.by,
        "clip": os.path.abspath(task.source.clip),
        "source": None,
        "edited": None,
        **{"kind": "", "styles": None, **task.triple.to_dict()},
        "settings": asdict(recipe.settings) if recipe.by == "model" else {},
        "seed": task.seed,
        "frames": None,
        "size": None,
        "fps": None,
        "scores": None,
        "scored_by": None,
        "thresholds": None,
        "accepted": None,
        "hashes": task.hashes,
    }
