"""Objects lost and objects invented, from instance masks of the source and of the output."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ..errors import UserError
from .base import Figure
from .objects import Decision


class ObjectsPresent:
    """Which objects of the source the output lacks, and which it has beyond them, frame by frame.

    Matching as in panoptic quality (Kirillov et al. 2019, section 4.1): in a frame an object of the source is kept if
    an object of the output has the same class and an IoU above 0.5 with it, which at most one can have. An object is
    an instance id other than 0 in a class among `tags`, of at least `min_pixels` pixels; an output object that
    overlaps a smaller source object of its class counts as neither kept nor invented. Ids need not agree.

    `objects_lost`: share of the source's views (object and frame) not kept; `objects_invented`: output views without
    a counterpart per source view; `decisions` lists both ("lost": the source's instance; "invented": the output's),
    and every kept one. Masks of the output come from a detector: what it misses counts as lost, so run it on the
    source as well and report that beside it.
    """

    def __init__(self, tags: Iterable[int], names: dict[int, str] | None = None, min_pixels: int = 24) -> None:
        self.tags, self.names, self.min_pixels = tuple(tags), dict(names or {}), min_pixels
        self.decisions: list[Decision] = []
        self._views, self._lost, self._invented, self._frames = 0, 0, 0, 0
        self.series: dict[str, list] = {"objects_lost": [], "objects_invented": []}

    def update(self, output: tuple[Tensor, Tensor], source: tuple[Tensor, Tensor]) -> None:
        """Classes and instances, each (T, H, W) integers, of the output and of the source."""
        shapes = {tuple(maps.shape) for maps in (*output, *source)}
        if len(shapes) != 1 or len(next(iter(shapes))) != 3:
            raise UserError(
                f"Masks of shapes {', '.join(map(str, sorted(shapes)))} came: "
                "give classes and instances (T, H, W) of the same frames and size for both clips."
            )
        for frame in zip(*output, *source):
            lost, invented = self._frame(*(maps.long().cpu() for maps in frame))
            self.series["objects_lost"].append(lost)
            self.series["objects_invented"].append(invented)
            self._frames += 1

    def _frame(self, classes: Tensor, instances: Tensor, classes0: Tensor, instances0: Tensor) -> tuple[int, int]:
        ours, theirs = self._objects(classes, instances), self._objects(classes0, instances0)
        joined = torch.stack([theirs.flatten(), ours.flatten()], 1)
        pairs, counts = joined.unique(dim=0, return_counts=True)
        sizes: list[dict[int, int]] = [{}, {}]
        both: dict[tuple[int, int], int] = {}
        for (a, b), n in zip(pairs.tolist(), counts.tolist()):
            sizes[0][a], sizes[1][b] = sizes[0].get(a, 0) + n, sizes[1].get(b, 0) + n
            if a and b and a >> 32 == b >> 32:
                both[a, b] = n
        iou = {(a, b): n / (sizes[0][a] + sizes[1][b] - n) for (a, b), n in both.items()}
        matched = {a: b for (a, b), value in iou.items() if value > 0.5}
        lost = invented = 0
        for a, size in sorted(sizes[0].items()):
            if a and size >= self.min_pixels:
                self._views += 1
                lost += a not in matched
                self._decide(a, "present" if a in matched else "lost", "present")
        small = {a for a, size in sizes[0].items() if a and size < self.min_pixels}
        for b, size in sorted(sizes[1].items()):
            excused = b in matched.values() or any((a, b) in both for a in small)
            if b and size >= self.min_pixels and not excused:
                invented += 1
                self._decide(b, "invented", "absent")
        self._lost += lost
        self._invented += invented
        return lost, invented

    def _objects(self, classes: Tensor, instances: Tensor) -> Tensor:
        """Class and id in one number, 0 where there is no object."""
        wanted = torch.isin(classes, torch.tensor(self.tags, dtype=torch.long)) & (instances != 0)
        return torch.where(wanted, (classes + 1 << 32) + instances, 0)

    def _decide(self, key: int, seen: str, expected: str) -> None:
        tag = (key >> 32) - 1
        what = self.names.get(tag, f"class {tag}")
        self.decisions.append(
            Decision(key & 0xFFFFFFFF, self._frames, f"{what} {expected}", f"{what} {seen}", seen == expected)
        )

    def compute(self) -> dict[str, Figure]:
        if self._views == 0:
            note = f"no object of at least {self.min_pixels} pixels in the source" if self._frames else "no frames"
            lost = Figure(None, "", "lower", note)
            invented = Figure(None, "", "lower", f"{note}; {self._invented} views invented" if self._invented else note)
            return {"objects_lost": lost, "objects_invented": invented}
        return {
            "objects_lost": Figure(self._lost / self._views, "", "lower", f"{self._lost} of {self._views} views"),
            "objects_invented": Figure(
                self._invented / self._views, "", "lower", f"{self._invented} views beside {self._views} of the source"
            ),
        }
