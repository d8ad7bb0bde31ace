"""Are enhanced frames nearer to real ones, as a network sees them that never saw this world? Kernel distance (KID).

    python benchmarks/foreign_eyes.py --real A.mp4 B.mp4 --json benchmarks/results/foreign_eyes.json

Scenes 940200 to 940207: the synthetic source, the default job's result, its photoreal twin, all by the features of
EfficientNet-Lite0 (ImageNet), against camera frames of the clips that --real names. Those are brought to the world's
96x160 first, or sharpness alone would decide. KID is the unbiased squared MMD with the kernel (a.b / D + 1)^3
(Binkowski et al. 2018); pairs of frames of one scene are left out, being hardly two draws. Intervals are 95 %, by
bootstrap over scenes, the real frames as they are: two drives say little of all the world's roads.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipeline_core.cli.waiting import wait_passively  # noqa: E402

if __name__ == "__main__":
    wait_passively()  # before torch is imported

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from benchmarks import common  # noqa: E402
from benchmarks.efficientnet_lite import PACKAGE, load_foreign_eyes  # noqa: E402
from benchmarks.embedded import SIZE  # noqa: E402
from benchmarks.guided import Bench, open_bench  # noqa: E402
from benchmarks.papers.intervals import DRAWS  # noqa: E402
from pipeline_core.job.settings import EnhanceSettings  # noqa: E402
from pipeline_core.metrics.distribution import kernel_distance, real_frames  # noqa: E402
from pipeline_core.video.frames import resize  # noqa: E402

HELD_OUT = range(940_200, 940_208)
FRAMES, REAL = 5, 60  # frames of a scene, and of a real clip, that are looked at
COLUMNS = ("row", "kid", "low", "high", "below_source", "below_low", "below_high")


def kernel(x: Tensor, y: Tensor) -> Tensor:
    """(N, M) of k(a, b) = (a.b / D + 1)^3 for x (N, D), y (M, D)."""
    return ((x.double() @ y.double().T) / x.shape[1] + 1) ** 3


class Distances:
    """KID of frames by scene, features (S, F, D), to real ones (N, D), of all scenes or of some drawn with
    replacement."""

    def __init__(self, scenes: Tensor, real: Tensor) -> None:
        count = len(scenes)
        flat = scenes.flatten(0, 1)
        self._pairs = kernel(flat, flat).view(count, scenes.shape[1], count, -1).mean((1, 3))  # of two scenes
        self._cross = kernel(flat, real).view(count, -1).mean(1)
        own = kernel(real, real)
        self._real = (own.sum() - own.trace()) / (len(real) * (len(real) - 1))

    def __call__(self, draw: Tensor) -> float:
        """draw: scene numbers; a pair of one scene with itself counts nowhere. NaN for draws of one scene alone."""
        other = draw[:, None] != draw
        return float(self._pairs[draw][:, draw][other].mean() + self._real - 2 * self._cross[draw].mean())


def table(frames: dict[str, list[Tensor]], real: Tensor, encode) -> list[dict]:
    """A row for each kind of frames; the first is what the others are compared with."""
    distances = {name: Distances(torch.stack([encode(c) for c in clips]), real) for name, clips in frames.items()}
    count = len(next(iter(frames.values())))
    draws = torch.randint(count, (DRAWS, count), generator=torch.Generator().manual_seed(0))
    draws = [draw for draw in draws if len(draw.unique()) > 1]
    drawn = {name: torch.tensor([distance(draw) for draw in draws]) for name, distance in distances.items()}
    first, everything, rows = next(iter(frames)), torch.arange(count), []
    for name, distance in distances.items():
        low, high = ends(drawn[name])
        row = {"row": name, "kid": distance(everything), "low": low, "high": high}
        if name != first:
            row["below_source"] = distances[first](everything) - row["kid"]
            row["below_low"], row["below_high"] = ends(drawn[first] - drawn[name])
        rows.append(row)
    return rows


def ends(values: Tensor) -> list[float]:
    return torch.quantile(values.double(), torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()


def spread(clip: Tensor, count: int) -> Tensor:
    """`count` frames of (T, H, W, 3), evenly spread."""
    return clip[torch.linspace(0, len(clip) - 1, min(count, len(clip))).round().long()]


def scene_frames(bench: Bench) -> dict[str, list[Tensor]]:
    """Some frames (F, H, W, 3) of every scene: source, result and twin."""
    results = [bench.model.decode(latent[None]).clamp(0, 1) for latent in bench.job(EnhanceSettings())]
    clips = {
        "source": [clip.source.rgb for clip in bench.clips],
        "enhanced": results,
        "photoreal twin": [clip.twins["day"].rgb for clip in bench.clips],
    }
    return {name: [spread(frames, FRAMES) for frames in each] for name, each in clips.items()}


def seen(path: Path, encode) -> Tensor:
    """Features (N, D) of a real clip's frames at the world's size."""
    frames = torch.cat([resize(chunk, SIZE) for chunk in real_frames(path)])
    return encode(spread(frames, REAL))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = common.parser(__doc__.split("\n")[0])
    parser.add_argument("--real", type=Path, nargs="+", required=True, help="clips of a camera, best several")
    parser.add_argument("--scenes", type=int, default=len(HELD_OUT), help="fewer scenes, for a quick look")
    options = parser.parse_args(arguments)
    encode = load_foreign_eyes()
    real = [seen(path, encode) for path in options.real]
    frames = scene_frames(open_bench(HELD_OUT[: options.scenes]))
    rows = table(frames, torch.cat(real), encode)
    if len(real) > 1:
        rows.append({"row": "one real clip to the others", "kid": kernel_distance(real[0], torch.cat(real[1:]))})
    common.finish(
        options.json,
        rows,
        COLUMNS,
        [],
        seeds=list(HELD_OUT[: options.scenes]),
        frames=FRAMES,
        real_clips=len(real),
        real_frames=sum(map(len, real)),
        eyes=PACKAGE,
        command="python benchmarks/foreign_eyes.py --real A.mp4 B.mp4 --json OUT.json",
    )


if __name__ == "__main__":
    main()
