"""Objects as a detector finds them in both clips: what is lost, what is invented, and how alike the found ones are."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UserError
from .base import Figure, check_pair, mean_figure
from .features import OBJECTS, Encode, crop
from .presence import ObjectsPresent
from .views import views


def components(mask: Tensor) -> Tensor:
    """Numbers from 1 for the parts of a bool mask (H, W) that hang together by sides or corners, 0 elsewhere; int32."""
    flat = F.pad(mask.cpu().int(), (1, 1)).flatten()  # the border ends every row's runs
    steps = flat.diff()
    starts, stops = (steps == 1).nonzero()[:, 0] + 1, (steps == -1).nonzero()[:, 0] + 1
    width = mask.shape[1] + 2
    runs = list(zip((starts // width).tolist(), (starts % width).tolist(), ((stops - 1) % width).tolist()))
    parent = list(range(len(runs)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    above = 0
    for i, (row, first, last) in enumerate(runs):
        while runs[above][0] < row - 1 or (runs[above][0] == row - 1 and runs[above][2] < first - 1):
            above += 1
        other = above
        while runs[other][0] == row - 1 and runs[other][1] <= last + 1:
            parent[root(other)] = root(i)
            other += 1
    roots = [root(i) for i in range(len(runs))]
    number = {name: count for count, name in enumerate(dict.fromkeys(roots), start=1)}
    numbers = torch.tensor([0, *[number[name] for name in roots]], dtype=torch.int32)
    run = (F.pad(steps, (1, 0)) == 1).long().cumsum(0) * flat  # the run that a pixel belongs to, from 1
    return numbers[run].view(mask.shape[0], width)[:, 1:-1]


def objects_of(classes: Tensor, tags: tuple[int, ...]) -> Tensor:
    """Ids (T, H, W) int32 of the connected parts of every class among `tags`, numbered anew in every frame.

    What a semantic segmentation says about objects: those of one class that touch are one.
    """
    instances = torch.zeros(classes.shape, dtype=torch.int32)
    for frame, ids in zip(classes.long().cpu(), instances):
        for tag in tags:
            if bool((mask := frame == tag).any()):
                ids[mask] = components(mask)[mask] + int(ids.max())
    return instances


class DetectedObjects:
    """Objects found by one detector in both clips and matched by class and an IoU above 0.5, frame by frame.

    `objects_lost_detected`, `objects_invented_detected`: see `ObjectsPresent`. `alignment_detected`: mean cosine of a
    matched pair's features, each cut out of its clip by its own mask, and the same by group. This is how
    2511.14719 measures object alignment, whose matching rule is not given; what the detector misses in one clip is
    lost or invented here and not part of the mean. encode: None leaves the cosines undefined.
    """

    def __init__(
        self,
        tags: tuple[int, ...],
        encode: Encode | None,
        groups: Mapping[str, tuple[int, ...]] = OBJECTS,
        names: Mapping[int, str] | None = None,
        min_pixels: int = 24,
    ) -> None:
        self._present = ObjectsPresent(tags, dict(names or {}), min_pixels)
        self._encode, self.groups, self.min_pixels = encode, dict(groups), min_pixels
        self._cosines: dict[str, list[float]] = {name: [] for name in self.groups}
        self._frames = 0
        self.series: dict[str, list] = {"objects_lost_detected": [], "objects_invented_detected": []}

    def update(
        self, output: Tensor, source: Tensor, detected: tuple[Tensor, Tensor], wanted: tuple[Tensor, Tensor]
    ) -> None:
        """output, source (T, H, W, 3) in [0, 1]; detected, wanted: classes and instances of output and of source."""
        output, source = check_pair(output, source, self._frames, "source")
        if any(tuple(maps.shape) != tuple(output.shape[:3]) for maps in (*detected, *wanted)):
            raise UserError(
                f"Masks of shape {tuple(detected[0].shape)} and {tuple(wanted[0].shape)} came for an output "
                f"{tuple(output.shape)}: give classes and instances (T, H, W) of the same frames and size."
            )
        self._present.update(detected, wanted)
        self.series["objects_lost_detected"] = self._present.series["objects_lost"]
        self.series["objects_invented_detected"] = self._present.series["objects_invented"]
        self._frames += len(output)
        if self._encode is None:
            return
        crops, names = [], []
        for t in range(len(output)):
            for name, tags in self.groups.items():
                for ours, theirs in _matches([m[t] for m in detected], [m[t] for m in wanted], tags, self.min_pixels):
                    crops += [crop(source[t].cpu(), theirs), crop(output[t].cpu(), ours)]
                    names.append(name)
        if crops:
            with torch.no_grad():
                a, b = self._encode(torch.stack(crops)).float().cpu().view(len(names), 2, -1).unbind(1)
            for name, cosine in zip(names, F.cosine_similarity(a, b, dim=1).tolist()):
                self._cosines[name].append(cosine)

    @property
    def decisions(self) -> list:
        return self._present.decisions

    def compute(self) -> dict[str, Figure]:
        figures = {f"{name}_detected": figure for name, figure in self._present.compute().items()}
        every = [cosine for values in self._cosines.values() for cosine in values]
        groups = {"": every, **{f"_{name}": values for name, values in self._cosines.items()}}
        absent = "no object was found in both clips" if self._frames else "no frames"
        absent = absent if self._encode else "not measured: give a feature network (DINOv2 or CLIP)"
        for name, values in groups.items():
            note = f"{len(values)} matched views, each by its own mask"
            figures[f"alignment_detected{name}"] = mean_figure(values, "cosine", "higher", absent, note)
        return figures


def _matches(detected: list[Tensor], wanted: list[Tensor], tags: tuple[int, ...], least: int) -> list:
    """Masks (output's, source's) of objects of one frame with the same class among `tags` and an IoU above 0.5."""
    objects: list[dict[tuple[int, int], Tensor]] = []
    for classes, instances in (detected, wanted):
        classes, instances = classes.long().cpu(), instances.long().cpu()
        held = {}
        for tag in tags:
            held |= {(tag, name): mask for name, mask in views(classes, instances, [tag], least)}
        objects.append(held)
    pairs = []
    for (tag, _), theirs in objects[1].items():
        for (other, _), ours in objects[0].items():
            if tag == other and 3 * int((ours & theirs).sum()) > int(ours.sum()) + int(theirs.sum()):
                pairs.append((ours, theirs))  # 3 I > A + B says the same as I / (A + B - I) > 1 / 2
    return pairs
