"""How much longer does `enhance` take beside other busy processes than alone, and what does its threads' waiting cost?

    python benchmarks/busy.py --json benchmarks/results/busy.json

Renders a drive and runs `python -m pipeline_core enhance` on it with the embedded model: alone, and beside --busy
processes that compute without end, all of them on --cores cores. "passive" is the command as it is; "spinning" is the
waiting that torch's OpenMP has by itself, "brief" a three hundredth of it. Times are wall-clock seconds of the whole
command, the least of --repeats. Nothing else may run on the machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipeline_core.cli.waiting import SETTINGS, wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

from benchmarks import common  # noqa: E402
from pipeline_core.video import media  # noqa: E402
from pipeline_core.world import drive_scene, render  # noqa: E402

COLUMNS = ("waiting", "alone_s", "busy_s", "ratio")
# GNU's runtime spins this often where nothing is set; saying so keeps the command from its own choice.
WAITING = {"passive": {}, "brief": {"GOMP_SPINCOUNT": "1000"}, "spinning": {"GOMP_SPINCOUNT": "300000"}}
SCENE = 900_000


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """`count` processes that compute until the block ends."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def seconds(command: list[str], waiting: dict[str, str], repeats: int) -> float:
    """The least wall-clock time of the command in an environment that sets no waiting but this."""
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS} | waiting
    times = []
    for _ in range(repeats):
        began = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        times.append(time.monotonic() - began)
        if done.returncode:
            raise SystemExit(f"The command failed with {done.returncode}: {done.stderr.strip()[-300:]}")
    return min(times)


def main(arguments: list[str] | None = None) -> None:
    parser = common.parser(__doc__.split("\n")[0])
    parser.add_argument("--busy", type=int, default=2, help="other processes")
    parser.add_argument("--cores", type=int, default=2, help="cores that all of them share, where they can be chosen")
    parser.add_argument("--frames", type=int, default=17)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--waiting", nargs="+", choices=WAITING, default=list(WAITING))
    options = parser.parse_args(arguments)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "source.mp4", Path(folder) / "target.mp4"
        clip = render(drive_scene(SCENE, options.frames, 24.0), options.frames, (96, 160))
        media.write_clip(source, clip.rgb, 24)
        command = [sys.executable, "-m", "pipeline_core", "enhance", str(source), "-o", str(target)]
        command += ["--steps", str(options.steps)]
        for name in options.waiting:
            alone = seconds(command, WAITING[name], options.repeats)
            with busy_processes(options.busy):
                busy = seconds(command, WAITING[name], options.repeats)
            rows[name] = {"waiting": name, "alone_s": alone, "busy_s": busy, "ratio": busy / alone}
            print(rows[name], flush=True)
    alone = {name: row["alone_s"] for name, row in rows.items()}
    passive = rows.get("passive", {}).get("ratio")
    cost = alone["passive"] / alone["spinning"] if {"passive", "spinning"} <= alone.keys() else None
    promises = [
        common.Promise(f"beside {options.busy} busy processes, times alone", passive, 4.0, at_least=False),
        common.Promise("alone, passive against spinning", cost, 1.1, at_least=False),
    ]
    about = {name: getattr(options, name) for name in ("busy", "cores", "frames", "steps", "repeats")}
    common.finish(options.json, list(rows.values()), COLUMNS, promises, scene=SCENE, **about)


if __name__ == "__main__":
    main()
