"""What every metric shares: a figure with its unit, and the check of the frames that come in.

A metric is an object with `update(chunk)`, to be called once per chunk of frames in order, and `compute()`,
which returns {name: Figure}. Chunks of any length give the same figures as the whole clip at once. A figure
that is not defined for a clip has the value None and says why; it is never 0. A metric that has a value of every
frame keeps them in `series`, {name: [value or None per frame]}, a few bytes per frame, for plots; what belongs to
a step between two frames stands at the later one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import UserError


@dataclass(frozen=True)
class Figure:
    """One number: its value (None when undefined), unit, the better direction, and a remark (why None, on
    what)."""

    value: float | None
    unit: str = ""
    better: str = ""  # "higher", "lower" or "" where neither is
    note: str = ""


def check_frames(frames: Tensor, what: str = "frames", first: int = 0) -> Tensor:
    """Frames as float32 after making sure that they are (T, H, W, 3) in [0, 1].

    Raises UserError for another shape or type, values outside [0, 1] and NaN, naming the frame (counted
    from `first`).
    """
    if frames.dim() != 4 or frames.shape[-1] != 3 or not frames.is_floating_point():
        raise UserError(
            f"The {what} came as {frames.dtype} of shape {tuple(frames.shape)}: give floats (T, H, W, 3) in [0, 1]."
        )
    if 0 in frames.shape[1:3]:
        raise UserError(f"The {what} came with frames of {frames.shape[1]}x{frames.shape[2]}: give frames with pixels.")
    frames = frames.float()
    version = _version(frames)
    if frames.numel() == 0 or (version is not None and getattr(frames, "_checked_version", None) == version):
        return frames
    # Over all at once this is many times faster than per frame; planes lie in one piece where `as_planes` made them.
    planes = frames.movedim(-1, 1)
    low, high = (float(v) for v in torch.aminmax(planes if planes.is_contiguous() else frames))
    if low >= -1e-3 and high <= 1 + 1e-3:  # a NaN fails both comparisons
        frames._checked_version = version  # many metrics look at one chunk: the first of them checks it
        return frames
    low, high = frames.flatten(1).aminmax(dim=1)
    bad = ~((low >= -1e-3) & (high <= 1 + 1e-3))
    t = int(bad.nonzero()[0])
    raise UserError(
        f"Frame {first + t} of the {what} has values from {float(low[t]):.3g} to {float(high[t]):.3g}: "
        "give values in [0, 1]."
    )


def _version(frames: Tensor) -> int | None:
    """Counts the changes made to a tensor in place; None, so never known as checked, where PyTorch keeps no count."""
    return None if frames.is_inference() else frames._version


def as_planes(frames: Tensor) -> Tensor:
    """The same frames (T, H, W, 3), laid out in memory channel by channel, which is what most metrics are fast at."""
    return frames.movedim(-1, 1).contiguous().movedim(1, -1)


def check_pair(output: Tensor, reference: Tensor, first: int = 0, other: str = "reference") -> tuple[Tensor, Tensor]:
    """Both clips checked as `check_frames` does, and that they have the same number and size of frames."""
    if output.shape != reference.shape:
        raise UserError(
            f"The output came as {tuple(output.shape)} and the {other} as {tuple(reference.shape)}: "
            "give clips of the same number and size of frames."
        )
    return check_frames(output, "output", first), check_frames(reference, other, first)


def check_masks(output: Tensor, classes: Tensor, instances: Tensor) -> None:
    """UserError unless classes and instances are (T, H, W), of the output's (T, H, W, 3) frames."""
    if not classes.shape == instances.shape == output.shape[:3]:
        raise UserError(
            f"Classes {tuple(classes.shape)} and instances {tuple(instances.shape)} came for an output "
            f"{tuple(output.shape)}: give (T, H, W) of the same frames and size."
        )


def luma(frames: Tensor) -> Tensor:
    """BT.709 luma of (..., 3) R'G'B' frames."""
    r, g, b = frames.unbind(-1)
    return (0.2126 * r).add_(g, alpha=0.7152).add_(b, alpha=0.0722)


def mean_figure(values: list[float | None], unit: str, better: str, absent: str, note: str = "") -> Figure:
    """The mean of the per-frame values that are defined; undefined with the reason `absent` if there is none."""
    defined = [value for value in values if value is not None]
    if not defined:
        return Figure(None, unit, better, absent)
    missing = len(values) - len(defined)
    remark = f"on {len(defined)} of {len(values)} frames" if missing else ""
    return Figure(math.fsum(defined) / len(defined), unit, better, "; ".join(filter(None, [note, remark])))
