"""What a second pass at the clip's own size gives on the embedded model: nearness to the twin, sharpness, flicker.

    python benchmarks/refine.py --json benchmarks/results/refine.json

Tuning scenes only (800000 and up), in daylight, at twice the model's size: the pass is off by default, and its figures
are why. Columns as in benchmarks/detail.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import common  # noqa: E402
from benchmarks.detail import SIZE, TUNING, figures  # noqa: E402
from pipeline_core.enhance import EnhanceSettings, enhance  # noqa: E402
from pipeline_core.models import load_video_model  # noqa: E402
from pipeline_core.world import RenderedBuffers, make_scene, render_styles  # noqa: E402

FRAMES, FACTOR = 9, 2
SHARES = (0.0, 0.1, 0.2, 0.35)
COLUMNS = ("refine", "psnr", "sharpness", "twin_sharpness", "flicker")


def rows_of_scene(model, seed: int) -> list[dict]:
    size = tuple(FACTOR * side for side in SIZE)
    renders = render_styles(make_scene(seed), FRAMES, size, ("synthetic", "photoreal.day"))
    source, twin = renders["synthetic"], renders["photoreal.day"]
    rows = []
    for share in SHARES:
        result, _ = enhance(source.rgb, model, EnhanceSettings(refine=share), RenderedBuffers(source))
        rows.append({"seed": seed, "refine": share, **figures(result, source, twin)})
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = common.parser(__doc__.split("\n")[0])
    parser.add_argument("--scenes", type=int, default=1, help="how many of the tuning scenes")
    options = parser.parse_args()
    model = load_video_model(precision="fp32")
    each = [row for seed in TUNING[: options.scenes] for row in rows_of_scene(model, seed)]
    rows = []
    for share in SHARES:
        alike = [row for row in each if row["refine"] == share]
        rows.append({name: sum(row[name] for row in alike) / len(alike) for name in COLUMNS})
    common.finish(options.json, rows, COLUMNS, [], seeds=list(TUNING[: options.scenes]), frames=FRAMES, factor=FACTOR)


if __name__ == "__main__":
    main()
