"""A folder of short clips for a batch, some of them poison, and the workers that the poison works on.

Half of it is in the files: cut, empty, no video, the buffers of another clip, damaged ones. The other half only shows
inside a process, which `serve` makes happen by the clip's name: NaN frames, a full memory, a fault nobody thought of,
a process that is killed and one that hangs. As a script it is the command line with such workers:

    python benchmarks/poison.py enhance-folder IN OUT
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

IN_FILES = ("truncated", "empty", "text", "other_buffers", "cut_buffers")
IN_PROCESS = ("nan", "memory", "bug", "kill", "hang")
KINDS = (*IN_FILES, *IN_PROCESS)
SIZE, FRAMES = (32, 48), 5
RECIPE = "recipe.yaml"
LOG = "POISON_LOG"  # names a file that gets a line whenever a clip is begun and whenever it is finished


def make_folder(
    folder: Path,
    count: int,
    kinds: tuple[str, ...] = KINDS,
    seed: int = 900_000,
    buffers: bool = True,
    size: tuple[int, int] = SIZE,
    frames: int = FRAMES,
) -> None:
    """`count` clips clip_000.mp4 ..., every tenth with buffers, and one poison_KIND.mp4 for each kind instead of the
    last ones. buffers: False leaves them out. Beside them lies a recipe without a gate, for two steps of a small model
    make nothing that is good."""
    from pipeline_core.conditions.buffers import write_buffers
    from pipeline_core.video import media
    from pipeline_core.world import make_scene, render

    folder.mkdir(parents=True)
    (folder / RECIPE).write_text("gate: false\n")
    scene = render(make_scene(seed), frames, size)
    names = [f"clip_{index:03d}" for index in range(count - len(kinds))] + [f"poison_{kind}" for kind in kinds]
    for index, name in enumerate(names):
        clip = folder / f"{name}.mp4"
        noise = torch.rand((frames, *size, 3), generator=torch.Generator().manual_seed(seed + index))
        media.write_clip(clip, (0.8 * scene.rgb + 0.2 * noise).clamp(0, 1), 12.5)
        if buffers and ((name.startswith("clip") and index % 10 == 0) or name.endswith("buffers")):
            write_buffers(folder / f"{name}_buffers", clip, scene)
    for kind in kinds:
        _spoil(folder / f"poison_{kind}.mp4", kind)


def _spoil(clip: Path, kind: str) -> None:
    buffers = clip.with_name(f"{clip.stem}_buffers")
    if kind == "truncated":
        clip.write_bytes(clip.read_bytes()[:-200])
    elif kind == "empty":
        clip.write_bytes(b"")
    elif kind == "text":
        clip.write_text("no video")
    elif kind == "other_buffers":
        shutil.rmtree(buffers)
        shutil.copytree(clip.parent / "clip_000_buffers", buffers)
    elif kind == "cut_buffers":
        picture = buffers / "depth" / "000003.png"
        picture.write_bytes(picture.read_bytes()[:50])


def note(line: str) -> None:
    """Append to the file that LOG names."""
    if LOG in os.environ:
        with open(os.environ[LOG], "a") as file:
            file.write(f"{line}\n")


def serve(*arguments) -> None:
    """`worker.serve`, in which the clips of IN_PROCESS do their harm."""
    from pipeline_core.batch import networks, worker
    from pipeline_core.job import files

    enhance_file, frames_of = networks.enhance_file, files.frames_of

    def spoiled(facts, *positional, **named):
        kind = facts.path.stem.removeprefix("poison_")
        if kind == "memory":
            raise MemoryError
        if kind == "bug":
            raise KeyError("nobody thought of this")
        if kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "hang":
            time.sleep(3600)
        note(f"begun {facts.path.stem}")
        return enhance_file(facts, *positional, **named)

    def frames(facts, *positional) -> Iterator[torch.Tensor]:
        for frame in frames_of(facts, *positional):
            yield torch.full(frame.shape, torch.nan) if facts.path.stem == "poison_nan" else frame

    networks.enhance_file, files.frames_of = spoiled, frames
    worker.serve(*arguments)


def run() -> int:
    """The command line with such workers, which notes what is finished."""
    from pipeline_core.__main__ import main
    from pipeline_core.batch import board
    from pipeline_core.cli import enhance_folder

    write_row = board.write_row

    def noted(out, task, row) -> None:
        write_row(out, task, row)
        note(f"finished {task.source.id}")

    board.write_row = noted
    enhance_folder.local_slots = functools.partial(enhance_folder.local_slots, target=serve)
    return main()


if __name__ == "__main__":
    from benchmarks import poison
    from pipeline_core.cli.waiting import wait_passively

    wait_passively()
    sys.exit(poison.run())
