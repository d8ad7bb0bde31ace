"""Long clips by the edit model: chunks on their own, InsV2V's LVSC, the same along the motion; from fresh noise, as
published, and from the clip's own.

    python benchmarks/edits_long.py --json benchmarks/results/edits_long.json     2 scenes of 97 frames, 900030 and up
    python benchmarks/edits_long.py --frames 961 --scenes 1 --rows 1,3 --json OUT.json     forty seconds, some rows
    python benchmarks/edits_long.py --tune                                        tuning scenes, 800070 and up

Columns are those of benchmarks/longvideo.py, whose rows rest in the same place: what was measured is not measured
again. The edit is from the synthetic clip to a real one by day, whose exact render is the twin.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

from benchmarks import common  # noqa: E402
from benchmarks.longvideo import COLUMNS, FPS, Method, Row, Scene, figures_of, windowed  # noqa: E402
from pipeline_core.job.settings import edit_settings  # noqa: E402
from pipeline_core.models.folders.loading import edit_folder, load_video_model  # noqa: E402

HELD_OUT, TUNING = 900_030, 800_070
INSTRUCTION = "make it look real"
LVSC = {"anchor": 0.0, "handover_share": 0.5}  # as published: the first half of the steps, nothing faded out
FRESH = {"start": "noise"}
APART, MOTION = "fresh noise, independent chunks", "fresh noise, LVSC, motion-compensated"
METHODS = {
    APART: Method({**FRESH, "handover": "none"}, windowed),
    "fresh noise, LVSC": Method({**FRESH, **LVSC, "handover": "mean"}, windowed),
    MOTION: Method({**FRESH, **LVSC, "handover": "motion"}, windowed),
    "own noise, independent chunks": Method({"handover": "none"}, windowed),
    "own noise, LVSC, motion-compensated": Method({**LVSC, "handover": "motion"}, windowed),
    "own noise, crossfaded": Method({"handover": "none"}, windowed, cuts=False),
    "own noise, motion at all steps, anchored, crossfaded": Method({"handover": "motion"}, windowed, cuts=False),
}
TARGET = 0.7  # of the independent chunks' error at seams


def main(arguments: list[str] | None = None) -> None:
    parser = common.parser(__doc__.split("\n")[0])
    parser.add_argument("--scenes", type=int, default=2)
    parser.add_argument("--frames", type=int, default=97)
    parser.add_argument("--overlap", type=int, default=5, help="pixel frames that neighbouring windows share at least")
    parser.add_argument("--rows", default="", help="numbers of rows with commas; default: all")
    parser.add_argument("--steps", type=int, help="default: the preset's")
    parser.add_argument("--tune", action="store_true", help="on the tuning scenes")
    options = parser.parse_args(arguments)
    first = TUNING if options.tune else HELD_OUT
    model = load_video_model(edit_folder())
    settings = edit_settings(INSTRUCTION, model.preset, {"steps": options.steps})
    numbers = [int(number) for number in options.rows.split(",") if number]
    methods = {name: each for number, (name, each) in enumerate(METHODS.items(), 1) if number in numbers or not numbers}
    rows = {name: Row(name) for name in methods}
    for seed in range(first, first + options.scenes):
        scene = Scene(seed, options.frames)  # rendered when a row first asks for it
        for name, method in methods.items():
            rows[name].scenes.append(figures_of(name, method, model, settings, scene, options.overlap))
            print(f"{seed}, {name}: {rows[name].scenes[-1]['at_seams']:.3f} at seams", flush=True)
    table = [row.figures() for row in rows.values()]
    by_name = {row["row"]: row for row in table}
    promises = []
    if {MOTION, APART} <= by_name.keys():
        share = by_name[MOTION]["at_seams"] / by_name[APART]["at_seams"]
        promises = [
            common.Promise("LVSC along the motion: error at seams, of independent chunks'", share, TARGET, False)
        ]
    about = {"seeds": list(range(first, first + options.scenes)), "frames": options.frames, "fps": FPS}
    common.finish(options.json, table, COLUMNS, promises, **about, overlap=options.overlap, settings=settings.to_dict())


if __name__ == "__main__":
    main()
