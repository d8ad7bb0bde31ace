"""How often the host waits for the device while a clip is enhanced: on the pretend device, which needs no GPU.

    python benchmarks/footprint.py --json OUT.json

Rows: every start, and every hand-over of an inversion, of the embedded model on a small drive of two windows. `reads`
are values and tensors that the host fetches, `uploads` what it sends and waits for, `calls` network calls; `per call`
is everything but what a window's maps read before its first step, `per step more` what one more step of a pass adds,
divided by its calls.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]  # the pretend device is a test helper

from pretend_device import NAME, PretendDevice  # noqa: E402

from benchmarks.common import Promise, finish, parser  # noqa: E402
from pipeline_core.conditions.estimated import Estimators  # noqa: E402
from pipeline_core.enhance import EnhanceSettings, enhance  # noqa: E402
from pipeline_core.job.table import HANDOVERS, STARTS  # noqa: E402
from pipeline_core.models import load_video_model  # noqa: E402
from pipeline_core.world import drive_scene, render  # noqa: E402

SEED, SIZE, FRAMES, STEPS = 900_003, (32, 48), 13, (3, 4)
COLUMNS = ("row", "calls", "reads", "uploads", "map reads", "per call", "per step more", "uploads per step")
MAPS = ("conditions/", "longvideo/motion.py", "job/delivery.py")
EXTRA = {"inversion, mean, cfg 3": {"cfg": 3.0}, "inversion, mean, cache .1": {"cache": 0.1}}


def still(frames):
    """A flow estimator that needs no package."""
    return frames.new_zeros(*frames.shape[:3], 2)


def measure(device: PretendDevice, model, clip, **settings) -> dict:
    """One row: enhance with the first and the second of STEPS."""
    counts = []
    for steps in STEPS:
        calls = 0

        def count(*_) -> None:
            nonlocal calls
            calls += 1

        handle = model.transformer.patch_embed.register_forward_hook(count)
        device.clear()
        enhance(clip, model, EnhanceSettings(steps=steps, **settings), estimators=Estimators(flow=still))
        handle.remove()
        maps = sum(any(place in read.where for place in MAPS) for read in device.reads)
        counts.append((calls, len(device.reads) - maps, maps, len(device.uploads)))
    (calls, reads, maps, uploads), (more_calls, more_reads, _, more_uploads) = counts
    return {
        "calls": calls,
        "reads": reads,
        "uploads": uploads,
        "map reads": maps,
        "per call": reads / calls,
        "per step more": (more_reads - reads) / (more_calls - calls),
        "uploads per step": (more_uploads - uploads) / (more_calls - calls),
    }


def main() -> None:
    options = parser(__doc__.split("\n")[0]).parse_args()
    clip = render(drive_scene(SEED, FRAMES, 24.0), range(FRAMES), SIZE, "synthetic").rgb
    pairs = [*((start, "none") for start in STARTS), *(("inversion", name) for name in HANDOVERS if name != "none")]
    jobs = {f"{start}, {handover}": {"start": start, "handover": handover} for start, handover in pairs}
    jobs |= {name: {"start": "inversion", "handover": "mean", **more} for name, more in EXTRA.items()}
    rows = []
    with PretendDevice() as device:
        model = load_video_model(device=NAME, precision="fp32")
        model = replace(model, preset=replace(model.preset, window=9, overlap=5, size=SIZE))
        for name, settings in jobs.items():
            rows.append({"row": name, **measure(device, model, clip.to(NAME), **settings)})
    plain = [row["per step more"] for row in rows if "cache" not in row["row"]]
    promises = [
        Promise("host reads a network call", max(row["per step more"] for row in rows), 2, at_least=False),
        Promise("host reads a network call without the step cache", max(plain), 1, at_least=False),
        Promise("uploads a network call", max(row["uploads per step"] for row in rows), 0, at_least=False),
    ]
    finish(options.json, rows, COLUMNS, promises, seed=SEED, size=SIZE, frames=FRAMES, steps=STEPS)


if __name__ == "__main__":
    main()
