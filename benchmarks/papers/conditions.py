"""The control maps alone, left out, reaching fewer blocks and at other weights (2511.14719's ablation).

    python benchmarks/papers/conditions.py --json benchmarks/results/papers/conditions.json

The small world, a small model. Weights are what multiplies a branch: the rule
w / max(1, sum of w), which no job leaves, would cap the total at 1. The branches of this model have three blocks, for
the first three of six, and none is of the blurred clip: both are trained for this table (grown.py, a few minutes each).
"""

from __future__ import annotations

import copy
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

import torch  # noqa: E402

from benchmarks.guided import Bench  # noqa: E402
from benchmarks.papers import table  # noqa: E402
from benchmarks.papers.grown import BLUR, blur_of, grown  # noqa: E402
from benchmarks.papers.table import Claim, Make, Output  # noqa: E402
from pipeline_core.conditions.stack import CONTROLS  # noqa: E402
from pipeline_core.job.settings import EnhanceSettings  # noqa: E402

TOTALS = (0.25, 0.5, 0.75, 1.25, 1.5)
ALL = "all three (default)"
NOISE = {"start": "noise", "cfg": 1.0}


def job(bench: Bench, weights: dict[str, float], **changes) -> Output:
    """The default job, or one with changes, under these weights of the branches."""
    weighed = replace(bench, weigh=lambda _: weights, calls=0)
    latent = weighed.job(EnhanceSettings(**changes))
    bench.calls += weighed.calls
    return Output(latent)


def evenly(*controls: str, total: float = 1.0) -> dict[str, float]:
    return {name: total / len(controls) for name in controls}


def row(weights: dict[str, float], **changes) -> Make:
    return lambda bench: job(bench, weights, **changes)


def reaching(blocks: int) -> Make:
    """The default job with branches that end after so many blocks."""

    def make(bench: Bench) -> Output:
        branches = {name: shortened(branch, blocks) for name, branch in bench.model.branches.items()}
        shorter = replace(bench, model=replace(bench.model, branches=branches), calls=0)
        output = job(shorter, evenly(*CONTROLS))
        bench.calls += shorter.calls
        return output

    return make


def grown_to(kind: str, weights: dict[str, float], **changes) -> Make:
    """A job with the branches of grown.py in the place of the model's or beside them."""

    def make(bench: Bench) -> Output:
        more, hints = grown(kind), bench.hints
        if BLUR in more:
            maps = [blur_of(clip.source.rgb, bench.model.preset.maps) for clip in bench.clips]
            hints = {**hints, BLUR: torch.cat([bench.model.encode_hint(values) for values in maps])}
        model = replace(bench.model, branches={**bench.model.branches, **more})
        larger = replace(bench, model=model, hints=hints, calls=0)
        output = job(larger, weights, **changes)
        bench.calls += larger.calls
        return output

    return make


def shortened(branch: torch.nn.Module, blocks: int) -> torch.nn.Module:
    """The same branch, its weights shared, without its last blocks."""
    shorter = copy.copy(branch)
    shorter._modules = {**branch._modules, "control_blocks": branch.control_blocks[:blocks]}
    return shorter


def rows() -> dict[str, Make]:
    alone = {f"{name} alone": row({name: 1.0}) for name in CONTROLS}
    without = {f"without {name}": row(evenly(*(other for other in CONTROLS if other != name))) for name in CONTROLS}
    return {
        ALL: row(evenly(*CONTROLS)),
        **alone,
        **without,
        "none": row({}),
        "control in the first block only": reaching(1),
        "control in the first two blocks": reaching(2),
        "control in all six blocks (trained for this)": grown_to("deep", evenly(*CONTROLS)),
        "the blurred clip alone (trained for this)": grown_to("blur", {BLUR: 1.0}),
        "all three and the blurred clip": grown_to("blur", evenly(*CONTROLS, BLUR)),
        **{f"total weight {total:g}": row(evenly(*CONTROLS, total=total)) for total in TOTALS},
        "from random noise, all three": row(evenly(*CONTROLS), **NOISE),
        "from random noise, without edge": row(evenly("depth", "segmentation"), **NOISE),
        "from random noise, none": row({}, **NOISE),
        "from random noise, control in all six blocks": grown_to("deep", evenly(*CONTROLS), **NOISE),
        "from random noise, the blurred clip alone": grown_to("blur", {BLUR: 1.0}, **NOISE),
        "from random noise, all three and the blurred clip": grown_to("blur", evenly(*CONTROLS, BLUR), **NOISE),
    }


TABLE = table.Table(
    name="conditions",
    title="Control maps",
    rows=rows(),
    base=ALL,
    columns=(*table.PLAIN, "ssim"),
    paper={
        ALL: "depth, segmentation and edges, control in the first three blocks",
        "without edge": "LPIPS to the source rises",
        "none": "photorealism collapses",
    },
    claims=(
        Claim("Without edges the result is farther from the source", "ssim", ALL, "without edge"),
        Claim("Without edges the result from random noise is farther from the source", "ssim",
              "from random noise, all three", "from random noise, without edge"),
        Claim("Without any control photorealism collapses (by .1 of the critic)", "critic", ALL, "none", 0.1),
        Claim("Without any control the twin is missed", "psnr", ALL, "none"),
        Claim("Three maps are better than edges alone", "psnr", ALL, "edge alone"),
        Claim("Three maps are better than depth alone", "psnr", ALL, "depth alone"),
        Claim("Three maps are better than segmentation alone", "psnr", ALL, "segmentation alone"),
        Claim("The blurred clip brings the result nearer to the source", "ssim", "all three and the blurred clip", ALL),
        Claim("From random noise the blurred clip is worth more than .5 dB", "psnr",
              "from random noise, all three and the blurred clip", "from random noise, all three", 0.5),
        Claim("Control in all blocks is no better than in the first three", "psnr", ALL,
              "control in all six blocks (trained for this)", -0.1),
        Claim("From random noise control is worth more than .5 dB", "psnr", "from random noise, all three",
              "from random noise, none", 0.5),
    ),
)  # fmt: skip


def main() -> None:
    table.report(TABLE, table.parser(__doc__).parse_args())


if __name__ == "__main__":
    main()
