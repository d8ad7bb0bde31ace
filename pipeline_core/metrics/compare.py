"""All metrics of one output at once, on files or on frames in memory: the source it was made from, its buffers
and its twin where there are any."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from ..conditions.buffers import Buffers
from ..errors import UserError
from ..video import media
from ..video.lengths import missing_bytes
from .base import as_planes, check_frames
from .extras import Extras
from .realism import Critic
from .suite import Suite

Progress = Callable[[int, int], None]

_CHUNK, _CHUNK_PIXELS = 16, 1 << 22  # frames, and pixels, in memory per clip


def _chunk_frames(height: int, width: int) -> int:
    return max(1, min(_CHUNK, _CHUNK_PIXELS // max(1, height * width)))


def file_chunks(path: str | os.PathLike, stop: int | None = None) -> Iterator[Tensor]:
    """The clip, or its first `stop` frames, as float (T, H, W, 3) chunks in [0, 1], laid out as `as_planes` does."""
    held: list[Tensor] = []
    for frame in media.read_frames(path, 0, stop):
        held.append(frame)
        if len(held) == _chunk_frames(*frame.shape[:2]):
            yield _to_floats(held)
            held = []
    if held:
        yield _to_floats(held)


def _to_floats(frames: list[Tensor]) -> Tensor:
    planes = torch.empty(len(frames), 3, *frames[0].shape[:2])
    for plane, frame in zip(planes, frames):
        # Turned as bytes first: a copy that turns and converts at once is many times slower.
        plane.copy_(frame.permute(2, 0, 1).contiguous())
    return planes.div_(255).movedim(1, -1)


def read_ahead(chunks: Iterator[Tensor], count: int = 1) -> Iterator[Tensor]:
    """The same chunks, made in a thread of their own that is at most `count` chunks ahead."""
    ready: queue.Queue = queue.Queue(count)
    stopped = threading.Event()

    def put(item) -> bool:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for chunk in chunks:
                if not put((chunk, None)):
                    return
            put((None, None))
        except BaseException as error:  # raised again where the chunks are used
            put((None, error))

    thread = threading.Thread(target=work, name="read ahead", daemon=True)
    thread.start()
    try:
        while True:
            chunk, error = ready.get()
            if error is not None:
                raise error
            if chunk is None:
                return
            yield chunk
    finally:
        stopped.set()
        thread.join()


def compare(
    source: str | os.PathLike,
    output: str | os.PathLike,
    buffers: Buffers | None = None,
    reference: str | os.PathLike | None = None,
    critic: Critic | None = None,
    progress: Progress = lambda done, total: None,
    extras: Extras = Extras(),
    about: Mapping | None = None,
) -> dict:
    """Measure an output clip in one pass and constant memory; returns a report (see `report.collect`, and
    `Suite.report` for its "lost" and "frames").

    source: the clip it was made from; buffers: the source's, for the figures of objects and motion;
    reference: the photoreal twin or another clip the output should look like; critic: see `realism`; extras: what
    the slower and model-based figures need, see `Extras`; about: what else the report is to say of itself.
    `progress(done, total)` is called with frame counts after every chunk. What cannot be measured without
    one of them is undefined and says so. Raises UserError for clips that cannot be read or differ in frames
    or size.
    """
    clips = {"source": source, "output": output}
    if reference is not None:
        clips["reference"] = reference
    infos = {name: media.probe(path) for name, path in clips.items()}
    for name, info in infos.items():
        if info.missing or missing_bytes(clips[name]):
            raise UserError(f"The {name} {clips[name]} is cut: its header announces more than there is; give it whole.")
    if buffers is not None:
        infos["buffers folder"] = buffers
    if extras.output_buffers is not None:
        infos["buffers folder of the output"] = extras.output_buffers
    total = _check_sizes({name: (info.frames, info.height, info.width) for name, info in infos.items()})
    about = {**{name: str(path) for name, path in clips.items()}, **(about or {})}
    if buffers is not None:
        about["buffers"] = str(buffers.folder)
    streams = [read_ahead(file_chunks(path)) for path in clips.values()]
    # PyTorch's threads wait for each other: one that shares its core with the decoding holds up all of them.
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads - 1))
    try:
        return _measure(streams, total, buffers, critic, progress, extras, about)
    finally:
        torch.set_num_threads(threads)
        for stream in streams:
            stream.close()


def compare_frames(
    source: Tensor,
    output: Tensor,
    reference: Tensor | None = None,
    critic: Critic | None = None,
    progress: Progress = lambda done, total: None,
    buffers: Buffers | None = None,
    extras: Extras = Extras(),
    about: Mapping | None = None,
) -> dict:
    """`compare` for clips in memory, (T, H, W, 3) in [0, 1]; the same figures. `buffers` may be any object with the
    interface of `Buffers`, such as `world.RenderedBuffers`.

    Raises UserError for clips that are empty or differ in frames or size, and for values outside [0, 1].
    """
    clips = {"source": source, "output": output}
    if reference is not None:
        clips["reference"] = reference
    for name, clip in clips.items():
        check_frames(clip[:0], name)  # the shape; the values are checked chunk by chunk
    sizes = {name: tuple(clip.shape[:3]) for name, clip in clips.items()}
    for name, held in (("buffers", buffers), ("buffers of the output", extras.output_buffers)):
        if held is not None:
            sizes[name] = (held.frames, held.height, held.width)
    total = _check_sizes(sizes)
    if total == 0:
        raise UserError("The output has no frames: give clips with at least one frame.")
    step = _chunk_frames(*output.shape[1:3])
    parts = [map(as_planes, clip.split(step)) for clip in clips.values()]
    return _measure(parts, total, buffers, critic, progress, extras, dict(about or {}))


def _measure(
    clips: list[Iterator[Tensor]],
    total: int,
    buffers: Buffers | None,
    critic: Critic | None,
    progress: Progress,
    extras: Extras,
    about: dict,
) -> dict:
    """One pass over the chunks of source, output and, if there is one, reference."""
    if extras.joints is not None and len(extras.joints.boxes) != total:
        raise UserError(
            f"The joints are of {len(extras.joints.boxes)} frames and the output has {total}: give those of its source."
        )
    suite, done = Suite(buffers, len(clips) == 3, critic, extras), 0
    for source, output, *rest in zip(*clips):
        done = suite.update(source, output, rest[0] if rest else None)
        progress(done, total)
    if done != total:
        raise UserError(f"Only {done} of {total} frames could be decoded: give clips that play to their end.")
    return suite.report(**({"seams": list(extras.seams)} if extras.seams else {}), **about)


def _check_sizes(sizes: dict[str, tuple[int, int, int]]) -> int:
    """The number of frames, after making sure that all (frames, height, width) agree with the output's."""
    frames, height, width = sizes["output"]
    for name, size in sizes.items():
        if size != (frames, height, width):
            raise UserError(
                f"The {name} has {size[0]} frames of {size[1]}x{size[2]} and the output "
                f"{frames} of {height}x{width}: give clips of the same number and size of frames."
            )
    return frames
