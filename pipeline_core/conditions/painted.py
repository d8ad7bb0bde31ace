"""Classes from painted pictures: the colours of CARLA's releases and of data sets, exact, faulty or from a video."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import UserError
from . import palettes
from .segmentation import PALETTES, TAG

# Colours that classes can be read from: (tag, colour) pairs, the palettes' own and those of painted recordings. CARLA's
# are those of all its releases at once: they do not contradict each other.
SOURCE_COLOURS = {
    **{palette: list(colours.items()) for palette, colours in PALETTES.items()},
    "vkitti2": [(TAG[name], colour) for name, colour in palettes.VKITTI2],
    "synthia": [(TAG[name], colour) for name, colour in palettes.SYNTHIA_COLOURS],
}
SOURCE_COLOURS["carla"] += [(TAG[name], colour) for name, colour in palettes.CARLA_BEFORE]
SOURCE_COLOURS["cityscapes"] += [(TAG[name], colour) for name, colour in palettes.CITYSCAPES_MORE]
EXACT = 2.0  # 8-bit levels a colour of a lossless picture may be off
KNOWN_SHARE = 0.98  # of the pixels that must have a colour of the table
_REACH = 2  # pixels over which an unknown colour is filled from its neighbours


def colour_counts(frames: Tensor) -> tuple[Tensor, Tensor]:
    """The colours of uint8 pictures (..., 3): (N, 3) uint8 and how many pixels (N,) each has, most first."""
    codes = frames.reshape(-1, 3).long() @ torch.tensor([65536, 256, 1], device=frames.device)
    colours, counts = codes.unique(return_counts=True)
    order = counts.argsort(descending=True)
    colours, counts = colours[order], counts[order]
    return torch.stack([colours >> 16, colours >> 8 & 255, colours & 255], -1).to(torch.uint8), counts


def nearest_colours(colours: Tensor, palette: str) -> tuple[Tensor, Tensor]:
    """Of colours (N, 3) in 8-bit levels: the tags (N,) of the palette's nearest ones, and how many levels (N,) they
    are off in the worst channel. Of tags that share a colour the lowest is meant."""
    tags, known = zip(*SOURCE_COLOURS[palette])
    distances = torch.cdist(colours.float(), torch.tensor(known, device=colours.device).float(), p=torch.inf)
    # The first of equals: min() promises no order.
    nearest = (distances == distances.min(1, keepdim=True).values).long().argmax(1)
    levels = distances.gather(1, nearest[:, None])[:, 0]
    return torch.tensor(tags, dtype=torch.uint8, device=colours.device)[nearest], levels


def told_colours(colours: Tensor, counts: Tensor, most: int = 5) -> str:
    """In words: "(12, 3, 4) on 812 pixels, ..." of colours (N, 3) and pixel counts (N,), the first few of them."""
    named = [f"{tuple(colour)} on {count} pixels" for colour, count in zip(colours.tolist(), counts.tolist())]
    return ", ".join(named[:most]) + (f" and {len(named) - most} colours more" if len(named) > most else "")


def classes_of_colours(
    frames: Tensor, palette: str = "carla", tolerance: float = EXACT, allowed: float = 1 - KNOWN_SHARE
) -> Tensor:
    """Undo `segmentation_map`: (T, H, W, 3) painted frames in [0, 1] to (T, H, W) uint8 tags.

    For recordings that were saved in the colours of one of SOURCE_COLOURS (CARLA's CityScapesPalette converter is
    "carla"). A pixel that is within `tolerance` 8-bit levels of a colour has its class; any other gets the class of the
    nearest such pixel up to two pixels away, as the blended borders of a resized picture do, and "other" where there is
    none. UserError for an unknown palette, and where more than the share `allowed` of the pixels has an unknown colour:
    compressed, resized or other pictures.
    """
    if palette not in SOURCE_COLOURS:
        raise UserError(f"The palette {palette!r} is unknown: choose one of {', '.join(SOURCE_COLOURS)}.")
    codes = (frames.float() * 255).round().long()
    packed = (codes[..., 0] << 16) + (codes[..., 1] << 8) + codes[..., 2]
    unique, index = packed.unique(return_inverse=True)
    colours = torch.stack([unique >> 16, unique >> 8 & 255, unique & 255], -1)
    tags, levels = nearest_colours(colours, palette)
    classes, unknown = tags[index], (levels > tolerance)[index]
    astray = float(unknown.float().mean()) if unknown.numel() else 0.0
    if not astray <= allowed:
        counts = index.flatten().bincount(minlength=len(unique)) * (levels > tolerance)
        order = counts.argsort(descending=True)[: int((counts > 0).sum())]
        raise UserError(
            f"{astray:.1%} of the pixels have none of the {palette} palette's colours "
            f"({told_colours(colours[order], counts[order], 3)}): give a lossless segmentation video or choose another "
            "palette."
        )
    return _filled(classes, unknown) if astray else classes


def _filled(classes: Tensor, unknown: Tensor) -> Tensor:
    """Classes (T, H, W) with those of unknown pixels from the nearest known ones in reach, else "other"."""
    classes, unknown = classes.clone(), unknown.clone()
    for _ in range(_REACH):
        before, open_before = classes.clone(), unknown.clone()
        for dim, step in ((2, 1), (2, -1), (1, 1), (1, -1)):
            source, missing = before.roll(step, dim), open_before.roll(step, dim)
            edge = 0 if step > 0 else -1
            missing.select(dim, edge).fill_(True)  # what comes from the other side of the picture is no neighbour
            take = unknown & ~missing
            classes[take], unknown[take] = source[take], False
    classes[unknown] = TAG["other"]
    return classes
