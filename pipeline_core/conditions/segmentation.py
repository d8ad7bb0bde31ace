"""Segmentation control: CARLA's semantic tags (0.9.14 and later), their colours and those of other data sets."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import UserError
from . import palettes

# tag -> (name, colour). Tags 1 to 19 are Cityscapes' nineteen classes in its order and colours.
CARLA_TAGS = {
    0: ("unlabeled", (0, 0, 0)),
    1: ("road", (128, 64, 128)),
    2: ("sidewalk", (244, 35, 232)),
    3: ("building", (70, 70, 70)),
    4: ("wall", (102, 102, 156)),
    5: ("fence", (190, 153, 153)),
    6: ("pole", (153, 153, 153)),
    7: ("traffic light", (250, 170, 30)),
    8: ("traffic sign", (220, 220, 0)),
    9: ("vegetation", (107, 142, 35)),
    10: ("terrain", (152, 251, 152)),
    11: ("sky", (70, 130, 180)),
    12: ("pedestrian", (220, 20, 60)),
    13: ("rider", (255, 0, 0)),
    14: ("car", (0, 0, 142)),
    15: ("truck", (0, 0, 70)),
    16: ("bus", (0, 60, 100)),
    17: ("train", (0, 80, 100)),
    18: ("motorcycle", (0, 0, 230)),
    19: ("bicycle", (119, 11, 32)),
    20: ("static", (110, 190, 160)),
    21: ("dynamic", (170, 120, 50)),
    22: ("other", (55, 90, 80)),
    23: ("water", (45, 60, 150)),
    24: ("road line", (157, 234, 50)),
    25: ("ground", (81, 0, 81)),
    26: ("bridge", (150, 100, 100)),
    27: ("rail track", (230, 150, 140)),
    28: ("guard rail", (180, 165, 180)),
    29: ("rock", (180, 130, 70)),  # since 0.10
}
TAG = {name: tag for tag, (name, _) in CARLA_TAGS.items()}
VEHICLE_TAGS = tuple(TAG[name] for name in ("car", "truck", "bus", "train", "motorcycle", "bicycle"))
# CARLA up to 0.9.13 numbered its tags otherwise; as tags of the current table. It told cars from no other vehicle,
# and riders from no pedestrian.
OLD_CARLA_TAGS = {
    0: "unlabeled", 1: "building", 2: "fence", 3: "other", 4: "pedestrian", 5: "pole", 6: "road line", 7: "road",
    8: "sidewalk", 9: "vegetation", 10: "car", 11: "wall", 12: "traffic sign", 13: "sky", 14: "ground", 15: "bridge",
    16: "rail track", 17: "guard rail", 18: "traffic light", 19: "static", 20: "dynamic", 21: "water", 22: "terrain",
}  # fmt: skip
TAG_TABLES = ("0.9.14", "0.9.13")  # CARLA releases: "0.9.14" and later, "0.9.13" and earlier
PALETTES = {
    "carla": {tag: colour for tag, (_, colour) in CARLA_TAGS.items()},
    "cityscapes": {tag: palettes.CITYSCAPES.get(name, colour) for tag, (name, colour) in CARLA_TAGS.items()},
    "ade20k": {tag: palettes.ADE20K.get(name, (0, 0, 0)) for tag, (name, _) in CARLA_TAGS.items()},
    "coco": {tag: palettes.COCO.get(name, (0, 0, 0)) for tag, (name, _) in CARLA_TAGS.items()},
}
# Colours that classes can be read from: (tag, colour) pairs, the palettes' own and those of painted recordings.
SOURCE_COLOURS = {
    **{palette: list(colours.items()) for palette, colours in PALETTES.items()},
    "vkitti2": [(TAG[name], colour) for name, colour in palettes.VKITTI2],
}


def segmentation_map(classes: Tensor, palette: str = "carla") -> Tensor:
    """Paint class ids: (T, H, W) integers to (T, H, W, 3) float32 R'G'B' in [0, 1].

    `palette` "carla": CARLA's tags in CARLA's colours, which for tags 1 to 19 are Cityscapes' colours; "cityscapes":
    Cityscapes' colours for all of them, black where it has no such class; "ade20k": the colours of ADE20K's 150 classes
    for what comes nearest (signboard for signs, tree for vegetation, minibike for motorcycles, bus for trains); "coco":
    COCO's panoptic colours, its things and its merged COCO-Stuff classes, likewise.
    Raises UserError for an unknown palette, a tag outside it, and classes that are no integers.
    """
    if palette not in PALETTES:
        raise UserError(f"The palette {palette!r} is unknown: choose one of {', '.join(PALETTES)}.")
    if classes.is_floating_point() or classes.dim() != 3:
        raise UserError(
            f"Classes of shape {tuple(classes.shape)} and type {classes.dtype} came: give integers (T, H, W)."
        )
    colours = PALETTES[palette]
    table = torch.zeros(max(colours) + 1, 3)
    for tag, colour in colours.items():
        table[tag] = torch.tensor(colour) / 255
    index = classes.long()
    if index.numel() and not (index.min() >= 0 and index.max() < len(table)):
        raise UserError(
            f"Class ids from {int(index.min())} to {int(index.max())} came: "
            f"the {palette} palette knows 0 to {len(table) - 1}; convert the ids first."
        )
    return table.to(classes.device)[index]


def current_tags(tags: Tensor, table: str) -> Tensor:
    """Tags (T, H, W) of a CARLA release as uint8 tags of the current table (0.9.14 and later).

    table: "0.9.14" (checked and passed on) or "0.9.13", the 23 tags of all earlier releases. UserError for another
    table, and for tags that it does not have, as the current ones mostly are in the old table's eyes.
    """
    if table not in TAG_TABLES:
        raise UserError(f"The tag table {table!r} is unknown: choose one of {', '.join(TAG_TABLES)}.")
    known = range(len(CARLA_TAGS)) if table == "0.9.14" else range(len(OLD_CARLA_TAGS))
    index = tags.long()
    if index.numel() and not (index.min() >= 0 and index.max() <= known[-1]):
        raise UserError(
            f"Tags from {int(index.min())} to {int(index.max())} came, but CARLA {table} has 0 to {known[-1]}: "
            "choose the other table, or give the raw semantic image."
        )
    if table == "0.9.14":
        return index.to(torch.uint8)
    return torch.tensor([TAG[name] for name in OLD_CARLA_TAGS.values()], dtype=torch.uint8, device=tags.device)[index]


def classes_of_colours(frames: Tensor, palette: str = "carla", tolerance: float = 2.0, allowed: float = 1e-3) -> Tensor:
    """Undo `segmentation_map`: (T, H, W, 3) painted frames in [0, 1] to (T, H, W) uint8 tags.

    For recordings that were saved in the colours of one of SOURCE_COLOURS (CARLA's CityScapesPalette converter is
    "carla"). Every pixel gets the class of the nearest colour; of tags that share a colour the lowest is meant.
    UserError for an unknown palette, and where more than the share `allowed` of the pixels is farther than `tolerance`
    8-bit levels from every colour: compressed, resized or other pictures.
    """
    if palette not in SOURCE_COLOURS:
        raise UserError(f"The palette {palette!r} is unknown: choose one of {', '.join(SOURCE_COLOURS)}.")
    tags, colours = zip(*SOURCE_COLOURS[palette])
    tags = torch.tensor(tags, dtype=torch.uint8, device=frames.device)
    colours = torch.tensor(colours, dtype=torch.float32, device=frames.device)
    codes = (frames.float() * 255).round().long()
    unique, index = (codes @ torch.tensor([65536, 256, 1], device=frames.device)).unique(return_inverse=True)
    levels = torch.stack([unique >> 16, unique >> 8 & 255, unique & 255], -1).float()
    distance, nearest = torch.cdist(levels, colours, p=torch.inf).min(1)
    astray = float((distance[index] > tolerance).float().mean()) if index.numel() else 0.0
    if not astray <= allowed:
        raise UserError(
            f"{astray:.1%} of the pixels have none of the {palette} palette's colours: give a lossless segmentation "
            "video or choose another palette."
        )
    return tags[nearest[index]].reshape(frames.shape[:3])
