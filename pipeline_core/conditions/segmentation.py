"""Segmentation control: CARLA's semantic tags (0.9.14 and later) and their colours."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import UserError

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
# What Cityscapes' own colours are for the tags beyond its nineteen classes; a lane mark is road there.
_CITYSCAPES = {
    "road line": (128, 64, 128), "ground": (81, 0, 81), "bridge": (150, 100, 100), "rail track": (230, 150, 140),
    "guard rail": (180, 165, 180), "dynamic": (111, 74, 0), "static": (0, 0, 0), "other": (0, 0, 0), "water": (0, 0, 0),
}  # fmt: skip
# ADE20K's colours, as the segmentation ControlNets were trained with, of the class that comes nearest.
_ADE20K = {
    "road": (140, 140, 140), "sidewalk": (235, 255, 7), "building": (180, 120, 120), "wall": (120, 120, 120),
    "fence": (255, 184, 6), "pole": (51, 0, 255), "traffic light": (41, 0, 255), "traffic sign": (255, 5, 153),
    "vegetation": (4, 200, 3), "terrain": (4, 250, 7), "sky": (6, 230, 230), "pedestrian": (150, 5, 61),
    "rider": (150, 5, 61), "car": (0, 102, 200), "truck": (255, 0, 20), "bus": (255, 0, 245), "train": (255, 0, 245),
    "motorcycle": (163, 0, 255), "bicycle": (255, 245, 0), "water": (61, 230, 250), "road line": (140, 140, 140),
    "ground": (120, 120, 70), "bridge": (255, 82, 0), "rail track": (120, 120, 70), "guard rail": (255, 61, 6),
}  # fmt: skip
PALETTES = {
    "carla": {tag: colour for tag, (_, colour) in CARLA_TAGS.items()},
    "cityscapes": {tag: _CITYSCAPES.get(name, colour) for tag, (name, colour) in CARLA_TAGS.items()},
    "ade20k": {tag: _ADE20K.get(name, (0, 0, 0)) for tag, (name, _) in CARLA_TAGS.items()},
}


def segmentation_map(classes: Tensor, palette: str = "carla") -> Tensor:
    """Paint class ids: (T, H, W) integers to (T, H, W, 3) float32 R'G'B' in [0, 1].

    `palette` "carla": CARLA's tags in CARLA's colours, which for tags 1 to 19 are Cityscapes' colours; "cityscapes":
    Cityscapes' colours for all of them, black where it has no such class; "ade20k": the colours of ADE20K's 150 classes
    for what comes nearest (signboard for signs, tree for vegetation, minibike for motorcycles, bus for trains).
    Raises UserError for an unknown palette, a tag outside it, and classes that are no integers.
    """
    if palette not in PALETTES:
        raise UserError(f"The palette {palette!r} is unknown: choose one of {', '.join(PALETTES)}.")
    if classes.is_floating_point() or classes.dim() != 3:
        raise UserError(
            f"Classes of shape {tuple(classes.shape)} and type {classes.dtype} came: give integers (T, H, W)."
        )
    colours = PALETTES[palette]
    table = torch.zeros(max(colours) + 1, 3, device=classes.device)
    for tag, colour in colours.items():
        table[tag] = torch.tensor(colour) / 255
    index = classes.long()
    if index.numel() and not (index.min() >= 0 and index.max() < len(table)):
        raise UserError(
            f"Class ids from {int(index.min())} to {int(index.max())} came: "
            f"the {palette} palette knows 0 to {len(table) - 1}; convert the ids first."
        )
    return table[index]


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


def classes_of_colours(frames: Tensor, palette: str = "carla", tolerance: float = 2.0) -> Tensor:
    """Undo `segmentation_map`: (T, H, W, 3) painted frames in [0, 1] to (T, H, W) uint8 tags.

    For recordings that were saved in the palette's colours (CARLA's CityScapesPalette converter). Of tags that share
    a colour the lowest is meant. UserError for an unknown palette, and where more than one pixel in a thousand is
    farther than `tolerance` 8-bit levels from every colour: compressed, resized or other pictures.
    """
    if palette not in PALETTES:
        raise UserError(f"The palette {palette!r} is unknown: choose one of {', '.join(PALETTES)}.")
    colours = torch.tensor(list(PALETTES[palette].values()), dtype=torch.float32, device=frames.device)
    unique, index = (frames.float() * 255).round().reshape(-1, 3).unique(dim=0, return_inverse=True)
    distance = (unique[:, None] - colours).abs().amax(-1)
    nearest, tag = distance.min(1)
    astray = float((nearest[index] > tolerance).float().mean()) if index.numel() else 0.0
    if not astray <= 1e-3:
        raise UserError(
            f"{astray:.1%} of the pixels have none of the {palette} palette's colours: give a lossless segmentation "
            "video or choose another palette."
        )
    return tag[index].to(torch.uint8).reshape(frames.shape[:3])
