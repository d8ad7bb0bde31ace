"""Objects kept: the lit lamps of traffic lights, and the colours of vehicles and signs, one by one in every
frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from ..errors import UserError
from .base import Figure, check_frames, check_masks, check_pair

# Hue in degrees where one lamp colour ends and the next begins; real greens are bluish, real ambers orange.
_LAMP_HUES = (("red", -60.0, 25.0), ("yellow", 25.0, 85.0), ("green", 85.0, 210.0))
LAMP_CHROMA = 0.15  # max - min of the mean R'G'B'; below it a lamp has no colour to speak of

# What common colour names mean as R'G'B' in daylight, for clips whose scene names no colours.
BASIC_COLOURS = {
    "red": (0.55, 0.12, 0.12),
    "orange": (0.75, 0.40, 0.12),
    "yellow": (0.75, 0.65, 0.15),
    "green": (0.15, 0.45, 0.20),
    "blue": (0.15, 0.25, 0.60),
    "white": (0.80, 0.80, 0.80),
    "grey": (0.45, 0.45, 0.45),
    "black": (0.12, 0.12, 0.12),
}


@dataclass(frozen=True)
class Decision:
    """One object in one frame: what colour it should have, what it has, and whether that is the same."""

    instance: int
    frame: int
    expected: str
    seen: str
    kept: bool


def lamp_state(colour: Tensor) -> str:
    """The state a lamp of mean colour (R', G', B') shows: "red", "yellow", "green", or "none".

    By hue: red from 300 through 0 to 25 degrees, yellow to 85, green to 210; "none" elsewhere, or when the
    largest and the smallest component differ by less than LAMP_CHROMA (a dark or colourless lamp).
    """
    r, g, b = (float(v) for v in colour)
    high, low = max(r, g, b), min(r, g, b)
    chroma = high - low
    if not chroma >= LAMP_CHROMA:
        return "none"
    if high == r:
        hue = 60 * (g - b) / chroma
    elif high == g:
        hue = 120 + 60 * (b - r) / chroma
    else:
        hue = 240 + 60 * (r - g) / chroma
    hue = hue - 360 if hue >= 300 else hue
    return next((state for state, first, end in _LAMP_HUES if first <= hue < end), "none")


def _disc(box: Iterable[float], height: int, width: int) -> Tensor:
    """Pixels whose centres lie within 0.9 of the ellipse inscribed in a box: the lamp without its rim."""
    x0, y0, x1, y1 = box
    y = (torch.arange(height) + 0.5 - (y0 + y1) / 2) / (0.45 * (y1 - y0))
    x = (torch.arange(width) + 0.5 - (x0 + x1) / 2) / (0.45 * (x1 - x0))
    return y[:, None] ** 2 + x[None] ** 2 <= 1


class LampColours:
    """Does the lit lamp of every traffic light show its state's colour (`lamp_state` of its disc's mean
    colour).

    `lights`: as `Buffers.lights` has them, for the whole clip: "instance" and per-frame lists "state",
    "lamp_box" and "visible". A light counts in a frame where its lamp box is at least `min_height` pixels
    tall and at least `min_visible` of the lamp can be seen.
    """

    def __init__(self, lights: list[dict], min_height: float = 5.0, min_visible: float = 0.5) -> None:
        self.lights, self.min_height, self.min_visible = lights, min_height, min_visible
        self.decisions: list[Decision] = []
        self._frames = 0

    def update(self, output: Tensor) -> None:
        """output (T, H, W, 3) in [0, 1]."""
        output = check_frames(output, "output", self._frames).cpu()
        for light in self.lights:
            if len(light["state"]) < self._frames + len(output):
                raise UserError(
                    f"Light {light['instance']} has {len(light['state'])} frames and the output more: "
                    "give the lights of this clip."
                )
            for t, frame in enumerate(output, self._frames):
                box = light["lamp_box"][t]
                if box is None or box[3] - box[1] < self.min_height or light["visible"][t] < self.min_visible:
                    continue
                disc = _disc(box, *frame.shape[:2])
                if not disc.any():
                    continue
                seen, expected = lamp_state(frame[disc].mean(0)), light["state"][t]
                self.decisions.append(Decision(int(light["instance"]), t, expected, seen, seen == expected))
        self._frames += len(output)

    def compute(self) -> dict[str, Figure]:
        size = f"at least {self.min_height:g} px tall and {self.min_visible:.0%} visible"
        return {"lamps_kept": share_kept(self.decisions, f"a traffic light's lamp {size}")}


def share_kept(decisions: list[Decision], what: str) -> Figure:
    if not decisions:
        return Figure(None, "", "higher", f"no frame shows {what}")
    count = sum(d.kept for d in decisions)
    objects = len({d.instance for d in decisions})
    return Figure(count / len(decisions), "", "higher", f"{count} of {len(decisions)} views of {objects} objects")


def lab(colour: Tensor) -> Tensor:
    """CIELAB (D65) of sRGB colours (..., 3) in [0, 1]."""
    from kornia.color import rgb_to_lab

    return rgb_to_lab(colour[..., None, None])[..., 0, 0]


def _feature(colour: Tensor) -> Tensor:
    """CIELAB with lightness halved: shade and exposure vary between renders, hue is what makes a car red."""
    return lab(colour.double()) * torch.tensor([0.5, 1.0, 1.0], dtype=torch.float64)


def object_colours(
    frames: Tensor, classes: Tensor, instances: Tensor, tags: Iterable[int], min_pixels: int
) -> dict[tuple[int, int], Tensor]:
    """Mean colour (3,) of every object in every frame: {(frame, instance): colour}.

    frames (T, H, W, 3); classes, instances (T, H, W). An object is an instance (not 0) where its class is
    in `tags`; views of fewer than `min_pixels` pixels are left out.
    """
    wanted = torch.isin(classes.long(), torch.tensor(list(tags), dtype=torch.long, device=classes.device))
    colours = {}
    for t in range(len(frames)):
        ids = torch.where(wanted[t], instances[t].long(), 0).flatten()
        names, index, counts = ids.unique(return_inverse=True, return_counts=True)
        sums = torch.zeros(len(names), 3, dtype=torch.float64, device=frames.device)
        sums.index_add_(0, index, frames[t].reshape(-1, 3).double())
        for name, count, total in zip(names.tolist(), counts.tolist(), sums.cpu()):
            if name and count >= min_pixels:
                colours[t, name] = total / count
    return colours


class ObjectColours:
    """Do objects keep their colours: each object's mean colour in each frame against that of a reference
    clip.

    With f(colour) = CIELAB, lightness halved, the change e = f(output) - f(reference) of the object's mean
    colour is laid onto the prototype of the colour the object should have: it is kept if that prototype is
    still the nearest, that is if e is shorter than its distance to every e - (f(other) - f(own)). So what
    shade, fog and glass do to an object in the reference is allowed for, and a change towards another
    colour's prototype is a colour lost. The reference is the photoreal twin where there is one; against the
    source itself the change of style is in e as well. `colour_error` is the mean absolute R'G'B' difference
    of those mean colours.

    prototypes: {name: (R', G', B')} as objects of that colour look in the reference (mean colours); names:
    {instance: name}; an object without a name gets the prototype nearest to it in the reference. tags: the
    CARLA tags that count as objects; what: their name in the figures, "vehicles" gives "vehicles_kept".
    """

    def __init__(
        self,
        what: str,
        tags: Iterable[int],
        prototypes: Mapping[str, tuple[float, float, float]] = BASIC_COLOURS,
        names: Mapping[int, str] | None = None,
        min_pixels: int = 24,
    ) -> None:
        self.what, self.tags, self.names, self.min_pixels = what, tuple(tags), dict(names or {}), min_pixels
        unknown = set(self.names.values()) - set(prototypes)
        if unknown:
            raise UserError(f"The colours {', '.join(sorted(unknown))} have no prototype: give one for each.")
        self._labels = list(prototypes)
        self._features = _feature(torch.tensor([prototypes[name] for name in self._labels]))
        self.decisions: list[Decision] = []
        self._error, self._frames = 0.0, 0

    def update(self, output: Tensor, reference: Tensor, classes: Tensor, instances: Tensor) -> None:
        """output, reference (T, H, W, 3) in [0, 1]; classes (T, H, W) CARLA tags; instances (T, H, W) ids."""
        output, reference = check_pair(output, reference, self._frames)
        check_masks(output, classes, instances)
        ours = object_colours(output, classes, instances, self.tags, self.min_pixels)
        theirs = object_colours(reference, classes, instances, self.tags, self.min_pixels)
        for (t, instance), colour in ours.items():
            should = theirs[t, instance]
            change = _feature(colour) - _feature(should)
            if instance in self.names:
                own = self._labels.index(self.names[instance])
            else:
                own = int((self._features - _feature(should)).norm(dim=1).argmin())
            seen = int((self._features - self._features[own] - change).norm(dim=1).argmin())
            self.decisions.append(
                Decision(instance, self._frames + t, self._labels[own], self._labels[seen], seen == own)
            )
            self._error += float((colour - should).abs().mean())
        self._frames += len(output)

    def compute(self) -> dict[str, Figure]:
        share = share_kept(self.decisions, f"{self.what} of at least {self.min_pixels} pixels")
        error = self._error / len(self.decisions) if self.decisions else None
        return {
            f"{self.what}_kept": share,
            f"{self.what}_colour_error": Figure(error, "", "lower", share.note),
        }


def decision_table(decisions: Iterable[Decision]) -> list[dict]:
    """The decisions as plain dicts for a JSON report."""
    return [asdict(decision) for decision in decisions]
