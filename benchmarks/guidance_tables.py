"""The tables of the guidance benchmark, one function each: matched and contradicting prompts, calibration, edits of
inverted noise, the map of strength x CFG x method, the dials, and what is tuned."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from benchmarks.guidance_prompts import PROMPTS, contradiction, synthetic_look
from benchmarks.guided import Bench
from pipeline_core.diffusion import (
    CFG,
    VE,
    ConflictDamping,
    Interval,
    Rescale,
    SimDrop,
    calibrate_noise,
    guided,
    invert,
    sample,
)
from pipeline_core.diffusion.editing import blend_noise, renoise_low_sigmas, restore_high_frequencies
from pipeline_core.diffusion.guidance import Guidance, Only
from pipeline_core.job.dials import dials

CFGS = (1.0, 2.0, 3.0, 5.0, 7.0, 11.0)
SIMDROP = (0.1, 0.2, 0.4, 0.8)
REACHES = (0.1, 0.25, 0.5, 1.0)
STRENGTHS, MAP_CFGS = (0.4, 0.6, 0.8, 1.0), (1.0, 2.0, 3.0, 5.0)
MAP_METHODS = ("inversion", "sdedit", "calibration")
# Where the prompts decide the look most: below it the picture stands, above it there is only its plan.
MIDDLE = (0.0, 1.5)
# Calibration is compared at the step count of the paper's base model, so that a call more is what it is there.
CALIBRATION = {"strength": 0.7, "steps": 35}
FORMS = {
    "as published": {"under": "positive"},
    "without the lowest frequencies": {"under": "positive", "nu": 1.0, "low": 0.25},
    "under the source's prompt": {"under": "inversion"},
    "under the source's prompt, nu 1": {"under": "inversion", "nu": 1.0},
    "under the source's prompt, nu 1, N = 2": {"under": "inversion", "nu": 1.0, "rounds": 2},
}


def matched_rows(bench: Bench) -> list[dict]:
    """Full inversion, prompts that fit the clips: CFG alone, every guidance object, and Euler at the same calls."""

    def row(name: str, guidance: Guidance, method: str = "exact", **about) -> dict:
        make = partial(bench.retrace, guidance, method=method)
        return bench.row(name, make, table="matched", guidance=about.pop("kind", "CFG"), method=method, **about)

    rows = [row(f"CFG {cfg:g}", CFG(cfg), cfg=cfg) for cfg in CFGS]
    rows += [row(f"CFG {cfg:g}, Euler inversion", CFG(cfg), "euler", cfg=cfg) for cfg in (1.0, 3.0)]
    for cfg in (3.0, 7.0):
        rows += [
            row(f"CFG {cfg:g}, rescaled", Rescale(CFG(cfg)), kind="Rescale", cfg=cfg),
            row(f"CFG {cfg:g}, sigma below {MIDDLE[1]:g}", Interval(CFG(cfg), *MIDDLE), kind="Interval", cfg=cfg),
            row(f"CFG {cfg:g}, conflict damping", ConflictDamping(CFG(cfg)), kind="ConflictDamping", cfg=cfg),
        ]
    rows += [
        row(f"SimDrop {w:g}", SimDrop(CFG(1.0), w, reference="inversion"), kind="SimDrop", cfg=1.0, weight=w)
        for w in SIMDROP
    ]
    for cfg in (1.5, 3.0):
        make = partial(bench.retrace, CFG(cfg), negative=[synthetic_look(clip) for clip in bench.clips])
        rows.append(
            bench.row(
                f"CFG {cfg:g}, synthetic look as the negative", make, table="matched", guidance="dual prompt", cfg=cfg
            )
        )
    return rows


def mismatched_rows(bench: Bench) -> list[dict]:
    """Ten prompts that contradict their clips, against the twins of the look they ask for."""
    pairs = bench.take([i % len(bench.clips) for i in range(PROMPTS)])
    contradictions = [contradiction(i, clip) for i, clip in enumerate(pairs.clips)]
    looks, prompts = [look for look, _ in contradictions], [prompt for _, prompt in contradictions]
    synthetic = [synthetic_look(clip) for clip in pairs.clips]
    rows = []
    for cfg in (1.0, 3.0, 7.0):
        arms = {"CFG": (CFG(cfg), {})}
        if cfg > 1:
            arms["ConflictDamping"] = (ConflictDamping(CFG(cfg)), {})
            arms["dual prompt"] = (CFG(cfg), {"negative": synthetic})
        for name, (guidance, more) in arms.items():
            make = partial(pairs.retrace, guidance, positive=prompts, **more)
            about = {"table": "contradicting", "guidance": name, "cfg": cfg}
            rows.append(pairs.row(f"{name} {cfg:g}", make, looks, **about))
    return rows


def calibrated(bench: Bench, guidance: Guidance, sigmas: Tensor, under: str = "positive", **options) -> Tensor:
    """Noise calibrated at the start of sigmas; under: the branch whose prediction has to agree with the source.

    "positive" is the published form, under the guidance of the sampling."""
    judge = guidance if under == "positive" else Only(under)
    settings = {"rounds": 1, "nu": 0.5, "check": False} | options
    start = guided(bench.predict(), judge)
    return calibrate_noise(start, bench.latent, bench.fresh(), float(sigmas[0]), VE, **settings).noise


def calibration_rows(bench: Bench, tuned: dict) -> list[dict]:
    """SDEdit against calibration as published and the style-free form, at CFG 1 and 3; many rounds with a guard."""
    forms = {"SDEdit": None, "as published": FORMS["as published"], tuned["style_free"]: FORMS[tuned["style_free"]]}
    many = {"N = 10": {"rounds": 10}, "N = 10, guarded": {"rounds": 10, "max_std": 1.05}}
    source = bench.row("the source through the VAE", lambda: bench.latent, table="calibration", form="source")
    return [source, *form_rows(bench, forms | many, 1.0), *form_rows(bench, forms, 3.0)]


def form_rows(bench: Bench, forms: dict, cfg: float) -> list[dict]:
    """One row a form of calibration; None is fresh noise (SDEdit)."""
    rows, sigmas = [], bench.sigmas(**CALIBRATION)
    for name, options in forms.items():
        bench.calls = 0
        noise = bench.fresh() if options is None else calibrated(bench, CFG(cfg), sigmas, **options)
        before, std = bench.calls, float(noise.std())
        make = partial(bench.from_noise, CFG(cfg), noise, sigmas)
        row = bench.row(f"{name}, CFG {cfg:g}", make, table="calibration", form=name, cfg=cfg, **CALIBRATION)
        rows.append(row | {"calls": row["calls"] + before, "noise_std": std})
    return rows


def editing_rows(bench: Bench) -> list[dict]:
    """What makes inverted noise editable, and what it costs: CFG 1 on a full inversion."""
    fresh, sigmas = bench.fresh(), bench.sigmas()

    def renoised(level: float) -> Tensor:
        noisy, upper = renoise_low_sigmas(bench.latent, fresh, sigmas, level)
        predict = bench.predict()
        inversion = invert(guided(predict, Only("inversion")), noisy, upper, VE)
        return sample(guided(predict, CFG(1.0)), inversion.noise, sigmas, VE, solver=inversion.solver)

    edits = {"none": lambda: bench.retrace(CFG(1.0))}
    for share in (0.05, 0.1, 0.3):
        edit = partial(_blended, fresh=fresh, share=share)
        edits[f"blend {share:g} fresh noise"] = partial(bench.retrace, CFG(1.0), noise=edit)
    for level in (0.1, 0.3):
        edits[f"renoise below sigma {level:g}"] = partial(renoised, level)
    restore = partial(_restored, fresh=fresh)
    edits["restore high frequencies"] = partial(bench.retrace, CFG(1.0), noise=restore)
    return [bench.row(name, make, table="editing", edit=name) for name, make in edits.items()]


def _blended(noise: Tensor, fresh: Tensor, share: float) -> Tensor:
    return blend_noise(noise, fresh, share)


def _restored(noise: Tensor, fresh: Tensor) -> Tensor:
    return restore_high_frequencies(noise, fresh)


def map_rows(bench: Bench) -> list[dict]:
    """Strength x CFG x method."""
    rows = []
    for method in MAP_METHODS:
        for strength in STRENGTHS:
            sigmas = bench.sigmas(strength)
            for cfg in MAP_CFGS:

                def make(method=method, strength=strength, sigmas=sigmas, cfg=cfg) -> Tensor:
                    if method == "inversion":
                        return bench.retrace(CFG(cfg), strength)
                    noise = bench.fresh() if method == "sdedit" else calibrated(bench, CFG(cfg), sigmas)
                    return bench.from_noise(CFG(cfg), noise, sigmas)

                about = {"table": "map", "method": method, "strength": strength, "cfg": cfg}
                rows.append(bench.row(f"{method} s={strength:g} CFG {cfg:g}", make, **about))
    return rows


def dial_rows(bench: Bench) -> list[dict]:
    """Each dial over its range, the other in the middle, through the pipeline's own `enhance_latent`."""
    preset = bench.model.preset
    rows = []
    for dial in ("realism", "faithfulness"):
        for value in (0.0, 0.25, 0.5, 0.75, 1.0):
            turned = {"realism": 0.5, "faithfulness": 0.5} | {dial: value}
            make = partial(bench.job, dials(**turned, preset=preset))
            rows.append(bench.row(f"{dial} {value:g}", make, table="dials", dial=dial, value=value))
    return rows


def tuning_rows(bench: Bench) -> tuple[list[dict], dict]:
    """Candidates on the tuning clips; (rows, {"reach", "simdrop", "style_free"}).

    reach: the largest whose CFG 7 loses neither PSNR nor colours against CFG 1. simdrop: the weight with the best
    critic that loses at most .005 of edge F1, or None. style_free: among the forms that lose no critic, PSNR nor
    Frechet distance against SDEdit and no structure against the published form, at CFG 3, the one with the best edge
    F1; else the one that loses least.
    """
    plain = bench.row("CFG 1", partial(bench.retrace, CFG(1.0)), table="tuning")
    reached, dropped = [], []
    for reach in REACHES:
        damped = partial(bench.retrace, ConflictDamping(CFG(7.0), reach=reach))
        reached.append(bench.row(f"CFG 7, reach {reach:g}", damped, table="tuning", reach=reach))
    for weight in SIMDROP:
        pushed = partial(bench.retrace, SimDrop(CFG(1.0), weight, reference="inversion"))
        dropped.append(bench.row(f"SimDrop {weight:g}", pushed, table="tuning", weight=weight))
    forms = form_rows(bench, {"SDEdit": None, **FORMS}, 3.0)
    safe = [r["reach"] for r in reached if r["psnr"] >= plain["psnr"] and r["colours"] >= plain["colours"]]
    gains = [r for r in dropped if r["edge_f1"] >= plain["edge_f1"] - 0.005 and r["critic"] > plain["critic"]]
    sdedit, published, candidates = forms[0], forms[1], forms[2:]
    margins = {r["form"]: style_free_margin(r, sdedit, published) for r in candidates}
    good = [r for r in candidates if margins[r["form"]] >= 0]
    best = max(good, key=lambda r: r["edge_f1"]) if good else max(candidates, key=lambda r: margins[r["form"]])
    tuned = {
        "reach": max(safe, default=min(REACHES)),
        "simdrop": max(gains, key=lambda r: r["critic"])["weight"] if gains else None,
        "style_free": best["form"],
    }
    return [plain, *reached, *dropped, *forms], tuned


def style_free_margin(row: dict, sdedit: dict, published: dict) -> float:
    """The smallest of: structure over the published form, realism and PSNR over plain SDEdit; 0 is no loss."""
    return min(
        row["edge_f1"] - published["edge_f1"],
        row["colours"] - published["colours"],
        row["critic"] - sdedit["critic"],
        row["psnr"] - sdedit["psnr"],
        1 - row["frechet"] / sdedit["frechet"],
    )
