"""Traffic signs kept beyond their colour: is the outline still there, and can what is written on them still be read."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..conditions.weights import class_tags
from .base import Figure, check_masks, check_pair, luma, mean_figure
from .objects import Decision, lab
from .views import box, extent, views

BANDWIDTH = 8.0  # CIELAB units within which two colours are much the same
TOLD_APART = 0.5  # IoU with its mask that a sign's outline must reach in the source to be judged at all
SHAPE_KEPT = 0.7  # IoU with the source's outline below which a sign counts as lost
CONTRAST = 0.02  # standard deviation of the source's fine luma below which there is nothing to read
_SIDE = 24  # pixels along a sign's longer side that its outline is judged on


def outline(frame: Tensor, mask: Tensor, around: Tensor) -> Tensor:
    """Which pixels look like the sign and not like what is around it: (h, w) bool, of frame (h, w, 3) in [0, 1].

    mask, around: (h, w) bool, where the sign should be and what lies beside it. A pixel belongs to the sign where its
    colour is denser in the mask than around it: Gaussian kernel densities in CIELAB, without the pixel itself. So a
    sign of several colours has an outline too, and one that is gone has none.
    """
    colours = lab(frame.reshape(-1, 3).double())
    alike = torch.exp(-0.5 * (torch.cdist(colours, colours) / BANDWIDTH) ** 2).fill_diagonal_(0)
    inside, beside = (region.flatten().double() for region in (mask, around))
    densities = [alike @ region / (region.sum() - region).clamp_min(1) for region in (inside, beside)]
    return ((densities[0] > densities[1]).reshape(mask.shape)) & (mask | around)


def legibility(output: Tensor, source: Tensor, mask: Tensor) -> float | None:
    """max(0, r) min(1, s_output / s_source) of the fine luma in the mask; None where the source shows nothing to read.

    output, source (h, w, 3) in [0, 1]; mask (h, w) bool. Fine: less its mean over a quarter of the mask's longer side.
    r: correlation of the two, s: standard deviation. 1 for the same writing in any light that leaves it its contrast,
    0 for a blank face; other letters share what ink they share.
    """
    rows, columns = mask.any(1).sum(), mask.any(0).sum()
    radius = max(1, round(int(max(rows, columns)) / 8))
    ours, theirs = (_fine(luma(frame).double(), mask, radius) for frame in (output, source))
    spread = [float(values.std(unbiased=False)) for values in (ours, theirs)]
    if spread[1] < CONTRAST:
        return None
    together = float(((ours - ours.mean()) * (theirs - theirs.mean())).mean())
    # r s_output / s_source where the output has less contrast than the source, r elsewhere.
    return max(0.0, together) / (spread[1] * max(spread))


def _fine(plane: Tensor, mask: Tensor, radius: int) -> Tensor:
    """The values in the mask less the mean of those of the mask around them."""
    weight = mask.to(plane)
    sums = F.avg_pool2d(torch.stack([plane * weight, weight])[None], 2 * radius + 1, 1, radius)[0]
    return (plane - sums[0] / sums[1].clamp_min(1e-9))[mask]


class SignShapes:
    """`signs_shape`: mean IoU of the outlines of a sign in the output and in the source (see `outline`);
    `signs_legible`: mean `legibility` of its face.

    A sign is an instance (not 0) among `tags`, by default the class "signs", with at least `min_pixels` pixels in a
    frame. A view is left out where the source itself does not show it apart from what is around it (shape), or shows
    nothing on it (legibility).
    """

    def __init__(self, tags: tuple[int, ...] | None = None, min_pixels: int = 30) -> None:
        self.tags, self.min_pixels = class_tags("signs") if tags is None else tags, min_pixels
        self.decisions: list[Decision] = []
        self._shapes: list[float] = []
        self._legible: list[float] = []
        self._frames = 0

    def update(self, output: Tensor, source: Tensor, classes: Tensor, instances: Tensor) -> None:
        """output, source (T, H, W, 3) in [0, 1]; classes, instances (T, H, W) integers of the source."""
        output, source = check_pair(output, source, self._frames, "source")
        check_masks(output, classes, instances)
        wanted = torch.isin(classes.long(), torch.tensor(self.tags, dtype=torch.long, device=classes.device)).cpu()
        for t, (ours, theirs) in enumerate(zip(output.cpu(), source.cpu())):
            for name, mask in views(classes[t].cpu(), instances[t].cpu(), self.tags, self.min_pixels):
                self._judge(self._frames + t, name, ours, theirs, mask, wanted[t] & ~mask)
        self._frames += len(output)

    def _judge(self, t: int, name: int, ours: Tensor, theirs: Tensor, mask: Tensor, others: Tensor) -> None:
        part, step = _part(mask)
        ours, theirs, mask, others = (values[part] for values in (ours, theirs, mask, others))
        read = legibility(ours, theirs, mask)
        if read is not None:
            self._legible.append(read)
        ours, theirs, mask, others = (values[::step, ::step] for values in (ours, theirs, mask, others))
        seen, expected = (outline(frame, mask, ~mask & ~others) for frame in (ours, theirs))
        if iou(expected, mask) >= TOLD_APART:
            self._shapes.append(iou(seen, expected))
            alike = self._shapes[-1] >= SHAPE_KEPT
            self.decisions.append(Decision(int(name), t, "its outline", f"IoU {self._shapes[-1]:.2f}", alike))

    def compute(self) -> dict[str, Figure]:
        absent = f"no frame shows a traffic sign of at least {self.min_pixels} pixels"
        figures = {
            "signs_shape": (self._shapes, "that stands out from what is around it"),
            "signs_legible": (self._legible, "with something on its face"),
        }
        return {
            name: mean_figure(values, "", "higher", f"{absent} {which}", f"{len(values)} views")
            for name, (values, which) in figures.items()
        }


def iou(one: Tensor, other: Tensor) -> float:
    """Of two masks of which one at least is not empty."""
    return float((one & other).sum() / (one | other).sum())


def _part(mask: Tensor) -> tuple[tuple[slice, ...], int]:
    """Where a mask is, with half its longer side around it, and the step that leaves _SIDE pixels along that side."""
    spans = extent(mask)
    side = max(len(span) for span in spans)
    return box(spans, [max(2, side // 2)] * 2), -(-side // _SIDE)
