"""Noise calibration against SDEdit: its paper's Tables 1 and 3 and the course of its rounds (2407.10285).

    python benchmarks/papers/calibration.py --json benchmarks/results/papers/calibration.json

The small world, a small model. As published: 30 steps of which the start leaves those
below t0, N rounds under the prompt of the result, box filter. t0 is the level of Stable Diffusion's schedule: 300, 600
and 800 are sigma .83, 2.3 and 5.1. MSE_l (nu .5), MSE, SSIM and D_SF are to the input, of frames in [0, 1]; the paper's
unit of the first two is another, so compare how they change. DOVER and CLIP-IQA cannot be had here: the critic and the
distance to the photoreal twin stand for them. Sampling is by DPM-Solver++(2M); the rows with an eta are Algorithm 1's
own DDIM steps, whose fresh noise the paper leaves open (DDIM's 0, DDPM's 1).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from benchmarks.guided import Bench  # noqa: E402
from benchmarks.papers import table  # noqa: E402
from benchmarks.papers.table import Claim, Make, Output  # noqa: E402
from pipeline_core.diffusion import CFG, VE, calibrate_noise, guided, stochastic_ddim  # noqa: E402
from pipeline_core.diffusion.guidance import Only  # noqa: E402

SIGMAS = {300: 0.833, 600: 2.285, 800: 5.111}
STEPS, T0, ROUNDS, NU = 30, 600, 3, 1.0
DRAWN = 1  # seed of the fresh noise of stochastic steps; the first noise is of 0
PUBLISHED = "N = 3, nu 1, t0 600 (published default)"


def row(t0: int = T0, rounds: int = ROUNDS, nu: float = NU, under: str = "positive", eta: float | None = None) -> Make:
    """Calibrated for `rounds`, 0 for SDEdit, then sampled at CFG 1, by DDIM where there is an eta; with the residual
    after every round, of all scenes together."""

    def make(bench: Bench) -> Output:
        sigmas = bench.sigmas(SIGMAS[t0] / (1 + SIGMAS[t0]), STEPS)
        noise, more = bench.fresh(), {}
        if rounds:
            judge = guided(bench.predict(), Only(under))
            calibration = calibrate_noise(judge, bench.latent, noise, float(sigmas[0]), VE, rounds, nu)
            bench.calls -= 1  # the one that measures the last residual
            noise, residuals = calibration.noise, calibration.report.residuals
            steps = {f"residual_{n}": value for n, value in enumerate(residuals)}
            ends = {"residual": residuals[-1], "noise_std": calibration.report.std[-1]}
            more = {what: [value] * len(bench.clips) for what, value in {**steps, **ends}.items()}
        solver = bench.settings().solver if eta is None else stochastic_ddim(eta, draws(DRAWN))
        return Output(bench.from_noise(CFG(1.0), noise, sigmas, solver), more=more)

    return make


def draws(seed: int) -> Callable[[Tensor], Tensor]:
    """Fresh noise at every call, the same for every scene, whichever scenes are measured together."""
    generator = torch.Generator().manual_seed(seed)

    def draw(x: Tensor) -> Tensor:
        return torch.randn(x[:1].shape, generator=generator, dtype=x.dtype).expand_as(x)

    return draw


def rows() -> dict[str, Make]:
    return {
        **{sdedit(t0): row(t0, rounds=0) for t0 in SIGMAS},
        **{steps(n): row(rounds=n) for n in (1, 2)},
        PUBLISHED: row(),
        **{steps(n): row(rounds=n) for n in (5, 10)},
        **{band(nu, T0): row(nu=nu) for nu in (0.25, 0.5, 0.75)},
        **{band(nu, t0): row(t0, nu=nu) for t0 in (300, 800) for nu in (0.25, 0.5, 0.75, 1.0)},
        "N = 10, nu 0.5": row(rounds=10, nu=0.5),
        "N = 3, nu 1, under the source's prompt": row(under="inversion"),
        **{stochastic(n, eta): row(rounds=n, eta=eta) for n in (0, ROUNDS) for eta in (0.0, 0.5, 1.0)},
    }


def sdedit(t0: int) -> str:
    return f"SDEdit, t0 {t0}"


def steps(rounds: int) -> str:
    return f"N = {rounds}"


def band(nu: float, t0: int) -> str:
    return f"N = 3, nu {nu:g}, t0 {t0}"


def stochastic(rounds: int, eta: float) -> str:
    return f"{f'N = {rounds}, nu 1' if rounds else 'SDEdit'}, t0 {T0}, DDIM, eta {eta:g}"


BASE = sdedit(T0)
TABLE = table.Table(
    name="calibration",
    title="Noise calibration",
    rows=rows(),
    base=BASE,
    columns=("mse_l", "mse", "ssim", "d_sf", "residual", *table.PLAIN),
    paper={
        BASE: "MSE_l 4.3447, MSE .7600, SSIM .6464, D_SF .0527, DOVER 60.17",
        "N = 1": "MSE_l 2.9201, MSE .6546, SSIM .6998, D_SF .0531, DOVER 60.62",
        "N = 2": "MSE_l 2.8039, MSE .6506, SSIM .7040, D_SF .0554, DOVER 62.71",
        PUBLISHED: "MSE_l 2.9540, MSE .6638, SSIM .6971, D_SF .0584, DOVER 62.45",
        "N = 10": "MSE_l 4.6107, MSE .7570, SSIM .6209, D_SF .0741, DOVER 54.42",
    },
    claims=(
        Claim("One round lowers the low-frequency error to the input", "mse_l", BASE, "N = 1"),
        Claim("One round lowers the error to the input", "mse", BASE, "N = 1"),
        Claim("One round raises SSIM to the input by .05", "ssim", "N = 1", BASE, 0.05),
        Claim("Two rounds are nearer to the input than one (SSIM)", "ssim", "N = 2", "N = 1"),
        Claim("Ten rounds are farther from the input than SDEdit (MSE_l)", "mse_l", "N = 10", BASE),
        Claim("Ten rounds over-saturate (against two)", "saturation", "N = 10", "N = 2"),
        Claim("More rounds raise D_SF (three against none)", "d_sf", PUBLISHED, BASE),
        Claim("A higher nu keeps more of the input (SSIM, 1 against .25)", "ssim", PUBLISHED, band(0.25, T0)),
        Claim("Quality rises too (two rounds against none): the critic", "critic", "N = 2", BASE),
        Claim("Quality rises too (two rounds against none): PSNR to the twin", "psnr", "N = 2", BASE),
        Claim("Under the source's own prompt it is nearer to the twin than SDEdit", "psnr",
              "N = 3, nu 1, under the source's prompt", BASE),
        Claim("With stochastic steps (eta 1) calibration still keeps more of the input (SSIM)", "ssim",
              stochastic(ROUNDS, 1.0), stochastic(0, 1.0)),
        Claim("Stochastic steps lead away from the input (calibrated, eta 0 against 1, SSIM)", "ssim",
              stochastic(ROUNDS, 0.0), stochastic(ROUNDS, 1.0)),
        Claim("Stochastic steps bring the calibrated result nearer to the twin (eta 1 against 0)", "psnr",
              stochastic(ROUNDS, 1.0), stochastic(ROUNDS, 0.0)),
        Claim("Calibrated with stochastic steps it is nearer to the twin than SDEdit with them (eta 1)", "psnr",
              stochastic(ROUNDS, 1.0), stochastic(0, 1.0)),
    ),
)  # fmt: skip


def main() -> None:
    table.report(TABLE, table.parser(__doc__).parse_args())


if __name__ == "__main__":
    main()
