"""Traffic lights kept, from nothing but masks: does what is lit in the source have its colour in the output."""

from __future__ import annotations

from torch import Tensor

from ..conditions.weights import class_tags
from .base import Figure, check_masks, check_pair
from .objects import Decision, lamp_state, share_kept
from .views import views

_LIT = 0.1  # share of a light's pixels that its lamp is taken to be
_FEWEST = 3


class LightColours:
    """`lights_kept`: share of views of traffic lights whose lit colour is the source's, for clips without lights.json.

    In the mask of a light, the tenth of the pixels that is brightest and most colourful in the source (largest max
    times max - min) is taken for its lamp; `lamp_state` of their mean colour in the source says what it should be and
    in the output what it is. Views whose lamp has no colour in the source are left out: their back, or no lamp is lit.
    A light is an instance among the tags of traffic lights with at least `min_pixels` pixels in the frame.
    """

    def __init__(self, tags: tuple[int, ...] | None = None, min_pixels: int = 30) -> None:
        self.tags, self.min_pixels = class_tags("lights") if tags is None else tags, min_pixels
        self.decisions: list[Decision] = []
        self._frames = 0

    def update(self, output: Tensor, source: Tensor, classes: Tensor, instances: Tensor) -> None:
        """output, source (T, H, W, 3) in [0, 1]; classes, instances (T, H, W) integers of the source."""
        output, source = check_pair(output, source, self._frames, "source")
        check_masks(output, classes, instances)
        for t, (ours, theirs) in enumerate(zip(output.cpu(), source.cpu())):
            for name, mask in views(classes[t].cpu(), instances[t].cpu(), self.tags, self.min_pixels):
                self._decide(self._frames + t, name, ours[mask], theirs[mask])
        self._frames += len(output)

    def _decide(self, t: int, name: int, ours: Tensor, theirs: Tensor) -> None:
        high = theirs.amax(1)
        lit = (high * (high - theirs.amin(1))).topk(max(_FEWEST, round(_LIT * len(theirs)))).indices
        expected, seen = lamp_state(theirs[lit].mean(0)), lamp_state(ours[lit].mean(0))
        if expected != "none":
            self.decisions.append(Decision(int(name), t, expected, seen, seen == expected))

    def compute(self) -> dict[str, Figure]:
        what = f"a traffic light of at least {self.min_pixels} pixels with a lit lamp in the source"
        return {"lights_kept": share_kept(self.decisions, what)}
