"""What the source's detail gives a result at the source's own size: nearness to the full-size twin, sharpness, flicker.

    python benchmarks/detail.py --json benchmarks/results/detail.json    on scenes 900000 and up
    python benchmarks/detail.py --tune                                   all shares, on scenes 800000 and up
    python benchmarks/detail.py --twice        the model itself at twice its size against delivery, on the same

One window of 17 frames a scene, rendered at 2 and 4 times the model's size, made small, enhanced with the preset's
settings under the prompt of a look, and delivered at the size of the render: enlarged (detail 0, bicubic), and with the
source's detail (pipeline_core/video/detail.py) at the default share, in tuning at others too. `psnr` is to the
photoreal render of the same look and size; `sharpness` the mean absolute Laplacian of the luma; `flicker` what changes
along the true motion (FlowError, surfaces that stay in view). `missing` is what of the PSNR the missing detail costs:
the dB that enlargement would gain if exactly what the enlarged small twin lacks of the twin were put back; the rest of
the error is the model's, at its own size. Seconds are processor time of delivering one 1080p frame.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import common  # noqa: E402
from pipeline_core.enhance import EnhanceSettings, enhance  # noqa: E402
from pipeline_core.metrics.base import luma  # noqa: E402
from pipeline_core.metrics.temporal import FlowError  # noqa: E402
from pipeline_core.models import load_video_model  # noqa: E402
from pipeline_core.video.detail import with_detail  # noqa: E402
from pipeline_core.video.files import write_json  # noqa: E402
from pipeline_core.video.frames import resize  # noqa: E402
from pipeline_core.world import RenderedBuffers, make_scene, render_styles  # noqa: E402

HELD_OUT, TUNING = range(900_000, 900_006), range(800_000, 800_004)
FRAMES, SIZE, FACTORS = 17, (96, 160), (2, 4)
LOOKS = {
    "day": "",
    "night": "a photorealistic dashcam video, at night",
    "rain": "a photorealistic dashcam video, in rain",
}
SHARES = (0.0, 0.5, 0.7, 0.8, 0.9, 1.0)
COLUMNS = ("look", "factor", "detail", "psnr", "missing", "sharpness", "twin_sharpness", "warped_error", "flicker")
KEYS = COLUMNS[:3]
DEFAULT = EnhanceSettings.detail


def sharpness(frames: Tensor) -> float:
    """Mean absolute Laplacian (5-point) of the luma of frames (T, H, W, 3)."""
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    return float(F.conv2d(luma(frames)[:, None], kernel).abs().mean())


def psnr(one: Tensor, other: Tensor) -> float:
    return float(-10 * (one - other).square().mean().log10())


def missing(result: Tensor, twin: Tensor) -> float:
    """dB by which the enlarged result would be nearer its twin, were the detail that enlarging loses of the twin put
    back: error and detail taken as orthogonal."""
    size = tuple(twin.shape[1:3])
    error, detail = ((resize(small, size) - twin).square().mean() for small in (result, resize(twin, SIZE)))
    return float(-10 * (1 - detail / error).log10())


def enhanced(model, seed: int, factor: int, looks) -> dict[str, tuple]:
    """(renders at full size: source and twin, the small source, the small result) by look."""
    size = tuple(factor * side for side in SIZE)
    renders = render_styles(make_scene(seed), FRAMES, size, ("synthetic", *(f"photoreal.{look}" for look in looks)))
    source = renders["synthetic"]
    small = resize(source.rgb, SIZE)
    clips = {}
    for look in looks:
        settings = EnhanceSettings(prompt=LOOKS[look] or None, detail=0.0)
        result, _ = enhance(small, model, settings, RenderedBuffers(source))
        clips[look] = source, renders[f"photoreal.{look}"], small, result
    return clips


def figures(delivered: Tensor, source, twin) -> dict:
    steady = FlowError()
    steady.update(delivered, source.flow, source.instances)
    steadiness = {name: figure.value for name, figure in steady.compute().items()}
    return {
        "psnr": psnr(delivered, twin.rgb),
        "sharpness": sharpness(delivered),
        "twin_sharpness": sharpness(twin.rgb),
        **steadiness,
    }


def rows_of_scene(model, seed: int, factor: int, looks, shares) -> list[dict]:
    rows = []
    for look, (source, twin, small, result) in enhanced(model, seed, factor, looks).items():
        lost = missing(result, twin.rgb)
        for share in shares:
            frames = [with_detail(*triple, share) for triple in zip(source.rgb, small, result)]
            row = {"seed": seed, "look": look, "factor": factor, "detail": share, "missing": lost}
            rows.append({**row, **figures(torch.stack(frames), source, twin)})
    return rows


def twice(model, seed: int) -> list[dict]:
    """Figures of a scene at twice the model's size: delivered there, and made there by the model itself."""
    ((source, twin, small, result),) = enhanced(model, seed, 2, ("day",)).values()
    delivered = torch.stack([with_detail(*triple, DEFAULT) for triple in zip(source.rgb, small, result)])
    large = replace(model, preset=replace(model.preset, size=tuple(source.rgb.shape[1:3])))
    before = time.process_time()
    own, _ = enhance(source.rgb, large, EnhanceSettings(detail=0.0), RenderedBuffers(source))
    seconds = time.process_time() - before
    known = {"look": "day", "factor": 2}
    return [
        {**known, "detail": "delivered", "missing": missing(result, twin.rgb), **figures(delivered, source, twin)},
        {**known, "detail": "the model's", "missing": 0.0, **figures(own, source, twin), "seconds": seconds},
    ]


def means(scenes: list[dict]) -> list[dict]:
    """A row for every look, factor and share: what its scenes have on average."""
    alike = {}
    for row in scenes:
        alike.setdefault((row["look"], row["factor"], row["detail"]), []).append(row)
    return [
        {name: sum(row[name] for row in rows) / len(rows) if name not in KEYS else rows[0][name] for name in COLUMNS}
        for rows in alike.values()
    ]


def seconds_a_frame() -> float:
    """Processor time of one 1080p frame."""
    full, small = torch.rand(1080, 1920, 3), torch.rand(*SIZE, 3)
    with_detail(full, small, small, 1.0)
    before = time.process_time()
    for _ in range(5):
        with_detail(full, small, small, 1.0)
    return (time.process_time() - before) / 5


def promises(rows: list[dict], seconds: float) -> list[common.Promise]:
    by = {tuple(row[name] for name in KEYS): row for row in rows}
    promised = []
    for look, factor in dict.fromkeys((row["look"], row["factor"]) for row in rows):
        plain, ours = by[look, factor, 0.0], by[look, factor, DEFAULT]
        promised += [
            common.Promise(f"{look} x{factor}: dB nearer than enlargement", ours["psnr"] - plain["psnr"], 0.6),
            common.Promise(
                f"{look} x{factor}: sharpness over enlargement", ours["sharpness"] / plain["sharpness"], 2.0
            ),
            common.Promise(
                f"{look} x{factor}: flicker over enlargement", ours["flicker"] / plain["flicker"], 1.0, False
            ),
        ]
    return [*promised, common.Promise("processor seconds a 1080p frame", seconds, 0.3, False)]


def earlier(path: Path | None) -> list[dict]:
    """The rows of single scenes in a file of results."""
    if path is None or not path.exists():
        return []
    content = json.loads(path.read_text(encoding="utf-8"))
    return content["about"]["each"]


def main() -> None:
    parser = common.parser(__doc__.split("\n")[0])
    parser.add_argument("--tune", action="store_true", help="the tuning scenes instead of the held-out ones")
    parser.add_argument("--twice", action="store_true", help="the model at twice its size, on three tuning scenes")
    parser.add_argument(
        "--resume", action="store_true", help="keep the scenes that are in the JSON, measure the others"
    )
    parser.add_argument("--scenes", type=int, nargs=2, default=(6, 3), help="how many of them, at 2x and at 4x")
    options = parser.parse_args()
    seeds, looks = (TUNING, ("day", "night")) if options.tune else (HELD_OUT, tuple(LOOKS))
    shares = sorted({*SHARES, DEFAULT}) if options.tune else (0.0, DEFAULT)
    about = {"scenes": dict(zip(FACTORS, options.scenes)), "frames": FRAMES, "default": DEFAULT}
    if options.twice:
        model = load_video_model()
        scenes = [row for seed in TUNING[:3] for row in twice(model, seed)]
        common.print_table(means(scenes), COLUMNS)
        seconds = [row["seconds"] for row in scenes if "seconds" in row]
        print(f"{sum(seconds) / len(seconds):.0f} s of a core a job of the model itself")
        return
    model, scenes = load_video_model(), earlier(options.json) if options.resume else []
    measured = {(row["seed"], row["factor"]) for row in scenes}
    for factor, count in zip(FACTORS, options.scenes):
        for seed in (seed for seed in seeds[:count] if (seed, factor) not in measured):
            scenes += rows_of_scene(model, seed, factor, looks, shares)
            print(f"scene {seed} x{factor}", flush=True)
            if options.json is not None:  # what is measured so far, should this be cut off
                write_json(options.json, {"about": {**about, "each": scenes}})
    rows, seconds = means(scenes), seconds_a_frame()
    common.finish(options.json, rows, COLUMNS, promises(rows, seconds), **about, each=scenes)


if __name__ == "__main__":
    main()
