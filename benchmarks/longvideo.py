"""Seams and drift over windows: how should a window go on from the one before it?

    python benchmarks/longvideo.py --json OUT.json              3 scenes of 97 frames (900000 and on)
    python benchmarks/longvideo.py --seconds 40 --json OUT.json the long form, at 24 frames a second
    python benchmarks/longvideo.py --tune                       the same on the tuning scenes (800000 and on)

Every row is the same model, start, prompts and noise seeds. Seams are measured on windows joined by hard cuts in the
middle of what they share, where nothing hides them, and again as delivered: crossfaded, over all steps of the overlap.
Motion is the world's own. Fused windows are one latent, decoded in one go: their seams are where the windows' borders
would be.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import common  # noqa: E402
from pipeline_core.enhance import (  # noqa: E402
    Job,
    enhance_handed,
    job_interpolant,
    job_sigmas,
    prepare,
    run,
    window_inputs,
    window_predictor,
)
from pipeline_core.longvideo import (  # noqa: E402
    HandOver,
    Window,
    blend_windows,
    fused_predict,
    plan_windows,
    with_handover,
)
from pipeline_core.longvideo.plan import latent_frames  # noqa: E402
from pipeline_core.longvideo.stitch import window_clips  # noqa: E402
from pipeline_core.metrics.fidelity import PSNR  # noqa: E402
from pipeline_core.metrics.seams import Drift, SeamError, slope  # noqa: E402
from pipeline_core.models.loading import load_video_model  # noqa: E402
from pipeline_core.settings import EnhanceSettings  # noqa: E402
from pipeline_core.world import RenderedBuffers, drive_scene, render_styles  # noqa: E402

HELD_OUT, TUNING = 900_000, 800_000
SIZE, FPS = (96, 160), 24.0
COLUMNS = (
    "row",
    "cut_at_seams",
    "cut_ratio",
    "at_seams",
    "ratio",
    "psnr",
    "twin_slope",
    "drift_brightness",
    "drift_chroma",
    "calls",
)
SEAM_TARGET, DROP_TARGET = 1.05, 0.32


class Row:
    """The figures of one method over scenes; MSEs times 1000, slopes per 100 frames, calls per frame."""

    def __init__(self, name: str) -> None:
        self.name, self.scenes = name, []

    def add(self, clips: list[Tensor], windows: list[Window], source, twin, calls: float) -> None:
        """clips: the windows' frames (T, H, W, 3), as `blend_windows` takes them."""
        frames = len(source.rgb)
        cut = torch.cat([clip[w.keep.start - w.start : w.keep.stop - w.start] for clip, w in zip(clips, windows)])
        joined = torch.stack(list(blend_windows(clips, windows)))
        borders = [w.keep.start for w in windows[1:]]
        overlaps = {t for a, b in zip(windows, windows[1:]) for t in range(b.start, min(a.stop, frames - 1) + 1)}
        figures = {}
        for prefix, output, seams in (("cut_", cut, borders), ("", joined, overlaps)):
            metric = SeamError(seams)
            metric.update(output, source.flow, source.instances)
            found = metric.compute()
            figures[f"{prefix}at_seams"] = 1000 * found["mamse"].value
            figures[f"{prefix}ratio"] = found["seam_ratio"].value
        psnr, drift = PSNR(), Drift()
        psnr.update(joined, twin.rgb)
        drift.update(joined, source.rgb)
        distance = (joined - twin.rgb).square().flatten(1).mean(1)
        found = drift.compute()
        self.scenes.append(
            {
                **figures,
                "psnr": float(next(iter(psnr.compute().values())).value),
                "twin_slope": 100_000 * slope(distance.tolist()),
                "drift_brightness": found["drift_brightness"].value,
                "drift_chroma": found["drift_chroma"].value,
                "calls": calls,
            }
        )

    def figures(self) -> dict:
        mean = {name: sum(s[name] for s in self.scenes) / len(self.scenes) for name in self.scenes[0]}
        return {"row": self.name, **mean, "by_scene": self.scenes}


def job_of(model, settings: EnhanceSettings, source, overlap: int) -> Job:
    preset = replace(model.preset, overlap=overlap)
    return prepare(len(source.rgb), SIZE, replace(model, preset=preset), settings, RenderedBuffers(source))


def calls_of(job: Job, frames: int) -> float:
    """Network calls per frame of the clip, each for all branches of one window."""
    steps = len(job_sigmas(job.settings, job.model.preset, job_interpolant(job.model.preset))) - 1
    return len(job.windows) * steps * (2 if job.settings.start == "inversion" else 1) / frames


def windowed(handover: str) -> Callable:
    """The job itself. Its windows' clips are what it hands to the crossfade; the finished clip is not needed."""

    def make(model, settings: EnhanceSettings, source, overlap: int) -> tuple[list[Tensor], Job]:
        clips = []

        class Listening:
            """Takes down what is decoded, on the way out."""

            def __getattr__(self, name):
                return getattr(model, name)

        job = job_of(model, replace(settings, handover=handover), source, overlap)

        def decode(latent: Tensor) -> Tensor:
            clips.append(job.model.decode(latent).clamp(0, 1))
            return clips[-1]

        listening = Listening()
        listening.preset, listening.decode = job.model.preset, decode
        for _ in run(replace(job, model=listening), source.rgb):
            pass
        return clips, job

    return make


def autoregressive(model, settings: EnhanceSettings, source, _overlap: int) -> tuple[list[Tensor], Job]:
    """Cosmos-Transfer1: one shared frame, the last one of the result before, encoded again and held all the way."""
    job = job_of(model, settings, source, 1)
    interpolant, clips = job_interpolant(job.model.preset), []
    sigmas = job_sigmas(job.settings, job.model.preset, interpolant)
    for index, clip in enumerate(window_clips(source.rgb, job.windows)):
        made = window_inputs(job, index, clip)
        predict, x0 = window_predictor(job, made), model.encode(made["source"])
        if clips:
            handed = model.encode(clips[-1][-1:])
            given = HandOver(handed, handed, 0)
            nothing = torch.full((x0.shape[2], 1, *x0.shape[3:], 2), torch.nan)
            predict = each_branch(predict, lambda d, g=given, f=nothing: with_handover(d, g, 0.0, f))
        finished = enhance_handed(
            predict, x0, sigmas, job.settings, interpolant, settings.seed + index, lambda *_: None
        )
        clips.append(model.decode(finished.latent).clamp(0, 1))
    return clips, job


def each_branch(predict, wrap: Callable):
    """predict with `wrap` around every branch's denoiser."""

    def wrapped(x: Tensor, sigma: float, branches: list[str]) -> list[Tensor]:
        answers = predict(x, sigma, branches)
        return [wrap(lambda *_, a=answer: a)(x, sigma) for answer in answers]

    return wrapped


def fused_windows(model, settings: EnhanceSettings, source, overlap: int) -> tuple[list[Tensor], Job]:
    """Every step predicted by all windows and averaged (ComfyUI's context windows, with hints sliced per window)."""
    job = job_of(model, settings, source, overlap)
    ratio, interpolant = job.model.preset.temporal_ratio, job_interpolant(job.model.preset)
    made = [window_inputs(job, index, clip) for index, clip in enumerate(window_clips(source.rgb, job.windows))]
    spans = [latent_frames(w, ratio) for w in job.windows]
    predict = fused_predict([window_predictor(job, m) for m in made], spans, lead_in=1)
    missing = job.windows[-1].stop - len(source.rgb)
    x0 = model.encode(torch.cat([source.rgb, source.rgb[-1:].expand(missing, -1, -1, -1)]))
    sigmas = job_sigmas(job.settings, job.model.preset, interpolant)
    finished = enhance_handed(predict, x0, sigmas, job.settings, interpolant, settings.seed, lambda *_: None)
    whole = model.decode(finished.latent).clamp(0, 1)
    return [whole[w.start : w.stop] for w in job.windows], job


METHODS = {
    "independent chunks": windowed("none"),
    "one frame, autoregressive": autoregressive,
    "fused windows": fused_windows,
    "LVSC": windowed("mean"),
    "LVSC, motion-compensated": windowed("motion"),
}


def main(arguments: list[str] | None = None) -> None:
    from tqdm import tqdm

    parser = common.parser(__doc__.split("\n")[0])
    parser.add_argument("--scenes", type=int, default=3)
    parser.add_argument("--frames", type=int, default=97)
    parser.add_argument("--seconds", type=float, help="length instead of --frames, at 24 frames a second")
    parser.add_argument("--overlap", type=int, default=5, help="pixel frames that neighbouring windows share at least")
    parser.add_argument("--start", help="default: the preset's")
    parser.add_argument("--steps", type=int, help="default: the preset's")
    parser.add_argument("--tune", action="store_true", help="on the tuning scenes")
    parser.add_argument("--only", nargs="+", choices=list(METHODS), help="some of the rows")
    options = parser.parse_args(arguments)
    frames = options.frames if options.seconds is None else round(options.seconds * FPS)
    first = TUNING if options.tune else HELD_OUT
    seeds = list(range(first, first + options.scenes))
    model = load_video_model()
    settings = EnhanceSettings(start=options.start, steps=options.steps)
    rows = {name: Row(name) for name in options.only or METHODS}
    truth = Row("photoreal twin")
    windows = plan_windows(frames, model.preset.window, options.overlap, model.preset.temporal_ratio)
    for seed in tqdm(seeds, desc="scenes"):
        clips = render_styles(drive_scene(seed, frames, FPS), frames, SIZE, ("synthetic", "photoreal.day"))
        source, twin = clips["synthetic"], clips["photoreal.day"]
        truth.add(list(window_clips(twin.rgb, windows)), windows, source, twin, 0.0)
        for name, row in rows.items():
            made, job = METHODS[name](model, settings, source, options.overlap)
            row.add(made, job.windows, source, twin, calls_of(job, frames))
    table = [row.figures() for row in rows.values()] + [truth.figures()]
    found = {row["row"]: row for row in table}
    promises = []
    ours, plain = (found.get(name) for name in ("LVSC, motion-compensated", "independent chunks"))
    if ours:
        promises.append(common.Promise("seam to interior, as delivered", ours["ratio"], SEAM_TARGET, at_least=False))
    if ours and plain:
        drop = 1 - ours["cut_at_seams"] / plain["cut_at_seams"]
        promises.append(common.Promise("drop at hard cuts against independent chunks", drop, DROP_TARGET))
    about = {"seeds": seeds, "frames": frames, "overlap": options.overlap, "settings": settings.to_dict()}
    common.finish(options.json, table, COLUMNS, promises, **about)


if __name__ == "__main__":
    main()
