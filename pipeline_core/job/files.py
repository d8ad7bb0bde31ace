"""A job from file to file: frames streamed in and out, finished windows kept beside the output until that is whole."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from ..conditions.estimated import Estimators
from ..longvideo import ChunkFolder, Finished
from ..video import media
from ..video.facts import ClipFacts, frames_of
from .plan import prepare
from .progress import Progress
from .run import run
from .settings import EnhanceSettings

if TYPE_CHECKING:
    from ..conditions.buffers import Buffers
    from ..models.networks.video_model import VideoModel


def windows_folder(target: Path) -> Path:
    """Where the finished windows of a job rest until its output is whole."""
    return target.with_name(f"{target.name}.windows")


def enhance_file(
    facts: ClipFacts,
    target: Path,
    model: VideoModel,
    settings: EnhanceSettings,
    buffers: Buffers | None,
    estimators: Estimators = Estimators(),
    keep_windows: bool = False,
    accept_damaged: bool = False,
    keep: Tensor | None = None,
    say: Callable[[str], None] = lambda line: None,
    progress: Progress | None = None,
    window_kept: Callable[[], None] = lambda: None,
) -> dict:
    """Stream a file through the job; returns the report as plain data.

    facts: of the source, whose times, sound and colour tags the target gets. accept_damaged: a source that shrinks
    meanwhile is filled up with its last frame, and that is noted; UserError otherwise.
    Finished windows rest in the folder TARGET.windows until the target is whole, or for good with keep_windows: run
    again after a kill or a cancel, and with the same source and settings, the job goes on from there. keep: a mask of
    pixels that stay the source's own, see `prepare`. say: gets the plan and the notes, line by line, for a person.
    window_kept: called whenever a window was computed and kept; what it raises ends the job between two windows.
    """
    info, source = facts.info, facts.path
    read = partial(frames_of, facts, accept_damaged)
    job = prepare(info.frames, facts.size, model, settings, buffers, estimators, read, keep=keep)
    job.report.notes.extend(facts.said())
    said = _say_notes(job.report.notes, say)
    for warning in job.report.warnings:
        say(f"warning: {warning}")
    plan = job.report.plan
    say(
        f"{info.frames} frames of {info.width}x{info.height} in {len(plan['windows'])} windows of "
        f"{plan['window']} frames, {plan['compute_factor']:.2f} x the frames computed"
    )
    chunks = _Watched(windows_folder(target), {"input": str(source), **job.report.to_dict()}, window_kept)
    if chunks.count:
        say(f"{chunks.count} windows of an earlier run are there; those of the same source and settings are kept")
    with media.VideoWriter(target, info.fps, facts.size, like=facts, lenient=accept_damaged) as out:
        job.report.notes.extend(out.notes)
        for frame in run(job, read(), progress, chunks):
            out.write(frame)
    _say_notes(job.report.notes[said:], say)
    if not keep_windows and not chunks.remove():
        say(f"note: {chunks.folder} was left, for something else is in it.")
    return {
        "input": str(source),
        "output": str(target),
        "frames": info.frames,
        "fps": str(info.fps),
        "size": [info.height, info.width],
        "sound": out.sound,
        "damage": facts.damage,
        "precision": "bf16" if model.bf16 else "fp32",
        **job.report.to_dict(),
    }


class _Watched(ChunkFolder):
    """Finished windows, somebody being called after each."""

    def __init__(self, folder: Path, about: dict, window_kept: Callable[[], None]):
        super().__init__(folder, about)
        self._window_kept = window_kept

    def save(self, index: int, finished: Finished) -> None:
        super().save(index, finished)
        self._window_kept()


def _say_notes(notes: list[str], say: Callable[[str], None]) -> int:
    """The notes, line by line; returns how many there are."""
    for note in notes:
        say(f"note: {note}")
    return len(notes)
