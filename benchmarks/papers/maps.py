"""Control maps: exact, made worse in steps, and estimated from the frames where there are networks for it.

    python benchmarks/papers/maps.py --json benchmarks/results/papers/maps.json

The small world, a small model; the default job, the maps in both passes. 2511.14719
estimates its maps from the frames and never measures what their errors cost. `fit` is what could be known before a run:
how much more often than by chance the outlines of depth and classes lie on edges of the clip.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

import torch  # noqa: E402

from benchmarks.guided import Bench, Clip, exact_maps  # noqa: E402
from benchmarks.papers import table  # noqa: E402
from benchmarks.papers.degraded import Maps, blurred, fit, holed, late, misnamed, noisy  # noqa: E402
from benchmarks.papers.table import Claim, Make, Output  # noqa: E402
from pipeline_core.conditions.estimated import Estimators  # noqa: E402
from pipeline_core.conditions.maps import window_maps  # noqa: E402
from pipeline_core.conditions.stack import CONTROLS  # noqa: E402
from pipeline_core.job.settings import EnhanceSettings  # noqa: E402
from pipeline_core.perception.estimators import estimated_limits, load_estimators  # noqa: E402
from pipeline_core.perception.own import own_folder  # noqa: E402

EXACT, ESTIMATED = "exact", "estimated from the frames"
Change = Callable[[Maps, Clip], Maps]


def row(change: Change) -> Make:
    def make(bench: Bench) -> Output:
        maps = [change(exact_maps(clip.source), clip) for clip in bench.clips]
        hints = {name: torch.cat([bench.model.encode_hint(each[name]) for each in maps]) for name in CONTROLS}
        other = replace(bench, hints=hints, inversions={}, calls=0)
        latents = other.job(EnhanceSettings())
        bench.calls += other.calls
        return Output(latents, more={"fit": [fit(*each) for each in zip(maps, (c.source.rgb for c in bench.clips))]})

    return make


def without(bench: Bench) -> Output:
    return Output(bench.job(EnhanceSettings(controls={})))


def drawn(change: Callable, amount: float) -> Make:
    """A change with draws of the scene's own seed."""
    return row(lambda maps, clip: change(maps, amount, clip.scene.seed))


@lru_cache(maxsize=1)
def estimators() -> Estimators:
    """The world's own networks."""
    return load_estimators(own_folder("depth"), own_folder("segmentation"))


def estimated(maps: Maps, clip: Clip) -> Maps:
    frames = clip.source.rgb
    limits = estimated_limits(estimators().depth, frames)
    return window_maps(CONTROLS, frames, 0, None, estimators(), limits)


def rows() -> dict[str, Make]:
    rows = {EXACT: row(lambda maps, clip: maps)}
    if own_folder("depth") and own_folder("segmentation"):
        rows[ESTIMATED] = row(estimated)
    rows |= {f"noise {share:g}": drawn(noisy, share) for share in (0.1, 0.2, 0.4)}
    rows |= {f"holes in {share:.0%}": drawn(holed, share) for share in (0.1, 0.3, 0.6)}
    rows |= {f"blur of {sigma:g} px": row(lambda maps, clip, s=sigma: blurred(maps, s)) for sigma in (1.0, 2.0, 4.0)}
    rows |= {f"wrong names for {share:.0%}": drawn(misnamed, share) for share in (0.25, 0.5, 1.0)}
    rows |= {f"late by {count} frames": row(lambda maps, clip, n=count: late(maps, n)) for count in (1, 2, 4)}
    return rows | {"none": without}


ROWS = rows()
TABLE = table.Table(
    name="maps",
    title="Errors of the control maps",
    rows=ROWS,
    base=EXACT,
    frames=9,
    columns=("fit", *table.PLAIN),
    paper={ESTIMATED: "all its results are on such maps"} if ESTIMATED in ROWS else {},
    claims=(
        *([Claim("Estimated maps are within 1 dB of exact ones", "psnr", ESTIMATED, EXACT, -1.0)]
          if ESTIMATED in ROWS else []),
        Claim("Noise of .4 costs more than 1 dB", "psnr", EXACT, "noise 0.4", 1.0),
        Claim("Holes in 60 % cost more than 1 dB", "psnr", EXACT, "holes in 60%", 1.0),
        Claim("A blur of 4 px costs more than 1 dB", "psnr", EXACT, "blur of 4 px", 1.0),
        Claim("Wrong names for all classes cost more than 1 dB", "psnr", EXACT, "wrong names for 100%", 1.0),
        Claim("Maps 4 frames late cost more than 1 dB", "psnr", EXACT, "late by 4 frames", 1.0),
        Claim("The worst maps are worse than none: 4 frames late", "psnr", "none", "late by 4 frames"),
        Claim("The worst maps are worse than none: noise .4", "psnr", "none", "noise 0.4"),
        Claim("Fit sees maps that are 4 frames late (by .1)", "fit", EXACT, "late by 4 frames", 0.1),
        Claim("Fit sees wrong names (by .1)", "fit", EXACT, "wrong names for 100%", 0.1),
    ),
)  # fmt: skip


def main() -> None:
    table.report(TABLE, table.parser(__doc__).parse_args())


if __name__ == "__main__":
    main()
