"""Starts: what the noise is made of, and how near each comes to the photoreal twin. Intervals over scenes.

    python benchmarks/papers/starts.py --tune                                       on scenes 800000 to 800002
    python benchmarks/papers/starts.py --json benchmarks/results/papers/starts.json  on scenes 920000 to 920007

The small world, a small model: the rows say how the methods compare, not how a large model does. One window of 17
frames a scene, the preset's steps. Published for comparison: the core paper starts from inverted noise, Cosmos-Transfer
from random noise; FlowEdit and FlowAlign leave inversion out; DirectEdit stores what each step of a plain one misses.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from benchmarks import common  # noqa: E402
from benchmarks.embedded import tuned as tuned_sdedit  # noqa: E402
from benchmarks.guided import Bench, figures_of, open_bench, summary  # noqa: E402
from benchmarks.papers.intervals import intervals  # noqa: E402
from pipeline_core.diffusion import VE, Only, guided  # noqa: E402
from pipeline_core.diffusion.solvers import towards  # noqa: E402
from pipeline_core.job.settings import EnhanceSettings  # noqa: E402
from pipeline_core.video.files import write_json  # noqa: E402

HELD_OUT, TUNING = range(920_000, 920_008), range(800_000, 800_003)
TUNED = Path(__file__).with_name("starts_tuned.json")
COLUMNS = ("row", "psnr", "above_default", "edge_f1", "lamps", "vehicles", "signs", "critic", "frechet", "calls")
# Of each start without inversion.
SWEEP = {"strength": (0.85, 0.95, 1.0), "cfg": (1.0, 2.0, 4.0)}


def direct_edit(bench: Bench) -> Tensor:
    """DirectEdit: Euler up the sigmas keeping every state, and down again with each step's miss added (N latents kept).

    The way up is DDIM inversion. The way down under the inversion's own prompt is then exact; under another one it
    carries the same corrections.
    """
    grid = bench.sigmas().double().tolist()
    describe = guided(bench.predict(), Only("inversion"))
    target = guided(bench.predict(), Only("positive"))
    rising = grid[::-1]
    x, misses = bench.latent.double(), []
    x0 = describe(x.float(), rising[0]).double()
    for sigma, above in zip(rising, rising[1:]):
        below, x = x, towards(x, x0, sigma, above)
        x0 = describe(x.float(), above).double()
        misses.append(below - towards(x, x0, above, sigma))
    for sigma, below, miss in zip(grid, grid[1:], misses[::-1]):
        x = towards(x, target(x.float(), sigma).double(), sigma, below) + miss
    return x.float()


def per_frame(bench: Bench) -> Tensor:
    """Every latent frame alone through the default job: the network sees no other, as an image model would."""
    parts = []
    for t in range(bench.latent.shape[2]):
        hints = {name: hint[:, :, t : t + 1] for name, hint in bench.hints.items()}
        alone = Bench(bench.model, bench.critic, bench.clips, bench.latent[:, :, t : t + 1], hints)
        parts.append(alone.job(EnhanceSettings()))
        bench.calls += alone.calls if t == 0 else 0  # a frame of a call costs what a frame of a clip's does
    return torch.cat(parts, 2)


def methods(bench: Bench, tuned: dict) -> dict[str, Callable[[], Tensor]]:
    """Latents of the clips by method; the first is the default."""
    sdedit = {name: tuned_sdedit()[name] for name in ("strength", "cfg")}
    jobs = {
        "inversion, exact (default)": {},
        "inversion, Euler (DDIM)": {"method": "euler"},
        "calibrated noise": {"start": "calibration", **sdedit},
        "SDEdit": {"start": "sdedit", **sdedit},
        "random noise (Cosmos-Transfer's own)": {"start": "noise", "cfg": 1.0},
        "FlowEdit, one noise": {"start": "flowedit", **tuned["flowedit"]},
        "FlowAlign, one noise": {"start": "flowalign", **tuned["flowalign"]},
        "FlowAlign as published, w 13.5": {"start": "flowalign", "cfg": 13.5},
    }
    by_job = {name: lambda changes=changes: bench.job(EnhanceSettings(**changes)) for name, changes in jobs.items()}
    own = {
        "DirectEdit, stored residuals": lambda: direct_edit(bench),
        "every latent frame alone": lambda: per_frame(bench),
    }
    return {"source, untouched": lambda: bench.latent, **by_job, **own}


def table(bench: Bench, ways: dict[str, Callable[[], Tensor]]) -> list[dict]:
    figures, rows = {}, []
    for name, make in ways.items():
        bench.calls = 0
        figures[name] = [figures_of(bench, clip, latent, "day") for clip, latent in zip(bench.clips, make())]
        rows.append({"row": name, **summary(figures[name]), "calls": bench.calls})
        print(f"{name}: {rows[-1]['psnr']:.2f} dB, critic {rows[-1]['critic']:.3f}", flush=True)
    default = next(name for name in figures if "default" in name)
    for row in rows:
        row["interval"] = intervals(figures[row["row"]], figures[default])
        row["above_default"] = row["psnr"] - next(r["psnr"] for r in rows if r["row"] == default)
    return rows


def tune(seeds: Sequence[int]) -> None:
    """FlowEdit's and FlowAlign's strength and guidance, by distance to the twin on the tuning scenes."""
    bench, best = open_bench(seeds), {}
    for start in ("flowedit", "flowalign"):
        for strength in SWEEP["strength"]:
            for cfg in SWEEP["cfg"]:
                changes = {"strength": strength, "cfg": cfg}
                row = bench.row(
                    f"{start} {changes}", lambda c=changes, s=start: bench.job(EnhanceSettings(start=s, **c))
                )
                if start not in best or row["psnr"] > best[start]["psnr"]:
                    best[start] = {**changes, "psnr": row["psnr"]}
    chosen = {start: {name: one[name] for name in ("strength", "cfg")} for start, one in best.items()}
    write_json(TUNED, {"seeds": list(seeds), **chosen})


def main() -> None:
    parser = common.parser(__doc__.split("\n")[0])
    parser.add_argument("--tune", action="store_true", help="sweep on the tuning scenes and stop")
    parser.add_argument("--scenes", type=int, default=len(HELD_OUT), help="fewer scenes, for a quick look")
    options = parser.parse_args()
    if options.tune:
        return tune(TUNING[: options.scenes])
    tuned, bench = json.loads(TUNED.read_text()), open_bench(HELD_OUT[: options.scenes])
    common.finish(
        options.json,
        table(bench, methods(bench, tuned)),
        COLUMNS,
        [],
        seeds=list(HELD_OUT[: options.scenes]),
        frames=bench.model.preset.window,
        tuned=tuned,
        bf16=bench.model.bf16,
        interpolant=VE.name,
        command="python benchmarks/papers/starts.py --json OUT.json",
    )


if __name__ == "__main__":
    main()
