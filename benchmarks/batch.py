"""Many clips, some of them poison: is everything done once, whatever is killed, and what does the running cost?

    python benchmarks/batch.py --json OUT.json

Four times the same folder of short clips, ten of them poison in ten ways (benchmarks/poison.py): left alone; the whole
run under SIGKILL at random moments, then left alone; two runs started at once; and, the good clips only, with one and
with two processes, beside `enhance` in a loop.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

from benchmarks import common, poison  # noqa: E402
from pipeline_core.batch.networks import NetworkChoice, load_networks  # noqa: E402
from pipeline_core.job.files import enhance_file  # noqa: E402
from pipeline_core.job.settings import EnhanceSettings  # noqa: E402
from pipeline_core.video.facts import examine  # noqa: E402

COLUMNS = ("run", "done", "failed", "sentences", "begun_again", "finished_again", "seconds")
SETTINGS = {"start": "noise", "steps": 2}


def command(folder: Path, out: Path, options, workers: int) -> list[str]:
    arguments = ["enhance-folder", folder, out, "--recipe", folder / poison.RECIPE, "--workers", workers]
    arguments += ["--retries", 1, "--timeout", options.timeout]
    arguments += [part for name, value in SETTINGS.items() for part in (f"--{name}", value)]
    arguments += ["--model", options.model] if options.model else []
    return [sys.executable, str(ROOT / "benchmarks" / "poison.py"), *map(str, arguments)]


def start(folder: Path, out: Path, options, workers: int) -> subprocess.Popen:
    environment = {**os.environ, poison.LOG: str(out.with_suffix(".log"))}
    with out.with_suffix(".said").open("ab") as said:
        return subprocess.Popen(
            command(folder, out, options, workers), env=environment, stdout=said, stderr=said, start_new_session=True
        )


def outcome(run: str, out: Path, begun: float) -> dict:
    """What stands on the disk, and how often each good clip was begun and finished more than once."""
    rows = [json.loads(path.read_text()) for path in out.glob("clips/*/*.json")]
    lines = [json.loads(line) for line in (out / "quarantine.jsonl").read_text().splitlines()]
    counts = Counter(out.with_suffix(".log").read_text().splitlines())
    again = {
        word: sum(count - 1 for name, count in counts.items() if name.startswith(f"{word} clip"))
        for word in ("begun", "finished")
    }
    left = [path for path in out.rglob("*") if path.name.startswith(".") or path.parent.name == "leases"]
    assert not left, f"left behind: {left}"
    return {
        "run": run,
        "done": sum(row["status"] == "done" for row in rows),
        "failed": sum(row["status"] == "failed" for row in rows),
        "sentences": len({line["id"] for line in lines if line["reason"].endswith(".")}),
        "begun_again": again["begun"],
        "finished_again": again["finished"],
        "seconds": time.monotonic() - begun,
    }


def left_alone(folder: Path, out: Path, options) -> dict:
    begun = time.monotonic()
    start(folder, out, options, options.workers).wait()
    return outcome("left alone", out, begun)


def killed(folder: Path, out: Path, options, lasted: float) -> dict:
    """Killed at moments spread over the length of a whole run, process group and all; then left alone."""
    chance, begun = random.Random(options.seed), time.monotonic()
    for _ in range(options.kills):
        process = start(folder, out, options, options.workers)
        try:
            process.wait(chance.uniform(0.0, 2.0) * lasted / options.kills)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    start(folder, out, options, options.workers).wait()
    return outcome(f"{options.kills} kills", out, begun)


def two_at_once(folder: Path, out: Path, options) -> dict:
    begun = time.monotonic()
    runs = [start(folder, out, options, 1) for _ in range(2)]
    for process in runs:
        process.wait()
    return outcome("two at once", out, begun)


def pace(folder: Path, out: Path, options, workers: int) -> float:
    """Seconds a clip, from the first finished one to the last: without the start of the processes."""
    start(folder, out, options, workers).wait()
    times = sorted(path.stat().st_mtime for path in out.glob("clips/*/*.json"))
    return (times[-1] - times[0]) / (len(times) - 1)


def enhanced_alone(folder: Path, target: Path, options) -> float:
    """Seconds a clip of `enhance` in a loop, with the model loaded once, as many threads as one process of a batch."""
    networks = load_networks(NetworkChoice(model=options.model))
    begun, clips = time.monotonic(), sorted(folder.glob("*.mp4"))
    for clip in clips:
        enhance_file(examine(clip), target, networks.model, EnhanceSettings(**SETTINGS), None)
    return (time.monotonic() - begun) / len(clips)


def main(arguments: list[str] | None = None) -> None:
    parser = common.parser(__doc__.split("\n")[0])
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=60.0, help="until the clip that hangs is given up")
    parser.add_argument("--model", help="default: the embedded model")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args(arguments)
    good, bad = options.clips - len(poison.KINDS), len(poison.KINDS)
    with tempfile.TemporaryDirectory() as name:
        folder, plain = Path(name) / "in", Path(name) / "plain"
        poison.make_folder(folder, options.clips)
        poison.make_folder(plain, max(10, options.clips // 5), (), buffers=False)
        rows = [left_alone(folder, Path(name) / "alone", options)]
        print(rows[-1], flush=True)
        rows.append(killed(folder, Path(name) / "killed", options, rows[0]["seconds"]))
        print(rows[-1], flush=True)
        rows.append(two_at_once(folder, Path(name) / "two", options))
        print(rows[-1], flush=True)
        paces = {workers: pace(plain, Path(name) / f"pace{workers}", options, workers) for workers in (1, 2)}
        alone = enhanced_alone(plain, Path(name) / "target.mp4", options)
    promises = [
        common.Promise(f"{row['run']}: {what}", row[key], target, at_least)
        for row in rows
        for what, key, target, at_least in (
            ("good clips done", "done", good, True),
            ("poison in quarantine, a sentence each", "sentences", bad, True),
            ("clips finished twice", "finished_again", 0, False),
        )
    ]
    promises += [
        common.Promise(
            "clips begun again, of all kills", rows[1]["begun_again"], options.kills * options.workers, False
        ),
        common.Promise("throughput of two processes, times that of one", paces[1] / paces[2], 1.6),
        common.Promise("overhead a clip over enhance", paces[1] / alone - 1, 0.05, False),
    ]
    about = {name: getattr(options, name) for name in ("clips", "kills", "workers", "seed", "model")}
    about |= {"settings": SETTINGS, "seconds_a_clip": {**paces, "enhance": alone}}
    common.finish(options.json, rows, COLUMNS, promises, **about)


if __name__ == "__main__":
    main()
