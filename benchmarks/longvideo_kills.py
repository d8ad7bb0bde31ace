"""Kill the command at random moments and start it again: does it complete, and to the same file frame for frame?

    python benchmarks/longvideo_kills.py --json OUT.json

Renders a drive, runs `python -m pipeline_core enhance` on it once without interruption, then --kills times under
SIGKILL at a moment drawn from the whole of such a run, each followed by the same command left alone.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

from benchmarks import common  # noqa: E402
from pipeline_core.video import media  # noqa: E402
from pipeline_core.world import drive_scene, render  # noqa: E402

COLUMNS = ("kill", "after_s", "windows_kept", "output_there", "resumed_s", "same_frames")


def start(command: list[str]) -> subprocess.Popen:
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen) -> int:
    _, errors = process.communicate()
    if process.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"The command failed with {process.returncode}: {errors.strip()[-300:]}")
    return process.returncode


def main(arguments: list[str] | None = None) -> None:
    parser = common.parser(__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--frames", type=int, default=61)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--handover", default="none")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args(arguments)
    chance, rows = random.Random(options.seed), []
    with tempfile.TemporaryDirectory() as folder:
        source, whole = Path(folder) / "source.mp4", Path(folder) / "whole.mp4"
        media.write_clip(source, render(drive_scene(900_000, options.frames, 24.0), options.frames, (96, 160)).rgb, 24)
        command = [sys.executable, "-m", "pipeline_core", "enhance", str(source), "--steps", str(options.steps)]
        command += ["--start", "sdedit", "--handover", options.handover, "-o"]
        began = time.monotonic()
        finished(start([*command, str(whole)]))
        lasted, truth = time.monotonic() - began, media.read_clip(whole)
        print(f"{options.frames} frames in {lasted:.1f} s without interruption", flush=True)
        while len(rows) < options.kills:
            kill = len(rows)
            target, moment = Path(folder) / f"kill{kill}.mp4", chance.uniform(0.0, 1.0) * lasted
            process = start([*command, str(target)])
            try:
                process.wait(moment)
            except subprocess.TimeoutExpired:
                process.kill()
            if finished(process) == 0:
                target.unlink()
                continue  # it was done before its moment came
            windows = len(list(target.with_name(target.name + ".windows").glob("[0-9]*.safetensors")))
            there = target.exists()
            assert not there or bool((media.read_clip(target) == truth).all()), "an output that is there is whole"
            began = time.monotonic()
            finished(start([*command, str(target)]))
            clip = media.read_clip(target)
            same = clip.shape == truth.shape and bool((clip == truth).all())
            row = {"kill": kill, "after_s": moment, "windows_kept": windows, "output_there": there}
            rows.append({**row, "resumed_s": time.monotonic() - began, "same_frames": same})
            print(rows[-1], flush=True)
            left = [
                path.name for path in Path(folder).iterdir() if path.name.startswith((f".kill{kill}", f"kill{kill}"))
            ]
            assert left == [target.name], f"left beside the output: {left}"
    same = sum(row["same_frames"] for row in rows)
    promises = [common.Promise("killed runs that went on to the same frames", same, options.kills)]
    about = {name: getattr(options, name) for name in ("frames", "steps", "handover", "seed")}
    common.finish(options.json, rows, COLUMNS, promises, **about, uninterrupted_s=lasted)


if __name__ == "__main__":
    main()
