"""The plan's traces against measurement, and what this pack costs beside the bare networks at full size.

    python benchmarks/plan.py --json benchmarks/results/plan.json

Rows `peak`: small networks of every family and two of middle size, one call in 32 bits on a CPU: bytes as traced on
fake tensors and as torch's allocator gave them out during the real call (by its profiler), without what a kernel takes
for itself and gives back before it returns; `scratch` is how much higher the peak is with that, which is the CPU's own
(oneDNN's convolutions). Arithmetic as traced less that by torch's own counter, both without attention, which that
counter does not know on a CPU. Rows `step`: every
release at full size, a step of the pack's inversion (one condition) and of its guidance (two) against the bare network
on the same batch. `table`: processor seconds of all that docs/models.md's tables are made of, by process of
make_plan.py.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), *(str(ROOT / name) for name in ("scripts", "tests/helpers"))]

import torch  # noqa: E402
from make_plan import groups, own_costs  # noqa: E402
from small_networks import TINY, WAN, Call, profiled_peaks  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from benchmarks.common import Promise, finish, parser  # noqa: E402
from pipeline_core.models.plan.networks import Studio  # noqa: E402
from pipeline_core.models.plan.releases import RELEASES  # noqa: E402
from pipeline_core.models.plan.traces import Step, cells  # noqa: E402

SHAPES = {"tiny": (3, 16, 24), "middle": (5, 32, 48)}
WIDE = dict(num_attention_heads=8, attention_head_dim=128)
CONTROLLED = {**TINY["cosmos_transfer25"][0], **WIDE, "num_layers": 8, "img_context_dim_out": 1024}
BRANCH = {**TINY["cosmos_transfer25"][1], **WIDE, "model_channels": 1024, "img_context_dim_out": 1024}
MIDDLE = {
    "cosmos_transfer25": (CONTROLLED, BRANCH, 128),
    "wan_vace_1.3b": ({**WAN, **WIDE, "num_layers": 8, "ffn_dim": 4096, "vace_layers": [0, 4]}, None, 64),
}
SETS = [("tiny", name, TINY[name]) for name in TINY]
SETS += [("middle", name, MIDDLE[name]) for name in MIDDLE]
COLUMNS = ("row", "name", "weights", "traced", "measured", "off", "scratch", "arithmetic off")
COLUMNS += ("operations", "bytes", "arithmetic", "GiB more", "reads")


def peak_row(size: str, name: str, changes: tuple) -> dict:
    """One network: what was traced, what was measured, and by how much they differ."""
    shape = SHAPES[size]
    shape = (shape[0], shape[1] // 2, shape[2] // 2) if name == "ltxv_13b" else shape
    call = Call(name, changes, shape)
    cost, (network, branches, _) = call.fake(), call.real_parts()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call.real()()
    measured, everything = profiled_peaks(call.real())
    return {
        "row": f"peak, {size}",
        "name": name,
        "weights": sum(weight.numel() for part in (network, *branches) for weight in part.parameters()),
        "traced": cost.peak,
        "measured": measured,
        "off": cost.peak / measured - 1,
        "scratch": everything / measured - 1,
        "flops": cost.flops,
        "arithmetic off": cost.flops - cost.attention - counter.get_total_flops(),
    }


def step_rows(studio: Studio, name: str, costs) -> list[dict]:
    """One release at its own size: the pack's step against the bare network, for one condition and for two."""
    release, rows = RELEASES[name], []
    step = Step(studio, release, cells(release, release.size, release.family.window), release.controls)
    for conditions, whole in ((1, costs.one), (2, costs.two)):
        bare = step.bare(conditions)
        row = {"row": f"step, {conditions}", "name": name, "operations": whole.operations / bare.operations - 1}
        row |= {"bytes": whole.moved / bare.moved - 1, "arithmetic": whole.flops / bare.flops - 1}
        rows.append(row | {"GiB more": (whole.peak - bare.peak) / 2**30, "reads": whole.reads - bare.reads})
    return rows


def main() -> None:
    options = parser(__doc__.splitlines()[0]).parse_args()
    peaks = [peak_row(*each) for each in SETS]
    steps, seconds = [], {}
    for names in groups(list(RELEASES)):
        studio, start = Studio(), time.process_time()
        costs = {name: own_costs(name, studio) for name in names}
        seconds[", ".join(names)] = round(time.process_time() - start, 1)
        for name in names:
            steps += step_rows(studio, name, costs[name])
    worst = {key: max(row[key] for row in steps) for key in ("operations", "bytes", "arithmetic", "reads", "GiB more")}
    promises = [
        Promise("peak, traced to measured: largest difference", max(abs(row["off"]) for row in peaks), 0.05, False),
        Promise("arithmetic, largest difference", max(abs(row["arithmetic off"]) for row in peaks), 0, False),
        Promise("operations more than the bare network, share", worst["operations"], 0.02, False),
        Promise("bytes more than the bare network, share", worst["bytes"], 0.02, False),
        Promise("values the host reads in a step", worst["reads"], 1, False),
        Promise("processor seconds of the tables, half of all", sum(seconds.values()) / 2, 300, False),
    ]
    about = {"table": seconds, "GiB more at most": worst["GiB more"]}
    finish(options.json, peaks + steps, COLUMNS, promises, **about)


if __name__ == "__main__":
    main()
