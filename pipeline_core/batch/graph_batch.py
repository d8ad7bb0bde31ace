"""A batch whose results come from outside, one at a time, as a graph in ComfyUI makes them: the same folder, rows and
leases as enhance-folder's."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..conditions.buffers import Buffers, fingerprint
from ..doors import read_json
from ..errors import UserError, shown
from ..perception.captions import LOOKS
from ..video import media
from ..video.facts import examine
from ..video.files import write_json
from ..video.frames import resize
from .clips import Source, find_clips, source_buffers
from .export.scenes import check_shape
from .gate import Verdict
from .hashes import code_hash, hash_of_values, input_of
from .judging import Gate
from .leases import Lease, claim
from .plan import MANIFEST, make_folder
from .quarantine import put_away
from .recipe import NAME, Variant
from .rows import DONE, FAILED, INPUT, REJECTED, VERSION, Task, failed_row, new_row, read_row, write_row

_AGAIN = "queue the graph again with retry_failed on"


@dataclass(frozen=True)
class Piece:
    """A clip to work on, claimed: its task, its lease, its buffers and its frames (T, H, W, 3) in [0, 1]."""

    task: Task
    lease: Lease
    buffers: Buffers | None
    frames: Tensor


@dataclass(frozen=True)
class GraphBatch:
    """The clips of `folder`, whose results of one variant go to `out`. See `open_batch`."""

    folder: Path
    out: Path
    variant: str
    sources: list[Source]

    def task(self, source: Source) -> Task:
        """A clip's task; what its result was made of is hashed when it is worked on. A variant that is called as a look
        is of that look."""
        name, _, draw = self.variant.rpartition("-")
        return Task(source, Variant(self.variant, {}, name if name in LOOKS else None, int(draw), 0), {})

    def counts(self) -> dict[str, int]:
        """How many clips are done, rejected, failed and left."""
        rows = [read_row(self.out, self.task(source)) for source in self.sources]
        statuses = [row["status"] if row else "left" for row in rows]
        return {status: statuses.count(status) for status in (DONE, REJECTED, FAILED, "left")}

    def next_piece(self, most_frames: int = 0, retry_failed: bool = False) -> Piece | None:
        """The first clip without a result that nobody works on, claimed and read; None where there is none.

        A clip that cannot be read becomes a failure and the next one is taken. most_frames: how many of its first
        frames are read, 0 for all. retry_failed: clips that failed are taken too.
        """
        for task in self._wanted(retry_failed):
            lease = claim(self.out / "leases", task.name)
            if lease is None:
                continue
            if self._is_wanted(task, retry_failed):  # else done between the look and the claim
                try:
                    return self._read(task, lease, most_frames)
                except UserError as reason:
                    self.fail(task, str(reason))
                except BaseException:
                    lease.release()
                    raise
            lease.release()
        return None

    def _wanted(self, retry_failed: bool) -> list[Task]:
        """Tasks without a result; those that failed come last, the longest ago first."""
        tasks = [task for task in map(self.task, self.sources) if self._is_wanted(task, retry_failed)]
        rows = {task.name: task.row(self.out) for task in tasks}
        return sorted(tasks, key=lambda task: rows[task.name].stat().st_mtime_ns if rows[task.name].is_file() else 0)

    def _is_wanted(self, task: Task, retry_failed: bool) -> bool:
        row = read_row(self.out, task)
        return row is None or (retry_failed and row["status"] == FAILED)

    def _read(self, task: Task, lease: Lease, most_frames: int) -> Piece:
        facts = examine(task.source.clip)
        facts.refuse_damage("")
        buffers = source_buffers(task.source, self.out)
        frames = media.read_clip(task.source.clip, 0, most_frames or None)
        return Piece(task, lease, buffers, frames)

    def fail(self, task: Task, reason: str) -> None:
        """Note that the clip could not be worked on, as a row and in the quarantine, unless there is a result of it."""
        if not self._is_wanted(task, retry_failed=True):
            return
        row = failed_row(task, 1, reason, INPUT)
        put_away(self.out, task, row, _AGAIN)
        write_row(self.out, task, row)

    def save(
        self,
        task: Task,
        frames: Tensor,
        graph: object,
        figures: dict[str, float],
        accepted: bool,
        gate: Gate | None = None,
    ) -> dict:
        """Write a result and its row, which is returned.

        frames: (T, H, W, 3) in [0, 1], the clip's first T, whole and in its shape. graph: what made them, as plain
        data. figures: what the graph measured. accepted: what it says itself; the gate may reject the result too.
        UserError for frames that the labels of the clip's buffers would not fit.
        """
        info = media.probe(task.source.clip)
        size = tuple(frames.shape[1:3])
        if len(frames) > info.frames:
            raise UserError(
                f"{len(frames)} images came for {task.source.clip}, which has {info.frames} frames: give one a frame."
            )
        check_shape(size, (info.height, info.width), "What is to be saved")
        buffers = source_buffers(task.source, self.out)
        hashes = {"input": input_of(task.source, self.out).hash, "settings": hash_of_values(graph), "model": None}
        row = new_row(Task(task.source, task.variant, {**hashes, "code": code_hash()}), 1)
        unfinished = task.unfinished(self.out)
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        media.write_clip(unfinished, frames, info.fps)
        measured, verdict = {}, Verdict(())
        if gate is not None:
            judged = self._at_source_size(task, frames, info)
            measured, verdict = gate.judged(task.source.clip, judged, buffers, [], task.variant.look, len(frames))
        seeds, good = _seeds(graph), accepted and verdict.accepted
        row |= {"status": DONE if good else REJECTED, "model": "ComfyUI graph", "settings": {"graph": graph}}
        row |= {"frames": len(frames), "size": list(size), "fps": float(info.fps), "figures": {**figures, **measured}}
        row |= {"output": task.output(self.out).relative_to(self.out).as_posix()}
        row["seed"] = seeds[0] if len(seeds) == 1 else None
        row["reason"] = verdict.reason if accepted else "The graph did not accept it."
        row["verdict"] = {**verdict.to_dict(), "accepted": good}
        row["input"]["buffers"] = None if buffers is None else str(buffers.folder.absolute())
        row["timings"] = {"saved": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        row["hashes"]["output"] = fingerprint(unfinished)
        write_row(self.out, task, row)
        return row

    def _at_source_size(self, task: Task, frames: Tensor, info: media.VideoInfo) -> Path:
        """Where the unfinished result is to be judged: a copy at the clip's size where it has another."""
        if tuple(frames.shape[1:3]) == (info.height, info.width):
            return task.unfinished(self.out)
        path = task.trial(self.out, 0)
        media.write_clip(path, resize(frames, (info.height, info.width)), info.fps)
        return path


def open_batch(folder: Path, out: Path, name: str, draw: int) -> GraphBatch:
    """The batch of a folder's clips in `out`, for results called NAME-DRAW; its manifest is written or added to.

    UserError for a folder without clips, a name that is none, and an `out` that holds something else.
    """
    if not NAME.fullmatch(name):
        raise UserError(f"The variant {shown(name)} is no name: use small letters, figures, - and _, at most 40.")
    batch = GraphBatch(folder, out, f"{name}-{draw}", find_clips(folder, out))
    path, source = make_folder(out) / MANIFEST, os.path.abspath(folder)
    manifest = {"version": VERSION, "input": source, "recipe": {}, "networks": {}, "hashes": {}, "clips": []}
    if path.is_file():
        manifest = read_json(path, "name another folder for the results")
        if manifest.get("version") != VERSION or manifest.get("input") != source:
            raise UserError(f"{out} holds results of other clips than {folder}: name another folder for the results.")
    known = {clip["id"] for clip in manifest["clips"]}
    fresh = [_entry(folder, source) for source in batch.sources if source.id not in known]
    if fresh or not path.is_file():
        write_json(path, {**manifest, "clips": [*manifest["clips"], *fresh]})
    return batch


def _entry(folder: Path, source: Source) -> dict:
    buffers = None if source.buffers is None else source.buffers.relative_to(folder).as_posix()
    return {"id": source.id, "clip": source.clip.relative_to(folder).as_posix(), "buffers": buffers, "hash": None}


def _seeds(graph: object) -> list[int]:
    """The different numbers that stand as seeds of a graph's nodes."""
    nodes = graph.values() if isinstance(graph, dict) else ()
    inputs = [node.get("inputs", {}) for node in nodes if isinstance(node, dict)]
    seeds = {held[name] for held in inputs for name in ("seed", "noise_seed") if isinstance(held.get(name), int)}
    return sorted(seeds)


def pictures(buffers: Buffers, channel: str, frames: int) -> Tensor | None:
    """A channel's first pictures as a graph loads them, (T, H, W, 3) in [0, 1], codes exact; None without it."""
    if channel not in buffers.channels:
        return None
    codes = (torch.from_numpy(buffers.picture(channel, t).copy()) for t in range(frames))
    return torch.stack(list(codes)).float() / 255
