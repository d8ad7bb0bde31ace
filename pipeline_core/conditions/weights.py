"""Masks and weight maps by class: "signs and lights at 1, sky at 0.2"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from ..errors import UserError
from .segmentation import TAG, VEHICLE_TAGS

REST = "rest"  # the name that stands for every class not mentioned
# Names beside the classes' own, and what they stand for.
GROUPS = {
    "light": (TAG["traffic light"],),
    "sign": (TAG["traffic sign"],),
    "vehicle": VEHICLE_TAGS,
    "people": (TAG["pedestrian"], TAG["rider"]),
    "person": (TAG["pedestrian"], TAG["rider"]),
    "lane mark": (TAG["road line"],),
    "tree": (TAG["vegetation"],),
}
_VALUE = re.compile(r"^(?P<names>.+?)\s*(?:=|:|\s)\s*(?:at\s+)?(?P<value>[0-9]*\.?[0-9]+)$")


def class_tags(name: str) -> tuple[int, ...]:
    """The tags a class or group name stands for ("car", "cars", "lights", "people"); UserError if there is no such."""
    key = " ".join(name.lower().replace("_", " ").split())
    for candidate in (key, key.removesuffix("s"), key.removesuffix("es")):
        if candidate in GROUPS:
            return GROUPS[candidate]
        if candidate in TAG:
            return (TAG[candidate],)
    raise UserError(
        f"The class {name.strip()!r} is unknown: choose from {', '.join([*TAG, *GROUPS])}, or {REST} for all others."
    )


def class_mask(classes: Tensor, names: str | Iterable[str]) -> Tensor:
    """True where a pixel has one of the classes: (T, H, W) tags to bool (T, H, W).

    names: a list, or one text such as "lights and signs". UserError for an unknown name.
    """
    names = _split(names) if isinstance(names, str) else names
    tags = [tag for name in names for tag in class_tags(name)]
    return torch.isin(classes.long(), torch.tensor(tags, dtype=torch.long, device=classes.device))


def class_weights(classes: Tensor, weights: Mapping[str, float], otherwise: float = 1.0) -> Tensor:
    """A weight per pixel from a weight per class: (T, H, W) tags to float32 (T, H, W).

    weights: {class or group name: weight of 0 or more}, later entries go before earlier ones where they overlap;
    "rest" is for the classes not named, and is `otherwise` where it is missing. UserError for unknown names and
    weights that are negative or not finite.
    """
    table = torch.full((256,), float(weights.get(REST, otherwise)))
    for name, weight in weights.items():
        if not 0 <= weight < float("inf"):
            raise UserError(f"The weight of {name} is {weight}: give a number of 0 or more.")
        if name != REST:
            table[list(class_tags(name))] = float(weight)
    if classes.is_floating_point() or (classes.numel() and not (classes.min() >= 0 and classes.max() <= 255)):
        raise UserError(f"Classes of type {classes.dtype} came: give tags, integers from 0 to 255.")
    return table.to(classes.device)[classes.long()]


def parse_class_weights(text: str) -> dict[str, float]:
    """Read "signs and lights at 1, sky at 0.2, rest=0.5" as {name: weight}, for `class_weights`.

    Entries are separated by commas, semicolons or line breaks; several names by "and"; the weight follows after "at",
    "=", ":" or a space. An empty text is {}. UserError for an entry without a weight, an unknown or a repeated name.
    """
    weights: dict[str, float] = {}
    for entry in filter(None, (part.strip() for part in re.split(r"[,;\n]", text))):
        match = _VALUE.match(entry)
        if match is None:
            raise UserError(f"The entry {entry!r} has no weight: write it as signs and lights at 1, sky at 0.2.")
        for name in _split(match["names"].removesuffix(" at")):
            key = name if name == REST else " ".join(name.lower().split())
            if key != REST:
                class_tags(key)
            if key in weights:
                raise UserError(f"The class {name} is given twice: give it one weight.")
            weights[key] = float(match["value"])
    return weights


def _split(text: str) -> list[str]:
    return [name.strip() for name in re.split(r",|\band\b|&|\+", text) if name.strip()]
