"""Inversion: round trip, calls and the noise itself, against diffusers' DDIM inversion and the rule peers use.

    python benchmarks/inversion.py --json OUT.json [--plot docs/images/inversion.png]

Denoisers: the analytic 64-dimensional mixture, and the embedded model with its controls on held-out scenes. Its network
runs in float32: in bfloat16 a state that moves by one rounding flips the network, and what is measured then is the
network (rows for comparison). Errors are relative L2 of the latent. `ode` is the distance of the inverted state to a
fine ODE solution, which a round trip alone says nothing about. diffusers' schedulers are driven on the same network
through the VP form of the state; the peers' rule flips the sigmas, adds 1e-4 and runs a sampler upwards, then samples
down the plain grid.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from benchmarks import common  # noqa: E402
from benchmarks.mixture import Mixture  # noqa: E402
from benchmarks.plots import plot_inversion  # noqa: E402
from pipeline_core.diffusion import CFG, FLOW, VE, Interpolant, flow_sigmas, guided, invert, karras_sigmas, sample  # noqa: E402
from pipeline_core.diffusion.run import Run  # noqa: E402
from pipeline_core.diffusion.solvers import SOLVERS  # noqa: E402

SEEDS = range(900_000, 900_002)
METHODS = ("exact", "midpoint", "heun", "fixed_point", "euler")
COLUMNS = ("denoiser", "method", "steps", "cfg", "calls", "round_trip", "ode", "std", "kurtosis", "seconds")
# SD's training schedule, the one diffusers' DDIM schedulers default to in practice.
SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}


class Counted:
    """A denoiser that counts its calls."""

    def __init__(self, denoise: Callable) -> None:
        self.denoise, self.calls = denoise, 0

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self.calls += 1
        return self.denoise(x, sigma)


def error(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).norm() / b.double().norm())


def moments(noise: Tensor) -> tuple[float, float]:
    noise = noise.double()
    centred = noise - noise.mean()
    return float(noise.std()), float(centred.pow(4).mean() / centred.square().mean() ** 2 - 3)


def ours(denoise: Counted, x0: Tensor, sigmas: Tensor, method: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """(noise, latent after the round trip) of one of our methods."""
    inversion = invert(denoise, x0, sigmas, VE, method, state_dtype=dtype)
    back = sample(
        denoise, inversion.noise, sigmas, VE, solver=inversion.solver, state_dtype=dtype, model_dtype=x0.dtype
    )
    return inversion.noise, back


def flipped(denoise: Counted, x0: Tensor, sigmas: Tensor, solver: str) -> tuple[Tensor, Tensor]:
    """The peers' rule: the sampler run on the flipped sigmas + 1e-4 (with the trailing 0), then down the grid."""
    grid = [*sigmas.tolist(), 0.0]
    up = [s + 1e-4 for s in reversed(grid)]
    run = Run(denoise, len(up) - 1, x0.dtype, None)
    top = SOLVERS[solver](run, x0.double(), up, VE)
    down = Run(denoise, len(grid) - 2, x0.dtype, None)
    back = SOLVERS[solver](down, top, grid[:-1], VE)
    return (top - x0.double()) / up[-1], denoise(back.to(x0.dtype), grid[-2])


def diffusers_ddim(denoise: Counted, x0: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """DDIMInverseScheduler up and DDIMScheduler down, on epsilon of the same network in VP form."""
    from diffusers import DDIMInverseScheduler, DDIMScheduler

    forward = DDIMScheduler(**SCHEDULE)
    inverse = DDIMInverseScheduler.from_config(forward.config)
    forward.set_timesteps(steps)
    inverse.set_timesteps(steps)

    def epsilon(x: Tensor, t) -> Tensor:
        alpha = float(forward.alphas_cumprod[int(t)])
        clean = denoise((x / math.sqrt(alpha)).to(x0.dtype), math.sqrt((1 - alpha) / alpha)).to(x)
        return (x - math.sqrt(alpha) * clean) / math.sqrt(1 - alpha)

    x = x0.double()
    for t in inverse.timesteps:
        x = inverse.step(epsilon(x, t), t, x).prev_sample
    top, alpha = x, float(forward.alphas_cumprod[int(inverse.timesteps[-1])])
    for t in forward.timesteps:
        x = forward.step(epsilon(x, t), t, x).prev_sample
    return (top - math.sqrt(alpha) * x0.double()) / math.sqrt(1 - alpha), x


def fine_state(denoise: Callable, x0: Tensor, sigmas: Tensor) -> Tensor:
    """The inverted noise by Heun on a sixteen times finer grid."""
    logs = sigmas.double().log()
    places = torch.linspace(0, len(sigmas) - 1, 16 * (len(sigmas) - 1) + 1, dtype=torch.float64)
    low = places.floor().long().clamp(max=len(sigmas) - 2)
    fine = (logs[low] + (logs[low + 1] - logs[low]) * (places - low)).exp()
    return invert(denoise, x0, fine, VE, "heun").noise


def measure(
    name: str, denoise: Callable, x0: Tensor, steps: int, cfg: float, grid: dict, methods, fine: bool
) -> list[dict]:
    sigmas = karras_sigmas(steps, **grid)
    runs: dict[str, Callable] = {m: lambda d, m=m: ours(d, x0, sigmas, m, torch.float64) for m in methods}
    runs["exact, float32 state"] = lambda d: ours(d, x0, sigmas, "exact", torch.float32)
    runs["flip sigmas, euler (peers)"] = lambda d: flipped(d, x0, sigmas, "ddim")
    runs["flip sigmas, dpmpp_2m (peers)"] = lambda d: flipped(d, x0, sigmas, "dpmpp_2m")
    runs["diffusers DDIMInverse + DDIM"] = lambda d: diffusers_ddim(d, x0, steps)
    truth = fine_state(denoise, x0, sigmas) if fine else None
    rows = []
    for method, run in runs.items():
        counted, start = Counted(denoise), time.perf_counter()
        noise, back = run(counted)
        seconds = time.perf_counter() - start
        std, kurtosis = moments(noise)
        comparable = truth is not None and "diffusers" not in method
        rows.append(
            {
                "denoiser": name,
                "method": method,
                "steps": steps,
                "cfg": cfg,
                "calls": counted.calls,
                "round_trip": error(back, x0),
                "ode": error(noise, truth) if comparable else None,
                "std": std,
                "kurtosis": kurtosis,
                "seconds": seconds,
            }
        )
        print(f"{name} {method} {steps} steps CFG {cfg}: {rows[-1]['round_trip']:.2e}", flush=True)
    return rows


def embedded_denoiser(seed: int, cfg: float, precision: str = "fp32", interpolant: Interpolant = VE):
    """The embedded model on a held-out scene with its controls on, and the scene's latent."""
    from benchmarks.guided import exact_maps
    from pipeline_core.conditions.stack import normalise_weights
    from pipeline_core.models.folders.loading import load_video_model
    from pipeline_core.world import make_scene, render

    model = load_video_model(precision=precision)
    clip = render(make_scene(seed), model.preset.window, model.preset.size)
    weights = normalise_weights(model.preset.control_weights)
    texts = model.encode_text([model.preset.inversion_prompt, model.preset.negative_prompt])
    predict = model.predictor(
        {"positive": texts[:1], "negative": texts[1:]},
        {name: model.encode_hint(values) for name, values in exact_maps(clip).items()},
        weights,
        interpolant,
    )
    return guided(predict, CFG(cfg)), model.encode(clip.rgb), model.preset


def uniform_flow(seed: int, steps: int) -> dict:
    """The exact scheme as a rectified flow, on the uniform grid that flow samplers default to."""
    denoise, latent, _ = embedded_denoiser(seed, 1.0, interpolant=FLOW)
    counted, start, grid = Counted(denoise), time.perf_counter(), flow_sigmas(steps)
    inversion = invert(counted, latent, grid, FLOW, "exact")
    back = sample(counted, inversion.noise, grid, FLOW, solver=inversion.solver)
    std, kurtosis = moments(inversion.noise)
    return {
        "denoiser": f"embedded model, scene {seed}",
        "method": "exact, uniform flow grid",
        "steps": steps,
        "cfg": 1.0,
        "calls": counted.calls,
        "round_trip": error(back, latent),
        "std": std,
        "kurtosis": kurtosis,
        "seconds": time.perf_counter() - start,
    }


def main() -> None:
    parser = common.parser(__doc__.split("\n")[0])
    parser.add_argument("--plot", type=Path, help="draw error against calls")
    options = parser.parse_args()
    rows, mixture = [], Mixture()
    x0 = mixture.draw(32)
    for cfg in (1.0, 4.0):
        for steps in (10, 20, 35, 50):
            rows += measure("mixture, 64-d", mixture.denoiser(cfg=cfg), x0, steps, cfg, {}, METHODS, fine=True)
    for cfg in (1.0, 3.0):
        for seed in SEEDS:
            denoise, latent, preset = embedded_denoiser(seed, cfg)
            grid = {"sigma_min": preset.sigma_min, "sigma_max": preset.sigma_max, "rho": preset.rho}
            for steps in (10, 20, 35) if seed == SEEDS[0] and cfg == 1.0 else (20,):
                rows += measure(f"embedded model, scene {seed}", denoise, latent, steps, cfg, grid, METHODS, fine=False)

    rows += [uniform_flow(seed, 20) for seed in SEEDS]
    denoise, latent, _ = embedded_denoiser(SEEDS[0], 1.0, "bf16")
    rows += measure("in bfloat16: embedded model", denoise, latent, 20, 1.0, grid, METHODS, fine=False)

    def worst(denoiser: str, method: str, key: str = "round_trip", **where) -> float:
        values = [
            r[key]
            for r in rows
            if r["denoiser"].startswith(denoiser) and r["method"] == method and all(r[k] == v for k, v in where.items())
        ]
        return max(values)

    euler = {
        (r["steps"], r["cfg"]): r["round_trip"]
        for r in rows
        if r["denoiser"].startswith("mixture") and r["method"] == "euler"
    }
    fixed = max(
        r["round_trip"] / euler[r["steps"], r["cfg"]]
        for r in rows
        if r["denoiser"].startswith("mixture") and r["method"] == "fixed_point"
    )
    promises = [
        common.Promise("mixture, 35 steps, exact, float64", worst("mixture", "exact", steps=35, cfg=1.0), 1e-10, False),
        common.Promise(
            "mixture, 35 steps, exact, float32",
            worst("mixture", "exact, float32 state", steps=35, cfg=1.0),
            1e-6,
            False,
        ),
        common.Promise(
            "mixture, 35 steps, exact: noise std off 1",
            abs(worst("mixture", "exact", "std", steps=35, cfg=1.0) - 1),
            0.05,
            False,
        ),
        common.Promise(
            "mixture, 35 steps, exact: distance to a fine ODE",
            worst("mixture", "exact", "ode", steps=35, cfg=1.0),
            0.05,
            False,
        ),
        common.Promise("mixture, fixed point over Euler, worst of 8 settings", fixed, 1.0, False),
        common.Promise("embedded, exact, float64, CFG 1 and 3", worst("embedded", "exact"), 1e-12, False),
        common.Promise(
            "embedded, exact, float32 state, CFG 1 and 3", worst("embedded", "exact, float32 state"), 1e-6, False
        ),
        common.Promise(
            "embedded, exact, uniform flow grid", worst("embedded", "exact, uniform flow grid"), 2e-5, False
        ),
        common.Promise("embedded, midpoint, CFG 1", worst("embedded", "midpoint", cfg=1.0, steps=20), 2e-3, False),
    ]
    if options.plot:
        plot_inversion(rows, options.plot)
    common.finish(options.json, rows, COLUMNS, promises, seeds=list(SEEDS), command="python benchmarks/inversion.py")


if __name__ == "__main__":
    main()
