"""Distance of a clip's frames to a set of real frames as a feature network sees them: Frechet distance and KID."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from ..doors import open_picture
from ..errors import UserError
from ..video import media
from .base import Figure, check_frames
from .features import Encode
from .realism import FeatureStatistics, frechet_distance

_KEPT = 2048  # feature vectors kept on each side for KID
_PICTURES = (".png", ".jpg", ".jpeg", ".webp")
_CLIPS = (".mp4", ".mov", ".mkv", ".webm", ".avi")


def kernel_distance(x: Tensor, y: Tensor) -> float:
    """KID of Binkowski et al. 2018, section 4: unbiased MMD^2 with the kernel k(a, b) = (a.b / D + 1)^3.

    x (N, D), y (M, D), N and M at least 2. 0 in expectation for one distribution, so small values may be negative.
    Over all pairs at once, where other programs average over random subsets: the same expectation, less noise.
    """
    x, y = x.double(), y.double()
    n, m, d = len(x), len(y), x.shape[1]
    xx, yy, xy = (((a @ b.T) / d + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    own = (xx.sum() - xx.trace()) / (n * (n - 1)) + (yy.sum() - yy.trace()) / (m * (m - 1))
    return float(own - 2 * xy.mean())


def cmmd(x: Tensor, y: Tensor) -> float:
    """CMMD of Jayasumana et al. 2024, section 4: 1000 times the squared MMD with the kernel exp(-|a - b|^2 / (2 10^2)).

    x (N, D), y (M, D): CLIP embeddings, brought to unit length here. The V-statistic of the authors' code, all pairs
    and the diagonals too: never negative, 0 for equal sets.
    """
    x, y = (v.double() / v.double().norm(dim=1, keepdim=True) for v in (x, y))
    xx, yy, xy = (torch.exp((a @ b.T - 1) / 10**2).mean() for a, b in ((x, x), (y, y), (x, y)))
    return 1000 * float(xx + yy - 2 * xy)


def frechet_figure(a: FeatureStatistics, b: FeatureStatistics, what: str) -> Figure:
    """The Frechet distance of two sets as a figure, undefined with fewer than two on a side."""
    if min(a.count, b.count) < 2:
        absent = "no real frames were given" if b.count == 0 else f"needs at least two {what} on each side"
        return Figure(None, "", "lower", absent)
    note = f"{a.count} and {b.count} {what}, {len(a.mean)} features"
    if min(a.count, b.count) <= len(a.mean):
        note += ", fewer than features, which biases it upwards"
    return Figure(frechet_distance(a.mean, a.covariance, b.mean, b.covariance), "", "lower", note)


class RealDistance:
    """`real_frechet`, `real_kid`, `real_cmmd`: distances of the output's frames to real ones in a network's space.

    With Inception's pool features `real_frechet` is FID, with CLIP's `real_cmmd` is CMMD; numbers compare only with
    ones of the same network and the same real frames. KID and CMMD are taken over at most 2048 frames a side, evenly
    drawn with a fixed seed, so that memory stays constant.
    """

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._statistics = [FeatureStatistics(), FeatureStatistics()]
        self._kept: list[list[Tensor]] = [[], []]
        self._draw = [torch.Generator().manual_seed(side) for side in (0, 1)]
        self._frames = 0

    def update(self, output: Tensor) -> None:
        """output (T, H, W, 3) in [0, 1]."""
        self._add(0, check_frames(output, "output", self._frames))
        self._frames += len(output)

    def update_real(self, real: Tensor) -> None:
        """Real frames (T, H, W, 3) in [0, 1] of any size, as many as wanted."""
        self._add(1, check_frames(real, "real frames"))

    def _add(self, side: int, frames: Tensor) -> None:
        if len(frames) == 0:
            return
        with torch.no_grad():
            features = self._encode(frames).float().cpu()
        for i, feature in enumerate(features, self._statistics[side].count):
            if len(self._kept[side]) < _KEPT:
                self._kept[side].append(feature)
            else:  # reservoir sampling (Vitter 1985): every frame so far is kept with the same chance
                place = int(torch.randint(i + 1, (), generator=self._draw[side]))
                if place < _KEPT:
                    self._kept[side][place] = feature
        self._statistics[side].update(features)

    def compute(self) -> dict[str, Figure]:
        frechet = frechet_figure(*self._statistics, "frames")
        figures = {"real_frechet": frechet}
        for name, distance in (("real_kid", kernel_distance), ("real_cmmd", cmmd)):
            value = None if frechet.value is None else distance(*(torch.stack(features) for features in self._kept))
            note = frechet.note if value is None else ", ".join(frechet.note.split(", ")[:2])
            figures[name] = Figure(value, "", "lower", note)
        return figures


def real_frames(path: str | os.PathLike | Tensor, chunk: int = 16) -> Iterator[Tensor]:
    """Real frames as chunks (T, H, W, 3) in [0, 1]: a clip, a folder of pictures (PNG, JPEG, WebP) and clips, a tensor.

    A chunk holds frames of one size. UserError where there is nothing of that kind.
    """
    if isinstance(path, Tensor):
        yield from path.split(chunk)
        return
    pictures, clips = _found(Path(path))
    yield from _joined((_picture(p) for p in pictures), chunk)
    for clip in clips:
        yield from _joined(media.read_frames(clip), chunk)


def real_clips(path: str | os.PathLike | Tensor, chunk: int = 16) -> Iterator[Iterator[Tensor]]:
    """The clips among the real frames, each as chunks; frames in a tensor are one clip, single pictures are none."""
    if isinstance(path, Tensor):
        yield iter(path.split(chunk))
        return
    for clip in _found(Path(path))[1]:
        yield _joined(media.read_frames(clip), chunk)


def _found(path: Path) -> tuple[list[Path], list[Path]]:
    """Pictures and clips of a folder, or a file as a clip."""
    if not path.is_dir():
        return [], [path]
    pictures = sorted(p for p in path.iterdir() if p.suffix.lower() in _PICTURES)
    clips = sorted(p for p in path.iterdir() if p.suffix.lower() in _CLIPS)
    if not pictures and not clips:
        raise UserError(f"{path} holds no PNG, JPEG or WebP picture and no video: give a folder of real frames.")
    return pictures, clips


def _picture(path: Path) -> Tensor:
    import numpy as np

    with open_picture(path, "remove it or save it again") as image:
        return torch.from_numpy(np.array(image.convert("RGB")))


def _joined(frames: Iterator[Tensor], chunk: int) -> Iterator[Tensor]:
    held: list[Tensor] = []
    for frame in frames:
        if held and (len(held) == chunk or frame.shape != held[0].shape):
            yield torch.stack(held).float() / 255
            held = []
        held.append(frame)
    if held:
        yield torch.stack(held).float() / 255
