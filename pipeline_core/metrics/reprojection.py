"""3-D consistency where depth and cameras are known: what stands still has to be where geometry puts it."""

from __future__ import annotations

from collections import deque

import torch
from torch import Tensor
from torch.nn import functional as F

from ..conditions.buffers import Buffers
from ..conditions.cameras import Cameras, read_cameras
from ..conditions.segmentation import TAG, VEHICLE_TAGS
from ..errors import UserError
from .base import Figure, check_frames, luma, mean_figure
from .temporal import warp_back

MOVING = (*VEHICLE_TAGS, *(TAG[name] for name in ("sky", "pedestrian", "rider", "dynamic")))  # or infinitely far
GAP = 4  # frames between two that are compared: nearer ones hardly differ, those farther apart share less
_HIDDEN = 0.05  # share by which a point may be farther than what the other frame shows in its place
_BLOCK = 16  # pixels along the side of a block that has one shift
_TEXTURE = 1e-5  # mean square gradient of luma, along its weakest direction, below which a block tells no shift
_SEEN = 0.75  # share of a block that has to be in both frames


class Reprojection:
    """`reprojection_error` and `reprojection_shift`: how the output breaks the geometry of its own scene.

    Every point of a static surface is put into the frame GAP earlier by the depth and the cameras of the simulator
    (x' ~ K (R' R^T (z K^-1 x - t) + t')), where that frame shows it. The error is the mean |difference| over channels
    and those points. The shift is how far, in pixels, each block's texture lies from where it should, by least squares
    on the luma's gradient with an offset for light that changes (Lucas & Kanade 1981): the median over blocks, the mean
    over frames. It is a small-shift figure: beyond some two pixels it says too little, and the error goes on rising.
    """

    def __init__(self, cameras: Cameras | None) -> None:
        self.cameras, self._earlier, self._frames = cameras, deque(maxlen=GAP), 0
        self.series: dict[str, list] = {"reprojection_error": [], "reprojection_shift": []}

    def update(self, output: Tensor, depth: Tensor, classes: Tensor) -> None:
        """output (T, H, W, 3) in [0, 1]; depth (T, H, W) metres along the axis and classes (T, H, W) CARLA's tags, both
        of the source."""
        output = check_frames(output, "output", self._frames)
        if not depth.shape == classes.shape == output.shape[:3]:
            raise UserError(
                f"Depth {tuple(depth.shape)} and classes {tuple(classes.shape)} came for an output "
                f"{tuple(output.shape)}: give (T, H, W) of the same frames and size."
            )
        static = ~torch.isin(classes.long(), torch.tensor(MOVING, device=classes.device))
        for view in zip(output.cpu(), depth.cpu().float(), static.cpu()):
            error = shift = None
            if len(self._earlier) == GAP:
                error, shift = self._pair(view, self._earlier[0], self._frames)
            self.series["reprojection_error"].append(error)
            self.series["reprojection_shift"].append(shift)
            self._earlier.append(view)
            self._frames += 1

    def _pair(
        self, view: tuple[Tensor, ...], earlier: tuple[Tensor, ...], frame: int
    ) -> tuple[float | None, float | None]:
        (now, depth, static), (then, depth_then, static_then) = view, earlier
        moved, far = self.cameras.displacement(depth, frame, frame - GAP)
        (fetched,), (inside,) = warp_back(then[None], moved[None])
        nearest = _nearest(torch.stack([depth_then, static_then.float()], -1), moved, inside)
        shown = inside & static & (nearest[..., 1] > 0.5) & ((far - nearest[..., 0]).abs() <= _HIDDEN * far)
        if not shown.any():
            return None, None
        error = float((fetched - now)[shown].abs().mean())
        return error, block_shift(luma(now), luma(fetched), shown)

    def compute(self) -> dict[str, Figure]:
        few = f"no static surface is seen again {GAP} frames later" if self._frames > GAP else f"{GAP} frames or fewer"
        units, apart = {"reprojection_error": "", "reprojection_shift": "px"}, f"{GAP} frames apart"
        return {name: mean_figure(self.series[name], unit, "lower", few, apart) for name, unit in units.items()}


def reprojection_of(buffers: Buffers | None) -> tuple[Reprojection, str | None]:
    """The metric for a clip with these buffers, and why it cannot be fed, None where it can."""
    cameras = None if buffers is None else read_cameras(buffers.scene, buffers.frames)
    known = cameras is not None and {"depth", "semantic"} <= set(buffers.channels)
    missing = None if known else "not measured: give buffers with depth, classes and, in scene.json, cameras"
    return Reprojection(cameras), missing


def block_shift(now: Tensor, fetched: Tensor, shown: Tensor) -> float | None:
    """Median over blocks of |d| in pixels, with fetched(p) = now(p + d) + offset to first order; None where no block
    has texture. now, fetched: luma (H, W); shown: bool (H, W), where both count."""
    mean = F.pad((now + fetched)[None, None] / 2, (1, 1, 1, 1), mode="replicate")[0, 0]
    across, down = (mean[1:-1, 2:] - mean[1:-1, :-2]) / 2, (mean[2:, 1:-1] - mean[:-2, 1:-1]) / 2
    # A pixel's gradient reaches to its neighbours, which have to count too.
    inner = -F.max_pool2d(-shown[None].float(), 3, 1, 1)[0]
    values = torch.stack([across, down, fetched - now, inner])
    rows, columns = (side // _BLOCK for side in now.shape)
    if not rows * columns:
        return None
    cut = values[:, : rows * _BLOCK, : columns * _BLOCK]
    blocks = cut.unflatten(1, (rows, _BLOCK)).unflatten(3, (columns, _BLOCK)).movedim(3, 2).flatten(1, 2).flatten(2)
    weights = blocks[3].double()
    count = weights.sum(-1).clamp(min=1)
    centred = blocks[:3].double() - ((blocks[:3].double() * weights).sum(-1) / count)[..., None]
    gram = torch.einsum("anp,bnp,np->nab", centred, centred, weights) / count[:, None, None]
    matrix, answer = gram[:, :2, :2], gram[:, :2, 2]
    usable = (count >= _SEEN * _BLOCK**2) & (torch.linalg.eigvalsh(matrix)[:, 0] > _TEXTURE)
    if not usable.any():
        return None
    return float(torch.linalg.solve(matrix[usable], answer[usable]).norm(dim=-1).median())


def _nearest(values: Tensor, moved: Tensor, inside: Tensor) -> Tensor:
    """values (H, W, C) at the pixel nearest to p + moved(p); of anything where that is not inside."""
    height, width = inside.shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    steps = torch.where(inside[..., None], moved, 0.0).round().long()
    return values[(y + steps[..., 1]).clamp(0, height - 1), (x + steps[..., 0]).clamp(0, width - 1)]
