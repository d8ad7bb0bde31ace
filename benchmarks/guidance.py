"""Guidance on the embedded model: what each kind buys in realism and costs in fidelity, and where it is safe.

    python benchmarks/guidance.py --json benchmarks/results/guidance.json     the tables, on scenes 900000 and up
    python benchmarks/guidance.py --tune                                      what is tuned, on scenes 800000 to 800011

One window of 17 frames a scene, the preset's steps. `calls` are network evaluations of one clip, both passes. Frechet
distances are over few frames here: compare them inside this table only. `colours` counts lamps and vehicles together.
Plots: python benchmarks/plots.py.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

from benchmarks import common, guidance_promises  # noqa: E402
from benchmarks.guidance_tables import (  # noqa: E402
    calibration_rows,
    dial_rows,
    editing_rows,
    map_rows,
    matched_rows,
    mismatched_rows,
    tuning_rows,
)
from benchmarks.guided import open_bench  # noqa: E402
from pipeline_core.video.files import write_json  # noqa: E402

HELD_OUT, TUNING = range(900_000, 900_010), range(800_000, 800_012)
LOOKS = ("day", "dusk", "night", "rain", "fog")
TUNED = Path(__file__).with_name("guidance_tuned.json")
COLUMNS = ("table", "row", "psnr", "edge_f1", "lamps", "vehicles", "signs", "critic", "frechet", "lf_input", "calls")


def tune(scenes: int) -> None:
    """Measure the candidates on the tuning scenes and write down the best; the report reads them from there."""
    bench = open_bench(TUNING[:scenes])
    rows, tuned = tuning_rows(bench)
    common.print_table(rows, COLUMNS)
    write_json(TUNED, {"seeds": list(TUNING[:scenes]), **tuned})


def main() -> None:
    parser = common.parser(__doc__.split("\n")[0])
    parser.add_argument("--tune", action="store_true", help="tune on the tuning scenes and stop")
    parser.add_argument("--scenes", type=int, default=6, help="scenes, at most 10; the map uses two thirds of them")
    options = parser.parse_args()
    if options.tune:
        return tune(options.scenes)
    tuned = json.loads(TUNED.read_text())
    bench = open_bench(HELD_OUT[: options.scenes], LOOKS)
    few = bench.take(range(max(1, options.scenes * 2 // 3)))
    rows = [
        *matched_rows(bench),
        *mismatched_rows(bench),
        *calibration_rows(bench, tuned),
        *editing_rows(few),
        *map_rows(few),
        *dial_rows(few),
    ]
    common.finish(
        options.json,
        rows,
        COLUMNS,
        guidance_promises.promises(rows, tuned),
        seeds=list(HELD_OUT[: options.scenes]),
        scenes_of_map=len(few.clips),
        frames=bench.model.preset.window,
        preset=bench.model.preset.__dict__,
        tuned=tuned,
        bf16=bench.model.bf16,
        command="python benchmarks/guidance.py --json OUT.json",
    )


if __name__ == "__main__":
    main()
