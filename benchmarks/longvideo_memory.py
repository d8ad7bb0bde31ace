"""Peak memory and time per frame against the length of the file.

    python benchmarks/longvideo_memory.py --json OUT.json
    python benchmarks/longvideo_memory.py --size 1080x1920 --frames 240 --json OUT.json

Each length is a process of its own, the command line on a file without buffers; the peak is what the operating system
says of that process (RSS), `peaks_mb` what it was when a quarter, half, three quarters and all of the frames were
written; the time is its processor time, taken while frames are written: the first half of a file against the second.
Model steps add nothing to memory, so they are few here. At least 72 frames.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

import torch  # noqa: E402

from benchmarks import common  # noqa: E402
from pipeline_core.video import media  # noqa: E402

COLUMNS = ("frames", "handover", "peaks_mb", "peak_mb", "seconds_per_frame", "first_half", "second_half")
GROWTH_TARGET, SLOWER_TARGET = 1.10, 1.10
STRIDE = 12  # frames that a window of the embedded model adds


def moving(frames: int, size: tuple[int, int]) -> Iterator[torch.Tensor]:
    """A picture wider than the frame, passing by; it comes round again and again."""
    generator = torch.Generator().manual_seed(0)
    small = torch.rand(1, 3, size[0] // 8, 200, generator=generator)
    planes = torch.nn.functional.interpolate(small, size=(size[0], max(1600, 2 * size[1])), mode="bilinear")[0]
    wide = planes.movedim(0, -1)
    for t in range(frames):
        yield wide.roll(-2 * t, 1)[:, : size[1]]


def child(source: str, target: str, handover: str, steps: str) -> None:
    """In a process of its own: the command, then its peak memory and the time at which each half was done."""
    from pipeline_core.cli import enhance

    frames, began, written, peaks = media.probe(source).frames, time.process_time(), [], []
    whole = media.VideoWriter.write

    def write(self, picture) -> None:
        whole(self, picture)
        written.append(time.process_time() - began)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)

    media.VideoWriter.write = write
    from pipeline_core.__main__ import main as command

    command_line = ["enhance", source, "-o", target, "--steps", steps, "--start", "sdedit", "--handover", handover]
    assert enhance and command(command_line) == 0
    assert media.probe(target).frames == frames
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    # Frames come out a window's step at a time: compared are moments at the same place in that.
    first, last = 2 * STRIDE, (frames // STRIDE - 2) * STRIDE
    middle = (first + last) // (2 * STRIDE) * STRIDE
    halves = [(written[b] - written[a]) / (b - a) for a, b in ((first, middle), (middle, last), (first, last))]
    print("FIGURES", peak, *halves, *(peaks[frames * quarter // 4 - 1] for quarter in range(1, 5)))


def measured(frames: int, handover: str, steps: int, size: tuple[int, int], folder: Path) -> dict:
    source, target = folder / f"{frames}.mp4", folder / f"{frames}_out.mp4"
    if not source.exists():
        media.write_clip(source, moving(frames, size), 24)
    command = [sys.executable, __file__, "--child", str(source), str(target), handover, str(steps)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=dict(os.environ))
    if done.returncode:
        raise SystemExit(f"{frames} frames failed: {done.stderr.strip()[-500:]}")
    line = next(line for line in done.stdout.splitlines() if line.startswith("FIGURES"))
    values = [float(value) for value in line.split()[1:]]
    figures = dict(zip(("peak_mb", "first_half", "second_half", "seconds_per_frame"), values))
    return {"frames": frames, "handover": handover, **figures, "peaks_mb": [round(peak) for peak in values[4:]]}


def main(arguments: list[str] | None = None) -> None:
    parser = common.parser(__doc__.split("\n")[0])
    parser.add_argument("--frames", type=int, nargs="+", default=[300, 2000])
    parser.add_argument("--handover", nargs="+", default=["none"])
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--size", default="96x160")
    parser.add_argument("--child", nargs=4, help="(for its own use)")
    options = parser.parse_args(arguments)
    if options.child:
        child(*options.child)
        return
    size = tuple(int(side) for side in options.size.split("x"))
    promises, rows = [], []
    with tempfile.TemporaryDirectory() as folder:
        for handover in options.handover:
            measurements = [measured(n, handover, options.steps, size, Path(folder)) for n in options.frames]
            rows += measurements
            short, long = measurements[0], measurements[-1]
            name = f"{long['frames']} frames against {short['frames']} (handover {handover})"
            columns = (("peak_mb", GROWTH_TARGET), ("seconds_per_frame", SLOWER_TARGET)) if long is not short else ()
            for column, target in columns:
                growth = long[column] / short[column]
                promises.append(common.Promise(f"{column}, {name}", growth, target, at_least=False))
            grown = long["peaks_mb"][3] / long["peaks_mb"][1]
            of = f"{long['frames']} frames (handover {handover})"
            promises.append(common.Promise(f"peak at the end against half-way, {of}", grown, GROWTH_TARGET, False))
            later = long["second_half"] / long["first_half"]
            promises.append(common.Promise(f"second half against first, {of}", later, SLOWER_TARGET, False))
    common.finish(options.json, rows, COLUMNS, promises, steps=options.steps, size=size)


if __name__ == "__main__":
    main()
