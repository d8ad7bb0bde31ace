"""Many clips, some of them poison: is everything done once, whatever is killed, and what does the running cost?

    python benchmarks/batch.py --json OUT.json                       all parts
    python benchmarks/batch.py --json OUT.json --parts pace          one part; the rows of the others stay

Parts alone, kills and two take the same folder of short clips, ten of them poison in ten ways (benchmarks/poison.py):
left alone; the whole run under SIGKILL at random moments, then left alone; two runs started at once. Part pace takes
good clips only, in turn with `enhance` in a loop, with one process, with one process of one thread, and with two. It
needs an otherwise quiet machine; what is counted in the other parts does not.
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

from benchmarks import common, poison  # noqa: E402
from pipeline_core.batch.hashes import code_hash, hash_of_values  # noqa: E402
from pipeline_core.batch.networks import NetworkChoice, load_networks  # noqa: E402
from pipeline_core.job.files import enhance_file  # noqa: E402
from pipeline_core.job.settings import EnhanceSettings  # noqa: E402
from pipeline_core.video.facts import examine  # noqa: E402

COLUMNS = ("run", "clips", "done", "failed", "sentences", "kills", "begun_again", "finished_again", "outputs",
           "seconds", "seconds_a_clip")  # fmt: skip
COUNTED = {"steps": 1, "start": "noise"}  # as little work as a clip can be
PACED = {"steps": 8, "start": "noise"}
PACED_SIZE, PACED_FRAMES = (64, 96), 17
ENHANCE, ONE, ONE_THREAD, TWO = "enhance in a loop", "one process", "one process of one thread", "two processes"


def start(folder: Path, out: Path, options, workers: int, settings: dict, **environment) -> subprocess.Popen:
    arguments = ["enhance-folder", folder, out, "--recipe", folder / poison.RECIPE, "--workers", workers]
    arguments += ["--retries", 1, "--timeout", options.timeout]
    arguments += [part for name, value in settings.items() for part in (f"--{name}", value)]
    arguments += ["--model", options.model] if options.model else []
    command = [sys.executable, str(ROOT / "benchmarks" / "poison.py"), *map(str, arguments)]
    environment = {**os.environ, poison.LOG: str(out.with_suffix(".log")), **environment}
    with out.with_suffix(".said").open("ab") as said:
        return subprocess.Popen(command, env=environment, stdout=said, stderr=said, start_new_session=True)


def outcome(run: str, out: Path, begun: float, kills: int = 0) -> dict:
    """What stands on the disk, and how often good clips were begun and finished more than once. outputs: one hash over
    those of all results."""
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
        "clips": len(rows),
        "done": sum(row["status"] == "done" for row in rows),
        "failed": sum(row["status"] == "failed" for row in rows),
        "sentences": len({line["id"] for line in lines if line["reason"].endswith(".")}),
        "kills": kills,
        "begun_again": again["begun"],
        "finished_again": again["finished"],
        "outputs": hash_of_values(sorted((row["id"], row["hashes"]["output"]) for row in rows))[:12],
        "seconds": time.monotonic() - begun,
    }


def alone(folder: Path, options) -> Iterator[dict]:
    poison.make_folder(folder / "in", options.clips)
    begun = time.monotonic()
    start(folder / "in", folder / "out", options, options.workers, COUNTED).wait()
    yield outcome("left alone", folder / "out", begun)


def kills(folder: Path, options) -> Iterator[dict]:
    """Killed at random moments, process group and all, until that was done `--kills` times; then left alone. Moments
    count from the first clip that a start begins, but every fifth one from the start itself, to hit that too."""
    poison.make_folder(folder / "in", options.clips)
    chance, begun, count, out = random.Random(options.seed), time.monotonic(), 0, folder / "out"
    while count < options.kills:
        before = lines_of(out)
        process = start(folder / "in", out, options, options.workers, COUNTED)
        while count % 5 and process.poll() is None and lines_of(out) == before:
            time.sleep(0.02)
        try:
            process.wait(chance.uniform(0.0, 2.0 * options.between))
            break  # everything was done before its moment came
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            count += 1
    start(folder / "in", out, options, options.workers, COUNTED).wait()
    yield outcome("killed", out, begun, count)


def lines_of(out: Path) -> int:
    """How often a clip was begun or finished so far."""
    log = out.with_suffix(".log")
    return log.read_text().count("\n") if log.is_file() else 0


def two(folder: Path, options) -> Iterator[dict]:
    poison.make_folder(folder / "in", options.clips)
    begun = time.monotonic()
    runs = [start(folder / "in", folder / "out", options, 1, COUNTED) for _ in range(2)]
    for process in runs:
        process.wait()
    yield outcome("two runs at once", folder / "out", begun)


def pace(folder: Path, options) -> Iterator[dict]:
    """Every way in turn, so that what else the machine does meets all of them."""
    poison.make_folder(folder / "in", options.paced, (), buffers=False, size=PACED_SIZE, frames=PACED_FRAMES)
    networks = load_networks(NetworkChoice(model=options.model))
    ways: dict[str, Callable[[Path], float]] = {
        ENHANCE: lambda _: looped(folder / "in", folder / "target.mp4", networks),
        ONE: lambda out: paced(folder / "in", out, options, 1),
        ONE_THREAD: lambda out: paced(folder / "in", out, options, 1, OMP_NUM_THREADS="1"),
        TWO: lambda out: paced(folder / "in", out, options, 2),
    }
    for turn in range(options.turns):
        for number, (run, way) in enumerate(ways.items()):
            yield {"run": run, "clips": options.paced, "seconds_a_clip": way(folder / f"out{turn}{number}")}


def paced(folder: Path, out: Path, options, workers: int, **environment) -> float:
    """Seconds a clip, from when every process has finished its first one to the end: no process is started then."""
    start(folder, out, options, workers, PACED, **environment).wait()
    times = sorted(path.stat().st_mtime for path in out.glob("clips/*/*.json"))
    return (times[-1] - times[workers - 1]) / (len(times) - workers)


def looped(folder: Path, target: Path, networks) -> float:
    """Seconds a clip of `enhance` in a loop, after a first one, on as many threads as one process of a batch."""
    for place, clip in enumerate(sorted(folder.glob("*.mp4"))):
        if place == 1:
            begun = time.monotonic()
        enhance_file(examine(clip), target, networks.model, EnhanceSettings(**PACED), None)
    return (time.monotonic() - begun) / place


PARTS = {"alone": alone, "kills": kills, "two": two, "pace": pace}


def promises(rows: list[dict], options) -> list[common.Promise]:
    counted = [row for row in rows if "done" in row]
    good, bad = options.clips - len(poison.KINDS), len(poison.KINDS)
    found = [
        common.Promise(f"{row['run']}: {what}", row[key], target, at_least)
        for row in counted
        for what, key, target, at_least in (
            ("good clips done", "done", good, True),
            ("poison in quarantine, a sentence each", "sentences", bad, True),
            ("clips finished twice", "finished_again", 0, False),
            ("clips begun again", "begun_again", row["kills"] * options.workers, False),
        )
    ]
    if len(counted) > 1:
        found.append(common.Promise("different sets of outputs", len({row["outputs"] for row in counted}), 1, False))
    seconds = {
        run: statistics.median(row["seconds_a_clip"] for row in rows if row["run"] == run)
        for run in {row["run"] for row in rows if "seconds_a_clip" in row}
    }
    if seconds:
        found += [
            common.Promise("throughput of two processes, times that of one", seconds[ONE] / seconds[TWO], 1.6),
            common.Promise("times that of one of one thread", seconds[ONE_THREAD] / seconds[TWO], 1.6),
            common.Promise("overhead a clip over enhance", seconds[ONE] / seconds[ENHANCE] - 1, 0.05, False),
        ]
    return found


def earlier_rows(path: Path | None, about: dict) -> list[dict]:
    """Rows that the file has already; SystemExit where they were made with other settings."""
    if path is None or not path.is_file():
        return []
    earlier = json.loads(path.read_text())
    others = [name for name, value in about.items() if earlier["about"].get(name, value) != value]
    if others:
        raise SystemExit(f"{path} holds parts with another {others[0]}; give another --json, or the same settings.")
    return earlier["rows"]


def main(arguments: list[str] | None = None) -> None:
    parser = common.parser(__doc__.split("\n")[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--between", type=float, default=8.0, help="seconds of work between two kills, in the mean")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=30.0, help="until the clip that hangs is given up")
    parser.add_argument("--paced", type=int, default=12, help="clips of part pace, for every way and turn")
    parser.add_argument("--turns", type=int, default=2, help="of all ways of part pace")
    parser.add_argument("--model", help="default: the embedded model")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args(arguments)
    about = {name: getattr(options, name) for name in ("clips", "kills", "between", "workers", "seed", "model")}
    rows = [row for row in earlier_rows(options.json, about) if row["part"] not in options.parts]
    about |= {"settings": COUNTED, "pace_settings": PACED, "pace_size": [PACED_FRAMES, *PACED_SIZE]}
    for part in options.parts:
        with tempfile.TemporaryDirectory() as name:
            for row in PARTS[part](Path(name), options):
                print(row, flush=True)
                rows.append({"part": part, **row, "code": code_hash()[:12]})
        common.finish(options.json, rows, COLUMNS, promises(rows, options), **about)


if __name__ == "__main__":
    main()
