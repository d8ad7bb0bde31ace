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
# and riders from no pedestrian. Releases up to 0.9.9 had the first thirteen only.
OLD_CARLA_TAGS = {
    0: "unlabeled", 1: "building", 2: "fence", 3: "other", 4: "pedestrian", 5: "pole", 6: "road line", 7: "road",
    8: "sidewalk", 9: "vegetation", 10: "car", 11: "wall", 12: "traffic sign", 13: "sky", 14: "ground", 15: "bridge",
    16: "rail track", 17: "guard rail", 18: "traffic light", 19: "static", 20: "dynamic", 21: "water", 22: "terrain",
}  # fmt: skip
# Tables of class numbers: CARLA "0.9.14" and later, "0.9.13" and earlier, and Cityscapes' two.
TAG_NAMES = {
    "0.9.14": tuple(name for name, _ in CARLA_TAGS.values()),
    "0.9.13": tuple(OLD_CARLA_TAGS.values()),
    "cityscapes ids": palettes.CITYSCAPES_IDS,
    "cityscapes train ids": palettes.CITYSCAPES_TRAIN_IDS,
}
TAG_TABLES = tuple(TAG_NAMES)
_NOTHING = {"cityscapes train ids": 255}  # the number of unlabelled pixels where it lies outside the table
PALETTES = {
    "carla": {tag: colour for tag, (_, colour) in CARLA_TAGS.items()},
    "cityscapes": {tag: palettes.CITYSCAPES.get(name, colour) for tag, (name, colour) in CARLA_TAGS.items()},
    "ade20k": {tag: palettes.ADE20K.get(name, (0, 0, 0)) for tag, (name, _) in CARLA_TAGS.items()},
    "coco": {tag: palettes.COCO.get(name, (0, 0, 0)) for tag, (name, _) in CARLA_TAGS.items()},
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
    table = torch.tensor([colours[tag] for tag in range(len(colours))]) / 255
    index = classes.long()
    if index.numel() and not (index.min() >= 0 and index.max() < len(table)):
        raise UserError(
            f"Class ids from {int(index.min())} to {int(index.max())} came: "
            f"the {palette} palette knows 0 to {len(table) - 1}; convert the ids first."
        )
    return table.to(classes.device)[index]


def current_tags(tags: Tensor, table: str) -> Tensor:
    """Class numbers (T, H, W) of a table as uint8 tags of the current CARLA table (0.9.14 and later).

    table: one of TAG_TABLES: "0.9.14" (checked and passed on), "0.9.13", the 23 tags of all earlier releases,
    "cityscapes ids" and "cityscapes train ids". UserError for another table, and for numbers that it does not have, as
    the current ones mostly are in an older table's eyes.
    """
    if table not in TAG_TABLES:
        raise UserError(f"The tag table {table!r} is unknown: choose one of {', '.join(TAG_TABLES)}.")
    names = TAG_NAMES[table]
    nothing = _NOTHING.get(table)
    lookup = torch.full((256,), 255, dtype=torch.uint8, device=tags.device)
    lookup[: len(names)] = torch.tensor([TAG[name] for name in names], dtype=torch.uint8, device=tags.device)
    if nothing is not None:
        lookup[nothing] = TAG["unlabeled"]
    index = tags.long()
    inside = not index.numel() or (index.min() >= 0 and index.max() <= 255)
    current = lookup[index] if inside else None
    if current is None or bool((current == 255).any()):
        raise UserError(
            f"Tags from {int(index.min())} to {int(index.max())} came, but {table} has 0 to {len(names) - 1}: "
            "choose the other table, or give the raw semantic image."
        )
    return current
