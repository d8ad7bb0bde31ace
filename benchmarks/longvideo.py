"""Seams and drift over windows: how should a window go on from the one before it?

    python benchmarks/longvideo.py --json OUT.json              3 scenes of 97 frames (900000 and on)
    python benchmarks/longvideo.py --seconds 40 --scenes 1 --json OUT.json
    python benchmarks/longvideo.py --tune                       the same on the tuning scenes (800000 and on)

Every row is the same model, prompts and seeds, delivered as its method delivers: hard cuts in the middle of what two
windows share, a crossfade over it, or one latent decoded in pieces. Fresh noise is what the published methods start
from; inverted noise is this pack's own start. A figure that is there is not computed again: each row of
each scene rests in benchmarks/out/longvideo until the model, the settings or the length change. Fused windows have no
seams: what they show where the others have theirs is the scene's own.

Motion is the world's own. ratio compares the steps into seams with those outside all overlaps, as a share of what the
photoreal twin changes in the same steps, and at the same place in the VAE's cycle of temporal_ratio frames: a scene has
busy moments, and a decoder alone changes more from one latent frame to the next. ratio_place leaves the twin out,
ratio_plain both.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from benchmarks import common  # noqa: E402
from pipeline_core.job.inputs import window_inputs, window_predictor  # noqa: E402
from pipeline_core.job.latent import enhance_handed, job_interpolant, job_sigmas  # noqa: E402
from pipeline_core.job.plan import Job, prepare  # noqa: E402
from pipeline_core.job.resume import job_name  # noqa: E402
from pipeline_core.job.run import run  # noqa: E402
from pipeline_core.job.settings import EnhanceSettings  # noqa: E402
from pipeline_core.longvideo import HandOver, Window, blend_windows, plan_windows, with_handover  # noqa: E402
from pipeline_core.longvideo.chunks import hash_of  # noqa: E402
from pipeline_core.longvideo.stitch import window_clips  # noqa: E402
from pipeline_core.metrics.fidelity import PSNR  # noqa: E402
from pipeline_core.metrics.seams import Drift, SeamError  # noqa: E402
from pipeline_core.models.folders.loading import load_video_model  # noqa: E402
from pipeline_core.video.files import write_text  # noqa: E402
from pipeline_core.world import RenderedBuffers, drive_scene, render_styles  # noqa: E402

HELD_OUT, TUNING = 900_000, 800_000
SIZE, FPS = (96, 160), 24.0
PARTS = ROOT / "benchmarks" / "out" / "longvideo"
COLUMNS = (
    "row",
    "at_seams",
    "ratio",
    "ratio_place",
    "ratio_plain",
    "inside",
    "psnr",
    "twin_slope",
    "twin_slope_error",
    "drift_brightness",
    "drift_chroma",
    "calls",
)
SEAM_TARGET, DROP_TARGET = 1.05, 0.32


@dataclass(frozen=True)
class Method:
    """settings: what differs from the job's defaults; make: (job, source frames) -> the windows' clips; cuts: joined by
    hard cuts, which begin at `first` frames into a window, or in the middle of the overlap where first is None."""

    settings: dict
    make: Callable[[Job, Tensor], list[Tensor]]
    cuts: bool = True
    first: int | None = None
    overlap: int | None = None

    def made_from(self) -> list:
        return [self.settings, self.make.__name__, self.overlap]


def windowed(job: Job, frames: Tensor) -> list[Tensor]:
    """The job itself. Its windows' clips are what it hands to the crossfade; the finished clip is not needed."""
    clips = []

    class Listening:
        """Takes down what is decoded, on the way out."""

        preset = job.model.preset

        def __getattr__(self, name):
            return getattr(job.model, name)

        def decode(self, latent: Tensor) -> Tensor:
            clips.append(job.model.decode(latent).clamp(0, 1))
            return clips[-1]

    for _ in run(replace(job, model=Listening()), frames):
        pass
    return clips


def autoregressive(job: Job, frames: Tensor) -> list[Tensor]:
    """Cosmos-Transfer1: one shared frame of the result before, encoded again and held all the way."""
    settings, interpolant, clips = job.settings, job_interpolant(job.model.preset), []
    sigmas = job_sigmas(settings, job.model.preset, interpolant)
    for index, clip in enumerate(window_clips(frames, job.windows)):
        inputs = window_inputs(job, index, clip)
        predict, x0 = window_predictor(job, inputs), job.model.encode(inputs["source"])
        if clips:
            shared = job.windows[index].start - job.windows[index - 1].start
            handed = job.model.encode(clips[-1][shared : shared + 1])
            nowhere = torch.full((x0.shape[2], 1, *x0.shape[3:], 2), torch.nan)
            handover = HandOver(handed, handed, 0, flow=nowhere)
            predict = each_branch(predict, lambda d, g=handover: with_handover(d, g, 0.0))
        finished = enhance_handed(predict, x0, sigmas, settings, interpolant, settings.seed + index, lambda *_: None)
        clips.append(job.model.decode(finished.latent).clamp(0, 1))
    return clips


def each_branch(predict, wrap: Callable):
    """predict with `wrap` around every branch's denoiser."""

    def wrapped(x: Tensor, sigma: float, branches: list[str]) -> list[Tensor]:
        answers = predict(x, sigma, branches)
        return [wrap(lambda *_, a=answer: a)(x, sigma) for answer in answers]

    return wrapped


def fused(job: Job, frames: Tensor) -> list[Tensor]:
    """Every step predicted by all windows and averaged (ComfyUI's context windows, with hints sliced per window)."""
    whole = torch.stack(list(run(job, frames)))
    missing = job.windows[-1].stop - len(whole)
    whole = torch.cat([whole, whole[-1:].expand(missing, -1, -1, -1)])
    return [whole[w.start : w.stop] for w in job.windows]


PUBLISHED = {"start": "noise", "anchor": 0.0}
METHODS = {
    "ours (default): inverted, crossfaded": Method({}, windowed, cuts=False),
    "independent chunks, inverted": Method({}, windowed),
    "independent chunks": Method({"start": "noise"}, windowed),
    "LVSC, motion-compensated": Method({**PUBLISHED, "handover": "motion", "handover_share": 0.5}, windowed),
    "one frame, autoregressive": Method({"start": "noise"}, autoregressive, first=1, overlap=1),
    "fused windows": Method({"start": "noise", "handover": "fused"}, fused, cuts=False),
    "LVSC": Method({**PUBLISHED, "handover": "mean", "handover_share": 0.5}, windowed),
    "LVSC, all steps": Method({**PUBLISHED, "handover": "mean"}, windowed),
    "LVSC, motion-compensated, all steps": Method({**PUBLISHED, "handover": "motion"}, windowed),
    "inverted, LVSC with motion, all steps": Method({"handover": "motion", "anchor": 0.0}, windowed, cuts=False),
    "inverted, LVSC with motion, anchored": Method({"handover": "motion", "anchor": 1.0}, windowed, cuts=False),
    "inverted, fused windows": Method({"handover": "fused"}, fused, cuts=False),
}
OURS, INVERTED, PLAIN = list(METHODS)[:3]


@dataclass
class Row:
    """The figures of one method, scene by scene; MSEs times 1000, slopes per 100 frames, calls per frame."""

    name: str
    scenes: list[dict] = field(default_factory=list)

    def figures(self) -> dict:
        """Means over the scenes; the slope's error is that of the mean of its scenes."""
        scenes = [{name: value for name, value in scene.items() if name != "series"} for scene in self.scenes]
        columns = {name: [scene[name] for scene in scenes] for name in scenes[0]}
        means = {name: None if None in values else mean(values) for name, values in columns.items()}
        means["twin_slope_error"] = math.hypot(*columns["twin_slope_error"]) / len(scenes)
        return {"row": self.name, **means, "by_scene": scenes}


def joined(clips: list[Tensor], windows: list[Window], method: Method, frames: int) -> tuple[Tensor, list[int]]:
    """The whole clip (frames, H, W, 3) as the method delivers it, and the frame at which each window begins there."""
    if not method.cuts:
        return torch.stack(list(blend_windows(clips, windows))), [w.keep.start for w in windows]
    borders = [w.keep.start if method.first is None else w.start + method.first for w in windows]
    borders[0] = 0
    stops = [*borders[1:], frames]
    return torch.cat([c[a - w.start : b - w.start] for c, w, a, b in zip(clips, windows, borders, stops)]), borders


def measured(clips: list[Tensor], windows: list[Window], method: Method, source, twin, ratio: int) -> dict:
    """The figures of one clip; clips: the windows' frames (T, H, W, 3)."""
    frames = len(source.rgb)
    output, borders = joined(clips, windows, method, frames)
    overlaps = {t for a, b in zip(windows, windows[1:]) for t in range(b.start, min(a.stop, frames - 1) + 1)}
    steps, true = changes(output, source), changes(twin.rgb, source)
    inside = [t for t in steps if t not in overlaps]
    seams = [t for t in (borders[1:] if method.cuts else sorted(overlaps)) if t in steps]

    def ratio_of(at: Callable[[int], int], share: dict[int, float]) -> float:
        """Change at the seams over that of steps inside of the same kind `at`, each as a share of `share`."""
        kinds = {at(t) for t in seams}
        usual = {k: mean(steps[t] for t in inside if at(t) == k) for k in kinds}
        level = {k: mean(share[t] for t in inside if at(t) == k) for k in kinds}
        return math.fsum(steps[t] for t in seams) / math.fsum(usual[at(t)] * share[t] / level[at(t)] for t in seams)

    same = dict.fromkeys(steps, 1.0)
    psnr, drift = PSNR(), Drift()
    psnr.update(output, twin.rgb)
    drift.update(output, source.rgb)
    distance = (output - twin.rgb).square().flatten(1).mean(1)
    drifts = drift.compute()
    steepness, error = window_slope(distance.tolist(), [w.keep for w in windows])
    return {
        "at_seams": 1000 * mean(steps[t] for t in borders[1:] if t in steps),
        "ratio": ratio_of(lambda t: t % ratio, true),
        "ratio_place": ratio_of(lambda t: t % ratio, same),
        "ratio_plain": ratio_of(lambda t: 0, same),
        "inside": 1000 * mean(steps[t] for t in inside),
        "psnr": next(iter(psnr.compute().values())).value,
        "twin_slope": 100_000 * steepness,
        "twin_slope_error": 100_000 * error,
        "drift_brightness": drifts["drift_brightness"].value,
        "drift_chroma": drifts["drift_chroma"].value,
        "series": {"change": list(steps.values()), "distance": distance.tolist()},
    }


def changes(output: Tensor, source) -> dict[int, float]:
    """Motion-aware MSE of the step into every frame that has one."""
    metric = SeamError([])
    metric.update(output, source.flow, source.instances)
    return {t: value for t, value in enumerate(metric.series["mamse"]) if value is not None}


def mean(values: Iterable[float]) -> float:
    values = list(values)
    return math.fsum(values) / len(values) if values else math.nan


def window_slope(values: list[float], spans: list[range]) -> tuple[float, float]:
    """Least-squares slope per frame of the windows' means, and its standard error: windows, not frames, are
    independent."""
    times = [mean(keep) for keep in spans]
    means = [mean(values[t] for t in keep) for keep in spans]
    middle, level = mean(times), mean(means)
    spread = math.fsum((t - middle) ** 2 for t in times)
    steep = math.fsum((t - middle) * (v - level) for t, v in zip(times, means)) / spread
    rest = math.fsum((v - level - steep * (t - middle)) ** 2 for t, v in zip(times, means))
    return steep, math.sqrt(rest / max(1, len(times) - 2) / spread)


def calls_of(job: Job, frames: int) -> float:
    """Network calls per frame of the clip, each for all branches of one window."""
    steps = len(job_sigmas(job.settings, job.model.preset, job_interpolant(job.model.preset))) - 1
    return len(job.windows) * steps * (2 if job.settings.start == "inversion" else 1) / frames


class Scene:
    """A drive in both styles, rendered when it is first asked for."""

    def __init__(self, seed: int, frames: int) -> None:
        self.seed, self.frames, self._clips = seed, frames, None
        self.last: tuple = (None, None)  # of `window_results`

    def forget(self) -> None:
        """Let go of the frames."""
        self._clips, self.last = None, (None, None)

    def __call__(self):
        if self._clips is None:
            styles = ("synthetic", "photoreal.day")
            self._clips = render_styles(drive_scene(self.seed, self.frames, FPS), self.frames, SIZE, styles)
        return self._clips["synthetic"], self._clips["photoreal.day"]


def remembered(circumstances: list, make: Callable[[], dict]) -> dict:
    """What was measured under the same circumstances, or else what `make` measures, kept for the next time."""
    path = PARTS / f"{hash_of(json.dumps(circumstances, sort_keys=True))[:20]}.json"
    if path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))["figures"]
    figures = make()
    PARTS.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps({"told": circumstances, "figures": figures}))
    return figures


def figures_of(name: str, method: Method, model, settings: EnhanceSettings, scene: Scene, overlap: int) -> dict:
    """One row on one scene. Rows that differ in how windows are joined alone share what the model made."""
    model = replace(model, preset=replace(model.preset, overlap=method.overlap or overlap))
    settings = replace(settings, **method.settings)
    weights = job_name([settings.to_dict(), model.preset.overlap], model)

    def make() -> dict:
        source, twin = scene()
        job, clips = window_results(method, model, settings, scene)
        figures = measured(clips, job.windows, method, source, twin, model.preset.temporal_ratio)
        return {**figures, "calls": calls_of(job, scene.frames)}

    return remembered([weights, scene.seed, scene.frames, method.made_from(), method.cuts, method.first], make)


def window_results(method: Method, model, settings: EnhanceSettings, scene: Scene) -> tuple[Job, list[Tensor]]:
    """The job of these settings on a scene, and its windows' clips by the method; the scene's last ones are remembered,
    for rows that only join them otherwise."""
    source = scene()[0]
    job = prepare(scene.frames, SIZE, model, settings, RenderedBuffers(source))
    circumstances = job_name(settings.to_dict(), model), method.make.__name__
    if scene.last[0] != circumstances:
        scene.last = circumstances, method.make(job, source.rgb)
    return job, scene.last[1]


def main(arguments: list[str] | None = None) -> None:
    from tqdm import tqdm

    parser = common.parser(__doc__.split("\n")[0])
    parser.add_argument("--scenes", type=int, default=3)
    parser.add_argument("--frames", type=int, default=97)
    parser.add_argument("--seconds", type=float, help="length instead of --frames, at 24 frames a second")
    parser.add_argument("--overlap", type=int, default=5, help="pixel frames that neighbouring windows share at least")
    parser.add_argument("--steps", type=int, help="default: the preset's")
    parser.add_argument("--tune", action="store_true", help="on the tuning scenes")
    parser.add_argument("--rows", nargs="+", type=int, help="some of the rows, by number from 0")
    options = parser.parse_args(arguments)
    frames = options.frames if options.seconds is None else round(options.seconds * FPS)
    first = TUNING if options.tune else HELD_OUT
    scenes = [Scene(seed, frames) for seed in range(first, first + options.scenes)]
    model = load_video_model()
    settings = EnhanceSettings(steps=options.steps)
    names = [name for i, name in enumerate(METHODS) if options.rows is None or i in options.rows]
    rows = {name: Row(name) for name in names}
    truth = Row("the photoreal twin itself")
    windows = plan_windows(frames, model.preset.window, options.overlap, model.preset.temporal_ratio)

    def true_figures(scene: Scene) -> dict:
        source, twin = scene()
        clips = list(window_clips(twin.rgb, windows))
        return {**measured(clips, windows, METHODS[PLAIN], source, twin, model.preset.temporal_ratio), "calls": 0.0}

    # Scene after scene, for its frames are held; row by row within it, so that what is asked for first is done first.
    for scene in scenes:
        for name in tqdm(names, desc=f"scene {scene.seed}"):
            row = figures_of(name, METHODS[name], model, settings, scene, options.overlap)
            rows[name].scenes.append(row)
        truth.scenes.append(remembered(["twin", scene.seed, frames, options.overlap], lambda s=scene: true_figures(s)))
        scene.forget()
    table = [row.figures() for row in rows.values()] + [truth.figures()]
    about = {"seeds": [s.seed for s in scenes], "frames": frames, "overlap": options.overlap, "fps": FPS}
    common.finish(options.json, table, COLUMNS, promises(table), **about, settings=settings.to_dict())


def promises(table: list[dict]) -> list[common.Promise]:
    """The default's, against the rows that were asked for."""
    by_name = {row["row"]: row for row in table[:-1]}
    ours = by_name.pop(OURS, None)
    if ours is None:
        return []
    promised = [common.Promise("seam to interior, over the whole overlap", ours["ratio"], SEAM_TARGET, at_least=False)]
    for name in (PLAIN, INVERTED):
        if name in by_name:
            drop = 1 - ours["at_seams"] / by_name[name]["at_seams"]
            promised.append(common.Promise(f"drop at seams against {name}", drop, DROP_TARGET))
    if by_name:
        best = min(by_name.values(), key=lambda row: row["at_seams"])
        least = ours["at_seams"] / best["at_seams"]
        promised.append(
            common.Promise(f"at seams against the best other row ({best['row']})", least, 1.0, at_least=False)
        )
    steep = abs(ours["twin_slope"]) / max(ours["twin_slope_error"], 1e-12)
    promised.append(
        common.Promise("slope of the distance to the twin, in its standard errors", steep, 2.0, at_least=False)
    )
    return promised


if __name__ == "__main__":
    main()
