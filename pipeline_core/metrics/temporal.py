"""Steadiness over time: the error along known motion, frame differences against a reference, and flicker."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import UserError
from .base import Figure, check_frames, check_pair, luma

_REGIONS = 4  # flicker is looked at in a 4 x 4 grid of regions


def warp_back(after: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """Fetch frame t + 1 to where its points were in frame t: value at p is after[p + flow(p)].

    after: (N, H, W, C), frames t + 1; flow: (N, H, W, 2), forward flow (dx, dy) in pixels from frame t to t
    + 1. Returns the bilinear samples (N, H, W, C) and a bool mask (N, H, W) of where they are defined:
    finite flow that stays inside the picture.
    """
    N, H, W, _ = after.shape
    y, x = torch.meshgrid(torch.arange(H, device=flow.device), torch.arange(W, device=flow.device), indexing="ij")
    tx, ty = x + flow[..., 0], y + flow[..., 1]
    inside = (tx >= 0) & (tx <= W - 1) & (ty >= 0) & (ty <= H - 1)  # False for NaN
    tx, ty = (torch.where(inside, v, torch.zeros_like(v)) for v in (tx, ty))
    grid = torch.stack([2 * tx / max(1, W - 1) - 1, 2 * ty / max(1, H - 1) - 1], -1)
    sampled = F.grid_sample(after.permute(0, 3, 1, 2), grid, mode="bilinear", align_corners=True)
    return sampled.permute(0, 2, 3, 1), inside


def change_along(
    before: Tensor, after: Tensor, flow: Tensor, ids: Tensor | None = None, ids_after: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """What changes along the motion from one frame to the next: after(p + flow(p)) - before(p), and where it counts.

    before, after (H, W, C); flow (H, W, 2) as `warp_back` takes it; ids (H, W) of both frames: a point counts only
    where its nearest pixel in the next frame has the same id. Returns (H, W, C), 0 where it does not count, and the
    bool mask (H, W).
    """
    back, valid = (v[0] for v in warp_back(after[None], flow[None]))
    if ids is not None:
        y, x = torch.meshgrid(*(torch.arange(n, device=ids.device) for n in ids.shape), indexing="ij")
        target = torch.stack([y, x], -1) + torch.where(valid[..., None], flow.flip(-1), 0).round().long()
        valid = valid & (ids_after[target[..., 0], target[..., 1]] == ids)
    return torch.where(valid[..., None], back - before, 0.0), valid


def check_motion(output: Tensor, flow: Tensor, ids: Tensor | None) -> None:
    """UserError unless flow is (T, H, W, 2) and ids, if any, (T, H, W) for an output (T, H, W, 3)."""
    if flow.shape != (*output.shape[:3], 2):
        raise UserError(
            f"Flow of shape {tuple(flow.shape)} came for an output of shape {tuple(output.shape)}: "
            "give (T, H, W, 2) of the same frames and size."
        )
    if ids is not None and ids.shape != output.shape[:3]:
        raise UserError(f"Ids of shape {tuple(ids.shape)} came: give (T, H, W) of the output's size.")


class FlowError:
    """How much the picture changes along the given motion: the warped error, and the flicker in it.

    `warped_error` is the mean |frame_t(p) - frame_{t+1}(p + flow_t(p))| over channels and all pixels whose
    point stays in view. The flow is the source's own, from the simulator: flow estimated on the output
    would follow its faults. `flicker` is the mean over a 4 x 4 grid of regions of the absolute *regional
    mean* of the luma change along the motion: brightness that jumps counts, texture that moves does not,
    and fine noise averages out.
    """

    def __init__(self) -> None:
        self._last = None
        self._error, self._pixels, self._flicker, self._regions, self._frames = 0.0, 0, 0.0, 0, 0
        self.series: dict[str, list] = {"warped_error": [], "flicker": []}

    def update(self, output: Tensor, flow: Tensor, ids: Tensor | None = None) -> None:
        """output (T, H, W, 3) in [0, 1]; flow (T, H, W, 2) forward pixels (dx, dy) from each frame to the
        next.

        `ids` (T, H, W) integers, the instance or class of every pixel: a point counts only if its pixel in
        the next frame has the same id, which leaves out what gets covered on the way. The last flow of the
        clip is not used.
        """
        output = check_frames(output, "output", self._frames)
        check_motion(output, flow, ids)
        ids = torch.zeros(output.shape[:3], dtype=torch.int32, device=output.device) if ids is None else ids
        for frame, motion, identity in zip(output, flow.float(), ids):
            error, flicker = (None, None) if self._last is None else self._pair(*self._last, frame, identity)
            self.series["warped_error"].append(error)
            self.series["flicker"].append(flicker)
            self._last = (frame, motion, identity)
        self._frames += len(output)

    def _pair(
        self, before: Tensor, flow: Tensor, ids: Tensor, after: Tensor, ids_after: Tensor
    ) -> tuple[float | None, float | None]:
        change, valid = change_along(before, after, flow, ids, ids_after)
        error, pixels, jumps = float(change.abs().double().sum()), int(valid.sum()), []
        light = luma(change)
        for row, seen in zip(light.tensor_split(_REGIONS), valid.tensor_split(_REGIONS)):
            for region, count in zip(row.tensor_split(_REGIONS, 1), seen.tensor_split(_REGIONS, 1)):
                if n := int(count.sum()):
                    jumps.append(abs(float(region.double().sum())) / n)
        self._error += error
        self._pixels += pixels
        self._flicker += sum(jumps)
        self._regions += len(jumps)
        return (error / pixels / 3, sum(jumps) / len(jumps)) if pixels else (None, None)

    def compute(self) -> dict[str, Figure]:
        if self._pixels == 0:
            note = "fewer than two frames" if self._frames < 2 else "no point stays in view between frames"
            return {name: Figure(None, "", "lower", note) for name in ("warped_error", "flicker")}
        return {
            "warped_error": Figure(self._error / self._pixels / 3, "", "lower"),
            "flicker": Figure(self._flicker / self._regions, "", "lower"),
        }


class FrameDifferenceError:
    """tde: mean |(out_{t+1} - out_t) - (ref_{t+1} - ref_t)|, motion and noise as the reference has them, and
    `motion_ratio`: the mean |out_{t+1} - out_t| over the reference's, 1 where both move equally much."""

    def __init__(self) -> None:
        self._last = None
        self._error, self._ours, self._theirs, self._count, self._frames = 0.0, 0.0, 0.0, 0, 0
        self.series: dict[str, list] = {"tde": []}

    def update(self, output: Tensor, reference: Tensor) -> None:
        """Both (T, H, W, 3) in [0, 1]."""
        output, reference = check_pair(output, reference, self._frames)
        for frame, other in zip(output, reference):
            if self._last is None:
                self.series["tde"].append(None)
            else:
                ours, theirs = frame - self._last[0], other - self._last[1]
                error = _absolute_sum(ours - theirs)
                self.series["tde"].append(error / frame.numel())
                self._error += error
                self._ours += _absolute_sum(ours)
                self._theirs += _absolute_sum(theirs)
                self._count += frame.numel()
            self._last = (frame, other)
        self._frames += len(output)

    def compute(self) -> dict[str, Figure]:
        if self._count == 0:
            note = "fewer than two frames"
            return {"tde": Figure(None, "", "lower", note), "motion_ratio": Figure(None, "", "", note)}
        still = self._theirs == 0
        ratio = Figure(None, "", "", "nothing moves in the reference") if still else None
        return {
            "tde": Figure(self._error / self._count, "", "lower"),
            "motion_ratio": ratio or Figure(self._ours / self._theirs),
        }


def _absolute_sum(planes: Tensor) -> float:
    """Sum of absolute values of (H, W, C), float32 down a column only and float64 from there."""
    return float(torch.linalg.vector_norm(planes, 1, dim=0).double().sum())
