"""Control maps against those that a release published of the same clip.

    python benchmarks/release_maps.py CLIP --edge MAP --blur MAP --json benchmarks/results/release_maps.json

For Cosmos-Transfer1's example1 (assets of its repository: example1_input_video, example1_edge, example1_vis.mp4). The
clip's frames are read twice: as FFmpeg converts them unasked, which is how the releases read theirs, and by this pack,
which rounds exactly; they differ by one level of 255 on average. Edges: F1 with a tolerance of one pixel at the preset
medium, by every operator. Blur: PSNR over all values, and the same with the mean difference of each channel (`shift`,
in levels) taken out, which no blur makes: whoever wrote the published file darkened it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import common  # noqa: E402
from pipeline_core.conditions.blur import BLUR_STRENGTHS, blur_map  # noqa: E402
from pipeline_core.conditions.edges import CANNY_PRESETS, EDGE_OPERATORS, edge_map  # noqa: E402
from pipeline_core.video.media import read_frames  # noqa: E402

SLOW = ("high",)  # two thousand taps a pixel
COLUMNS = ("map", "made_by", "read_by", "f1", "pixels", "their_pixels", "psnr", "psnr_unshifted", "shift")


def as_ffmpeg(path: Path) -> Iterator[Tensor]:
    """Frames (H, W, 3) uint8 by swscale's defaults."""
    import av

    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield torch.from_numpy(frame.to_ndarray(format="rgb24"))


READERS = {"ffmpeg": as_ffmpeg, "pack": read_frames}


def pairs(clip: Path, published: Path, reader: Callable, every: int) -> list[tuple[Tensor, Tensor]]:
    """Frames of both (H, W, 3) in [0, 1], every so many."""
    both = islice(zip(reader(clip), read_frames(published)), 0, None, every)
    return [(frame.float() / 255, wanted.float() / 255) for frame, wanted in both]


def near(edges: Tensor) -> Tensor:
    """(H, W) bool: what is within a pixel of an edge."""
    return F.max_pool2d(edges[None, None].float(), 3, 1, 1)[0, 0] > 0


def edge_row(frames: list[tuple[Tensor, Tensor]], operator: str) -> dict:
    ours, theirs, right, matched = 0, 0, 0, 0
    for frame, wanted in frames:
        wanted = wanted.mean(-1) > 0.5
        edges = edge_map(frame[None], *CANNY_PRESETS["medium"], operator=operator)[0] > 0
        right += int((edges & near(wanted)).sum())
        matched += int((wanted & near(edges)).sum())
        ours, theirs = ours + int(edges.sum()), theirs + int(wanted.sum())
    precision, recall, pixels = right / ours, matched / theirs, len(frames) * wanted.numel()
    f1 = 2 * precision * recall / (precision + recall)
    return {"map": "edge", "made_by": operator, "f1": f1, "pixels": ours / pixels, "their_pixels": theirs / pixels}


def blur_row(frames: list[tuple[Tensor, Tensor]], strength: str) -> dict:
    errors = torch.stack([wanted - blur_map(frame[None], strength)[0] for frame, wanted in frames])
    shift = errors.mean((1, 2), keepdim=True)
    psnr, unshifted = (float(-10 * values.square().mean().log10()) for values in (errors, errors - shift))
    levels = [round(float(level), 2) for level in 255 * shift.mean((0, 1, 2))]
    return {"map": "blur", "made_by": strength, "psnr": psnr, "psnr_unshifted": unshifted, "shift": levels}


def promises(rows: list[dict]) -> list[common.Promise]:
    by = {(row["made_by"], row["read_by"]): row for row in rows}
    promised = []
    for reader in READERS:
        promised += [
            common.Promise(f"edges, colour, read by {reader}: F1 at 1 px", by["colour", reader]["f1"], 0.995),
            common.Promise(f"blur, gaussian, read by {reader}: dB", by["gaussian", reader]["psnr"], 38.0),
        ]
    return promised


def main() -> None:
    parser = common.parser(__doc__.split("\n")[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--edge", type=Path, required=True)
    parser.add_argument("--blur", type=Path, required=True)
    parser.add_argument("--every", type=int, default=20, help="use every so many frames")
    options = parser.parse_args()
    rows = []
    for name, reader in READERS.items():
        edges, blurs = (pairs(options.clip, path, reader, options.every) for path in (options.edge, options.blur))
        rows += [{**edge_row(edges, operator), "read_by": name} for operator in EDGE_OPERATORS]
        rows += [{**blur_row(blurs, strength), "read_by": name} for strength in BLUR_STRENGTHS if strength not in SLOW]
    about = {"clip": options.clip.name, "frames": len(edges), "every": options.every}
    common.finish(options.json, rows, COLUMNS, promises(rows), **about)


if __name__ == "__main__":
    main()
