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
PALETTES = {"carla": {tag: colour for tag, (_, colour) in CARLA_TAGS.items()}}


def segmentation_map(classes: Tensor, palette: str = "carla") -> Tensor:
    """Paint class ids: (T, H, W) integers to (T, H, W, 3) float32 R'G'B' in [0, 1].

    `palette` "carla": CARLA's tags in CARLA's colours, which for tags 1 to 19 are Cityscapes' colours.
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
