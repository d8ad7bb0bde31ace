"""CFG 1 to 11 on a full inversion, plain and damped, at all sigmas and on an interval of them (2511.14719's ablation).

    python benchmarks/papers/cfg.py --json benchmarks/results/papers/cfg.json

The small world, a small model. The paper's CFG is most likely NVIDIA's g, which is one
less than the scale here. It raises CFG from 3 to 11 and chooses 7.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

from benchmarks.guidance_tables import MIDDLE  # noqa: E402
from benchmarks.papers import table  # noqa: E402
from benchmarks.papers.table import Claim, Make, Output  # noqa: E402
from pipeline_core.diffusion import CFG, ConflictDamping, Interval  # noqa: E402
from pipeline_core.diffusion.guidance import Guidance  # noqa: E402

SCALES = (3.0, 5.0, 7.0, 9.0, 11.0)
BELOW = f"below sigma {MIDDLE[1]:g}"


def ways() -> dict[str, Guidance]:
    ways: dict[str, Guidance] = {"CFG 1 (default)": CFG(1.0)}
    for scale in SCALES:
        plain = CFG(scale)
        ways |= {
            f"CFG {scale:g}": plain,
            f"CFG {scale:g}, damped": ConflictDamping(plain),
            f"CFG {scale:g}, {BELOW}": Interval(plain, *MIDDLE),
            f"CFG {scale:g}, {BELOW}, damped": Interval(ConflictDamping(plain), *MIDDLE),
        }
    return ways


def row(guidance: Guidance) -> Make:
    return lambda bench: Output(bench.retrace(guidance))


TABLE = table.Table(
    name="cfg",
    title="Guidance scale",
    rows={name: row(guidance) for name, guidance in ways().items()},
    base="CFG 1 (default)",
    columns=(*table.PLAIN, *table.WORDS, "ssim", "saturation"),
    paper={
        "CFG 3": "LPIPS to the source .36",
        "CFG 7": "chosen",
        "CFG 11": "LPIPS to the source .45; preferred in 57.8 % to its own choice",
    },
    claims=(
        Claim("A higher scale looks more photoreal (11 against 3)", "critic", "CFG 11", "CFG 3"),
        Claim("A higher scale leads away from the source (3 against 11)", "ssim", "CFG 3", "CFG 11"),
        Claim("A higher scale costs small objects: lamps (3 against 11)", "lamps", "CFG 3", "CFG 11"),
        Claim("A higher scale costs small objects: signs (3 against 11)", "signs", "CFG 3", "CFG 11"),
        Claim("A higher scale is nearer to the prompt (3 against 1)", "text", "CFG 3", "CFG 1 (default)"),
        Claim("A higher scale is nearer to the prompt (7 against 3)", "text", "CFG 7", "CFG 3"),
        Claim("7 is better than 3 (PSNR to the twin)", "psnr", "CFG 7", "CFG 3"),
        Claim("7 is better than no guidance (PSNR to the twin)", "psnr", "CFG 7", "CFG 1 (default)"),
        Claim("Damping keeps vehicles that plain CFG 7 loses", "vehicles", "CFG 7, damped", "CFG 7"),
        Claim("Damped, 7 looks more photoreal than no guidance", "critic", "CFG 7, damped", "CFG 1 (default)"),
    ),
)


def main() -> None:
    table.report(TABLE, table.parser(__doc__).parse_args())


if __name__ == "__main__":
    main()
