"""Long clips: the correction at seams off and on, along the motion, and how long windows are and how much they share.

    python benchmarks/papers/longvideo.py --json benchmarks/results/papers/longvideo.json

The small world, a small model. InsV2V (2311.00213) starts every window from random noise, joins them by hard cuts and
corrects the first half of the steps (LVSC); so do these rows, but for those from inverted noise, which are the job's
own way. At seams: the squared change along the true motion (x 1000) of the step into the next window, and how many
times the photoreal twin's in the same steps it is. Frame consistency: mean cosine of neighbouring frames' features, of
the world's own critic where the paper takes CLIP's. Drives of two seconds; with --scenes 3 --frames 960 three of forty
seconds, an hour of one core, which is what the page shows.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

from benchmarks.longvideo import PUBLISHED, Method, Scene, calls_of, changes, joined, window_results, windowed  # noqa: E402
from benchmarks.papers import table  # noqa: E402
from benchmarks.papers.table import Claim  # noqa: E402
from pipeline_core.job.settings import EnhanceSettings  # noqa: E402
from pipeline_core.metrics.critic import load_critic  # noqa: E402
from pipeline_core.models.folders.loading import load_video_model  # noqa: E402

FEATURES_EVERY = 8  # frames whose features the Frechet distance takes: neighbours say the same


@dataclass(frozen=True)
class Way:
    """How a drive is cut into windows, and what each is made from."""

    settings: dict
    cuts: bool = True
    window: int = 17
    overlap: int = 5


LVSC = {**PUBLISHED, "handover": "mean", "handover_share": 0.5}
MOTION = {**PUBLISHED, "handover": "motion", "handover_share": 0.5}
NONE, DEFAULT = "no correction", "inverted, crossfaded (default)"
ROWS = {
    NONE: Way(PUBLISHED),
    "LVSC": Way(LVSC),
    "LVSC along the motion": Way(MOTION),
    "inverted, hard cuts": Way({}),
    DEFAULT: Way({}, cuts=False),
    "inverted, LVSC along the motion": Way({"handover": "motion", "anchor": 1.0}, cuts=False),
    "LVSC at all steps": Way({**LVSC, "handover_share": 1.0}),
    "LVSC, overlap 9": Way(LVSC, overlap=9),
    "LVSC, windows of 25": Way(LVSC, window=25),
    "inverted, windows of 25": Way({}, cuts=False, window=25),
    "inverted, overlap 9": Way({}, cuts=False, overlap=9),
    "inverted, windows of 13": Way({}, cuts=False, window=13),
}
TABLE = table.Table(
    name="longvideo",
    title="Long clips",
    rows=ROWS,
    base=NONE,
    columns=("at_seams", "of_twin", "consistency", "psnr", "above", "critic", "frechet"),
    frames=49,
    paper={
        NONE: "most change at seams, least frame consistency",
        "LVSC": "less change at seams, more frame consistency",
        "LVSC along the motion": "the least change at seams",
    },
    claims=(
        Claim("LVSC lowers the change at seams", "at_seams", NONE, "LVSC"),
        Claim("Along the motion it lowers it further", "at_seams", "LVSC", "LVSC along the motion"),
        Claim("LVSC raises frame consistency", "consistency", "LVSC", NONE),
        Claim("At all steps it lowers the change at seams further", "at_seams", "LVSC", "LVSC at all steps"),
        Claim("At all steps it leads away from the twin", "psnr", "LVSC", "LVSC at all steps"),
        Claim("More overlap lowers LVSC's change at seams (9 against 5)", "at_seams", "LVSC", "LVSC, overlap 9"),
        Claim("Longer windows are nearer to the twin under LVSC (25 against 17)", "psnr", "LVSC, windows of 25",
              "LVSC"),
        Claim("Inverted windows change less at seams than LVSC at all steps", "at_seams", "LVSC at all steps", DEFAULT),
        Claim("Under inversion LVSC along the motion lowers what is left at seams", "at_seams", DEFAULT,
              "inverted, LVSC along the motion"),
        Claim("Crossfading inverted windows lowers the change at seams", "at_seams", "inverted, hard cuts", DEFAULT),
        Claim("Longer windows are nearer to the twin under inversion (25 against 13)", "psnr",
              "inverted, windows of 25", "inverted, windows of 13"),
        Claim("More overlap brings inverted windows nearer to the twin (9 against 5)", "psnr", "inverted, overlap 9",
              DEFAULT),
    ),
)  # fmt: skip


def measure(tried: table.Table, seeds: Sequence[int], weights: str) -> list[dict]:
    """As `table.measure_rows`; the frames of all drives are held."""
    scenes = [table.read_scene(tried, seed, weights) for seed in seeds]
    drives = [Scene(seed, tried.frames) for seed in seeds]
    model, critic = load_video_model(), load_critic()
    for name in tried.rows:
        for scene, drive in zip(scenes, drives, strict=True):
            if name not in scene["rows"]:
                scene["rows"][name] = row(tried.rows[name], drive, model, critic, tried.steps)
                table.write_scene(tried, scene)
        print(f"{name}: {scene['rows'][name]['figures']['psnr'][0]:.2f} dB in the last drive", flush=True)
    return scenes


def row(way: Way, drive: Scene, model, critic, steps: int) -> dict:
    """What one way shows of one drive, in the form of `table`."""
    began, (source, twin) = time.process_time(), drive()
    model = replace(model, preset=replace(model.preset, window=way.window, overlap=way.overlap))
    method = Method(way.settings, windowed, way.cuts)
    job, clips = window_results(method, model, EnhanceSettings(**{"steps": steps, **way.settings}), drive)
    output, borders = joined(clips, job.windows, method, drive.frames)
    ours, theirs = changes(output, source), changes(twin.rgb, source)
    seams = [t for t in borders[1:] if t in ours]
    (logits, features), (_, true_features) = critic(output), critic(twin.rgb)
    cosines = F.cosine_similarity(features[1:], features[:-1]).double()
    at_seams = sum(ours[t] for t in seams)
    figures = {
        "at_seams": [1000 * at_seams / len(seams), 1],
        "of_twin": [at_seams, sum(theirs[t] for t in seams)],
        "consistency": [float(cosines.sum()), len(cosines)],
        "psnr": [float(-10 * torch.log10((output - twin.rgb).square().mean())), 1],
        "critic": [float(torch.sigmoid(logits).mean()), 1],
        "calls": [calls_of(job, drive.frames), 1],
    }
    some = {"features": features[::FEATURES_EVERY], "twins": true_features[::FEATURES_EVERY]}
    seconds = time.process_time() - began
    return {"figures": figures, **{name: table.rounded(rows) for name, rows in some.items()}, "seconds": seconds}


def main() -> None:
    table.report(TABLE, table.parser(__doc__).parse_args(), measure)


if __name__ == "__main__":
    main()
