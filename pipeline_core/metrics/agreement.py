"""Do depth and segmentation of the output agree with the source's: depth si-RMSE and mask mIoU of PAI-Bench.

Definitions read in SHI-Labs/physical-ai-bench, transfer/benchmark_pipelines/scores/transfer_bench; written anew.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from .base import Figure, mean_figure

_MATCHED = 0.1  # IoU above which a mask counts as found


class DepthRMSE:
    """`depth_si_rmse`: root mean square depth difference after scaling each output frame to the source's median.

    PAI-Bench's form of the scale-invariant error (after MegaDepth 2018, equation 2, without its logarithm): mean over
    frames of sqrt(mean((source - output * median(source) / median(output))^2)), over pixels where both are above 0
    and finite. The unit is that of the source's map; the benchmark feeds the disparity of one estimator for both.
    The median of an even count is the mean of the middle two. Frames without a valid pixel are left out (the
    benchmark counts them as 0).
    """

    def __init__(self, unit: str = "") -> None:
        self.unit, self._frames = unit, 0
        self.series: dict[str, list] = {"depth_si_rmse": []}

    def update(self, output: Tensor, source: Tensor) -> None:
        """Depth or disparity (T, H, W) of the same frames, above 0; 0, negative, inf and NaN mean "not known"."""
        if output.shape != source.shape or output.dim() != 3:
            raise UserError(
                f"Depth of shapes {tuple(output.shape)} and {tuple(source.shape)} came: give two maps (T, H, W) of one "
                "shape."
            )
        for ours, theirs in zip(output.cpu().double(), source.cpu().double()):
            valid = (ours > 0) & (theirs > 0) & ours.isfinite() & theirs.isfinite()
            value = None
            if bool(valid.any()):
                a, b = ours[valid].numpy(), theirs[valid].numpy()
                value = math.sqrt(np.square(b - a * (np.median(b) / np.median(a))).mean())
            self.series["depth_si_rmse"].append(value)
        self._frames += len(output)

    def compute(self) -> dict[str, Figure]:
        absent = "no pixel has a depth in both clips" if self._frames else "no frames"
        return {"depth_si_rmse": mean_figure(self.series["depth_si_rmse"], self.unit, "lower", absent, "PAI-Bench")}


class MaskIoU:
    """`mask_miou` and `mask_recall` of the masks of the output against the source's.

    As PAI-Bench: a mask is all pixels of one label over the whole clip; the IoU of every source mask with every
    output mask makes a matrix, the Hungarian method picks the pairs of largest total, whatever their labels; mIoU is
    the mean over the pairs above 0.1, recall their share. `ignore`: labels that are no mask, by default 0.
    """

    def __init__(self, ignore: tuple[int, ...] = (0,)) -> None:
        self.ignore, self._pairs, self._frames = frozenset(ignore), {}, 0

    def update(self, output: Tensor, source: Tensor) -> None:
        """Labels (T, H, W), integers, of the same frames."""
        whole = not (output.is_floating_point() or source.is_floating_point())
        if output.shape != source.shape or output.dim() != 3 or not whole:
            raise UserError(
                f"Labels of {output.dtype} {tuple(output.shape)} and {source.dtype} {tuple(source.shape)} came: "
                "give two integer maps (T, H, W) of one shape."
            )
        joined = torch.stack([source.long().flatten(), output.long().flatten()], 1)
        pairs, counts = joined.unique(dim=0, return_counts=True)
        for pair, count in zip(map(tuple, pairs.tolist()), counts.tolist()):
            self._pairs[pair] = self._pairs.get(pair, 0) + count
        self._frames += len(output)

    def iou(self) -> tuple[list[int], list[int], list[list[float]]]:
        """Source labels, output labels, and the IoU of each with each over the clip so far."""
        sizes: list[dict[int, int]] = [{}, {}]
        for pair, count in self._pairs.items():
            for side in (0, 1):
                sizes[side][pair[side]] = sizes[side].get(pair[side], 0) + count
        source, output = (sorted(set(size) - self.ignore) for size in sizes)
        matrix = []
        for a in source:
            both = [self._pairs.get((a, b), 0) for b in output]
            matrix.append([n / (sizes[0][a] + sizes[1][b] - n) for b, n in zip(output, both)])
        return source, output, matrix

    def compute(self) -> dict[str, Figure]:
        source, output, matrix = self.iou()
        if not source:
            note = "no masks in the source" if self._frames else "no frames"
            return {name: Figure(None, "", "higher", note) for name in ("mask_miou", "mask_recall")}
        pairs = assign(matrix) if output else []
        ious = [matrix[i][j] for i, j in pairs if matrix[i][j] > _MATCHED]
        note = f"PAI-Bench, {len(ious)} of {len(source)} masks found"
        miou = Figure(math.fsum(ious) / len(ious), "", "higher", note) if ious else Figure(None, "", "higher", note)
        recall = len(ious) / min(len(source), len(output)) if output else 0.0
        return {"mask_miou": miou, "mask_recall": Figure(recall, "", "higher", note)}


def assign(gain: list[list[float]]) -> list[tuple[int, int]]:
    """Pairs (row, column) of largest total gain, each row and column at most once: the Hungarian method.

    Shortest augmenting paths with potentials (Kuhn 1955, Munkres 1957); min(rows, columns) pairs, rows ascending.
    """
    if len(gain) > len(gain[0]):
        flipped = assign([list(column) for column in zip(*gain)])
        return sorted((i, j) for j, i in flipped)
    rows, columns = len(gain), len(gain[0])
    u, v = [0.0] * (rows + 1), [0.0] * (columns + 1)
    owner, before = [0] * (columns + 1), [0] * (columns + 1)  # row of each column, and the path; 0 is "none"
    for row in range(1, rows + 1):
        owner[0], column = row, 0
        least, used = [math.inf] * (columns + 1), [False] * (columns + 1)
        while owner[column]:
            used[column] = True
            i, step, following = owner[column], math.inf, 0
            for j in range(1, columns + 1):
                if not used[j]:
                    reduced = -gain[i - 1][j - 1] - u[i] - v[j]
                    if reduced < least[j]:
                        least[j], before[j] = reduced, column
                    if least[j] < step:
                        step, following = least[j], j
            for j in range(columns + 1):
                if used[j]:
                    u[owner[j]] += step
                    v[j] -= step
                else:
                    least[j] -= step
            column = following
        while column:
            owner[column] = owner[before[column]]
            column = before[column]
    return sorted((owner[j] - 1, j - 1) for j in range(1, columns + 1) if owner[j])
