"""What the output still shows of the source, and what it shows beyond it, by maps of colours: no detector is asked."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from .base import Figure, check_masks, check_pair
from .views import box, extent, views

CONTRAST = 0.02  # standard deviation of colours below which there is nothing to be told apart
FEWEST = 3  # views below which an object is not looked at: one frame says little
_RIDGE = 1e-4  # variance of noise of a few levels, by which nothing is explained
_SIDE = 32  # pixels along an object's longer side that it is judged on
_REGIONS, _REGION = 6, 16  # regions along a frame's height, and pixels along the side of one


def explained(seen: Tensor, wanted: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """How much of the values `wanted` the best affine map of the values `seen` explains.

    seen (..., N, A), wanted (..., N, B): of the same N pixels; weights (..., N, 1) of them in [0, 1], None is 1. Least
    squares over M (A, B) and b (B,), with a small ridge on M. Returns the residual sum(w |wanted - (seen M + b)|^2) / N
    and the variance sum(w |wanted - mean|^2) / N, each (...) and float64; R^2 is 1 - residual / variance.
    """
    weights = torch.ones_like(seen[..., :1]) if weights is None else weights
    weights, size = weights.double(), seen.shape[-1]
    count = weights.sum(-2, keepdim=True).clamp(min=1e-6)
    ours, theirs = (
        (values - (weights * values).sum(-2, keepdim=True) / count) * weights.sqrt()
        for values in (seen.double(), wanted.double())
    )
    gram = ours.mT @ ours + count * _RIDGE * torch.eye(size, dtype=torch.float64, device=ours.device)
    rest = theirs - ours @ torch.linalg.solve(gram, ours.mT @ theirs)
    return tuple(values.square().sum((-2, -1)) / seen.shape[-2] for values in (rest, theirs))


def quadratic(colours: Tensor) -> Tensor:
    """Colours (..., 3) with their squares and products, (..., 9): affine in these is quadratic in the colours."""
    return torch.cat([colours, colours.square(), colours * colours.roll(1, -1)], -1)


class ObjectsShown:
    """`objects_shown`: mean over views (object and frame) of how well the output shows the object; `object_least`: the
    mean of the object that fares worst.

    How well, in the object's mask and around it: the mean of two R^2 (see `explained`), of the source's colours by the
    output's, and of the mask by a quadratic map of the output's colours. An object that is drawn in other colours and
    light still differs from what is around it where the source and its mask say; one that is gone leaves what is behind
    it, which knows little of where it was. An object is an instance (not 0) among `tags` that takes at least
    `least_share` of a frame, where the source's own colours differ by CONTRAST; around it: within a quarter of the root
    of its pixels. Objects with fewer than FEWEST views have no part in `object_least`.
    """

    def __init__(self, tags: Iterable[int], least_share: float = 0.0035) -> None:
        self.tags, self.least_share = tuple(tags), least_share
        self.views: dict[int, list[float]] = {}
        self._frames = 0

    def update(self, output: Tensor, source: Tensor, classes: Tensor, instances: Tensor) -> None:
        """output, source (T, H, W, 3) in [0, 1]; classes, instances (T, H, W) integers of the source."""
        output, source = check_pair(output, source, self._frames, "source")
        check_masks(output, classes, instances)
        fewest = self.least_share * classes[:1].numel()
        for t, (ours, theirs) in enumerate(zip(output.cpu(), source.cpu())):
            for name, mask in views(classes[t].cpu(), instances[t].cpu(), self.tags, fewest):
                value = _shown(*_surroundings(ours, theirs, mask))
                if value is not None:
                    self.views.setdefault(name, []).append(value)
        self._frames += len(output)

    def compute(self) -> dict[str, Figure]:
        every = [value for values in self.views.values() for value in values]
        means = {name: sum(held) / len(held) for name, held in self.views.items() if len(held) >= FEWEST}
        what = f"an object that takes {self.least_share:.2%} of the frame and stands out"
        shown = Figure(None, "", "higher", f"no frame shows {what}")
        least = Figure(None, "", "higher", f"not {FEWEST} frames show {what}")
        if every:
            note = f"{len(every)} views of {len(self.views)} objects"
            shown = Figure(sum(every) / len(every), "", "higher", note)
        if means:
            name = min(means, key=means.get)
            least = Figure(means[name], "", "higher", f"object {name}, {len(self.views[name])} views")
        return {"objects_shown": shown, "object_least": least}


def _shown(ours: Tensor, theirs: Tensor, mask: Tensor) -> float | None:
    """How well colours `ours` (N, 3) show what `theirs` and the mask (N, 1) show; None where theirs do not differ."""
    colours, shape = explained(ours, theirs), explained(quadratic(ours), mask)
    if float(colours[1]) < 3 * CONTRAST**2 or not float(shape[1]):
        return None
    return 1 - sum(float(rest / variance) for rest, variance in (colours, shape)) / 2


def _surroundings(ours: Tensor, theirs: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """In and around the mask: the colours (N, 3) of both frames, and the mask (N, 1)."""
    margin = max(2, round(int(mask.sum()) ** 0.5 / 4))
    part = box(extent(mask), [margin] * 2)
    step = -(-max(mask[part].shape) // _SIDE)
    ours, theirs, mask = (values[part] for values in (ours, theirs, mask.float()))
    near = F.max_pool2d(mask[None, None], 2 * margin + 1, 1, margin)[0, 0] > 0
    ours, theirs, mask, near = (values[::step, ::step] for values in (ours, theirs, mask, near))
    return ours[near], theirs[near], mask[near][:, None]


class Unexplained:
    """`unexplained_most`: what the output shows in a region of the frame that the source's colours there do not explain
    (root mean square of the residual of `explained`, over the clip), of the region that has most.

    Regions are squares of a sixth of the frame's height that overlap by half; larger frames are looked at every so many
    pixels. An object that was invented, or one that moved, shows; so does texture, everywhere and less.
    """

    def __init__(self) -> None:
        self._rest: Tensor | None = None
        self._frames = 0

    def update(self, output: Tensor, source: Tensor) -> None:
        """Both (T, H, W, 3) in [0, 1]."""
        output, source = check_pair(output, source, self._frames, "source")
        for ours, theirs in zip(output, source):
            rest, _ = explained(_regions(theirs), _regions(ours))
            self._rest = rest if self._rest is None else self._rest + rest
        self._frames += len(output)

    def compute(self) -> dict[str, Figure]:
        return {"unexplained_most": worst_region(self._rest, self._frames)}


def worst_region(rest: Tensor | None, frames: int) -> Figure:
    """The root mean square residual of the region that has most. rest (regions,): of `explained`, summed over frames
    and colours; None before the first frame."""
    if rest is None:
        return Figure(None, "", "lower", "no frames")
    return Figure(float((rest / frames / 3).max().sqrt()), "", "lower", f"{len(rest)} regions")


def _regions(frame: Tensor) -> Tensor:
    """The colours (R, N, 3) of overlapping square regions of a frame (H, W, 3)."""
    step = max(1, round(frame.shape[0] / (_REGIONS * _REGION)))
    return squares(frame[::step, ::step].movedim(-1, 0), _REGION)


def squares(values: Tensor, side: int) -> Tensor:
    """Squares of values (C, H, W) that overlap by half, as (R, N, C): R squares of N pixels."""
    side = min(side, *values.shape[1:])
    parts = values.unfold(1, side, max(1, side // 2)).unfold(2, side, max(1, side // 2))
    return parts.flatten(1, 2).flatten(2).movedim(0, -1)
