"""In which form semantic and instance pictures store their classes, told from the pictures: numbers or colours."""

from __future__ import annotations

import numpy as np
import torch

from ..errors import UserError
from .painted import EXACT, KNOWN_SHARE, SOURCE_COLOURS, colour_counts, nearest_colours, told_colours
from .palettes import CARLA_BEFORE
from .recognised import Recognised, unclear
from .segmentation import CARLA_TAGS, TAG, TAG_NAMES

SWAPPED = " bgr"  # after the name of a tag table: the tag is in blue
_MOST = 40  # class numbers are smaller than this
_LOST = 8.0  # 8-bit levels that a video's codec may change inside an object
_LOST_FAR = 48.0  # and along its border
_LOST_SHARE, _LOST_MARGIN = 0.9, 0.01  # of the pixels: near a colour of the table, and what noise may add to another
_SURE, _MARGIN = 0.7, 0.2  # of the plausible pixels: the best table's, and how far the next is behind
_GROUND = ("road", "road line", "sidewalk", "ground", "terrain", "car", "truck", "bus", "motorcycle", "bicycle")
_ABOVE = ("sky", "building", "vegetation", "bridge", "pole", "traffic light", "traffic sign")
# Colours that CARLA has since 0.9.14: it told no vehicles apart before.
_LATER = {CARLA_TAGS[TAG[name]][1] for name in ("truck", "bus", "motorcycle", "bicycle", "rider", "terrain")}


def recognise_classes(pictures: list[np.ndarray], source: str, lossy: bool = False) -> Recognised:
    """The semantic format of pictures that `read_picture` gave; those of instances hold tags too.

    source: what to call them; lossy: they are a video's or JPEG, and their colours only near those that were written.
    UserError where they fit several formats or none.
    """
    if any(picture.dtype == np.float32 for picture in pictures):
        raise unclear(source, "semantic", "holds float numbers, no classes", [])
    if pictures[0].dtype == np.uint16:
        if pictures[0].ndim == 3:
            return Recognised("synthia", "16-bit pictures with class and instance numbers")
        raise unclear(source, "semantic", "is 16-bit grey, which holds no class numbers known here", [])
    stack = np.stack(pictures)
    numbers = class_numbers(stack)
    if not numbers:
        return _painted(stack, source, lossy)
    if lossy:
        raise unclear(source, "semantic", "holds class numbers that a lossy video or JPEG has changed", [])
    return _numbered(numbers, source)


def recognise_instances(pictures: list[np.ndarray], source: str) -> Recognised:
    """The instance format of pictures that hold tags with ids beside them; UserError where they hold none."""
    if pictures[0].dtype == np.uint16:
        return Recognised("synthia", "16-bit pictures with class and instance numbers")
    numbers = class_numbers(np.stack(pictures)) if pictures[0].dtype == np.uint8 else {}
    orders = [where for where in numbers if "ids" in where]
    if not orders:
        raise UserError(f"{source} holds no tags with ids beside them: give the simulator's raw instance pictures.")
    if len(orders) > 1:
        orders = ["blue" if recognise_classes(pictures, source).format.endswith(SWAPPED) else "red"]
    swapped = orders[0].startswith("blue")
    return Recognised("carla bgr" if swapped else "carla", f"tags in {orders[0].split()[0]}, ids in the other channels")


def class_numbers(stack: np.ndarray) -> dict[str, np.ndarray]:
    """{where they may be: class numbers (T, H, W)} of uint8 pictures (T, H, W) or (T, H, W, 3); {} of painted ones."""
    if stack.ndim == 3 or all(np.array_equal(stack[..., 0], stack[..., channel]) for channel in (1, 2)):
        grey = stack if stack.ndim == 3 else stack[..., 0]
        # 255 is nothing in Cityscapes' train ids.
        return {"grey": grey} if _small(np.where(grey == 255, 0, grey)) else {}
    numbers = {}
    for name, channel, ids in (("red", 0, "green and blue"), ("blue", 2, "red and green")):
        if _small(stack[..., channel]) and stack[..., channel].any():
            alone = not np.delete(stack, channel, axis=-1).any()
            numbers[name if alone else f"{name} with ids in {ids}"] = stack[..., channel]
    return numbers


def _small(numbers: np.ndarray) -> bool:
    return int(numbers.max(initial=0)) < _MOST


def _numbered(numbers: dict[str, np.ndarray], source: str) -> Recognised:
    scores = {
        (where, table): _plausible(tags, table)
        for where, tags in numbers.items()
        for table in TAG_NAMES
        if where == "grey" or not table.startswith("cityscapes")
    }
    (where, table), *others = sorted(scores, key=lambda reading: -scores[reading])
    score, next_score = scores[where, table], max((scores[other] for other in others), default=0.0)
    most = int(np.where(numbers[where] == 255, 0, numbers[where]).max())
    if score >= _SURE and score - next_score >= _MARGIN:
        why = f"class numbers up to {most} in {where}; by the {table} table {score:.0%} of the picture's lower and "
        why += "upper third is what a road has there"
        return Recognised(_named(where, table), why)
    fitting = [_named(*reading) for reading in [(where, table), *others] if scores[reading]]
    seen = f"holds class numbers up to {most} in {where} that do not tell their table"
    raise unclear(source, "semantic", seen, fitting)


def _named(where: str, table: str) -> str:
    return table + (SWAPPED if where.startswith("blue") else "")


def _plausible(tags: np.ndarray, table: str) -> float:
    """The share of the lower and upper third that a table turns into what a road's picture has there; 0 where a number
    is not in the table."""
    names = TAG_NAMES[table]
    known = np.zeros(256, bool)
    known[: len(names)] = True
    known[255] = table == "cityscapes train ids"
    if not known[tags].all():
        return 0.0
    third = max(1, tags.shape[1] // 3)
    shares = []
    for part, fitting in ((tags[:, -third:], _GROUND), (tags[:, :third], _ABOVE)):
        there = np.zeros(256, bool)
        there[: len(names)] = np.isin(names, fitting)
        there[0] |= names[0] == "unlabeled" and fitting is _ABOVE  # the sky of CARLA's first releases
        shares.append(there[part].mean())
    return float(np.mean(shares))


def _painted(stack: np.ndarray, source: str, lossy: bool) -> Recognised:
    if stack.ndim == 3:
        raise unclear(source, "semantic", "is grey with numbers beyond any class table", [])
    colours, counts = colour_counts(torch.from_numpy(stack))
    weights = counts.double() / counts.sum()
    exact = _LOST if lossy else EXACT
    matches = {palette: nearest_colours(colours, palette) for palette in SOURCE_COLOURS}
    shares = {palette: float(weights[levels <= exact].sum()) for palette, (_, levels) in matches.items()}
    most = max(shares.values())
    rivals = [palette for palette in shares if shares[palette] >= most - (_LOST_MARGIN if lossy else 1e-9)]
    best = rivals[0]
    tags, levels = matches[best]
    near = float(weights[levels <= _LOST_FAR].sum()) if lossy else shares[best]
    if near < (_LOST_SHARE if lossy else KNOWN_SHARE) or shares[best] < 0.5:
        unknown = levels > exact
        seen = f"has the colours of no palette known here; {best} comes nearest with {shares[best]:.1%} of the pixels, "
        raise unclear(source, "semantic", seen + f"not {told_colours(colours[unknown], counts[unknown], 3)}", [])
    # Another table that explains as much must say the same of every pixel: else a guess could be wrong unseen.
    known = levels <= exact
    if any(bool((known & (matches[rival][1] <= exact) & (matches[rival][0] != tags)).any()) for rival in rivals):
        seen = "has colours that several palettes share but take for other classes"
        raise unclear(source, "semantic", seen, [f"{palette} colours" for palette in rivals])
    return Recognised(
        f"{best} colours",
        f"{shares[best]:.2%} of the pixels have its colours{_release(best, colours[known])}",
        _remarks(colours, counts, levels, shares[best], lossy),
        share=shares[best],
    )


def _release(palette: str, colours: torch.Tensor) -> str:
    """Which of CARLA's releases painted, as far as the colours tell."""
    if palette != "carla":
        return ""
    seen = {tuple(colour) for colour in colours.tolist()}
    for name, colour in CARLA_BEFORE:
        if colour in seen:
            return f" ({name} is {colour}: CARLA up to {'0.9.9' if name == 'other' else '0.9.13'})"
    if CARLA_TAGS[TAG["rock"]][1] in seen:
        return " (with rock: CARLA 0.10)"
    return " (CARLA 0.9.14 or later)" if seen & _LATER else " (of any CARLA release)"


def _remarks(colours, counts, levels, share: float, lossy: bool) -> tuple[str, ...]:
    if lossy:
        if share >= 0.999:
            return ()
        lost = f"they are lossy: {1 - share:.1%} of the pixels lie between colours and get the nearest one's class"
        return (f"{lost}, so borders and small objects are unreliable",)
    unknown = levels > EXACT
    if not bool(unknown.any()):
        return ()
    what = f"{1 - share:.2%} of the pixels looked at have unknown colours and become what is beside them, or other"
    return (f"{what}: {told_colours(colours[unknown], counts[unknown])}",)


def holds_instances(pictures: list[np.ndarray]) -> bool:
    """Do pictures hold instance ids beside their tags, as CARLA's instance pictures and SYNTHIA's labels do."""
    if pictures[0].dtype != np.uint8:
        return pictures[0].dtype == np.uint16 and pictures[0].ndim == 3
    return any("ids" in where for where in class_numbers(np.stack(pictures)))
