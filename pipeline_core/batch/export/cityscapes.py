"""Cityscapes' tree: leftImg8bit/ and gtFine/ with labelIds and 16-bit instanceIds, a clip for a city."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ...conditions.palettes import CITYSCAPES_IDS
from ...conditions.segmentation import CARLA_TAGS
from ...errors import UserError
from ...video.files import write_json
from .scenes import Scene, save_png
from .things import listed

NEEDS = ("semantic",)
PACKAGES = ()
HOW_TO_READ = """
As Cityscapes itself is read (cityscapesscripts, torchvision, MMSegmentation, Detectron2): a clip stands for a city, and
the last number of a name is the frame. `labelIds` are Cityscapes' own numbers (lane marks are road; what Cityscapes
does not know is 0); `instanceIds` are 16 bits: number * 1000 + object for people and vehicles, the same object in all
frames, and the number alone for all else. Traffic lights and their states are in `objects/`.
"""
# CARLA's tag -> Cityscapes' number of the first class of that name.
_STANDS_FOR = {"road line": "road", "other": "unlabeled", "water": "unlabeled", "rock": "unlabeled"}
LABEL_IDS = np.array([CITYSCAPES_IDS.index(_STANDS_FOR.get(name, name)) for name, _ in CARLA_TAGS.values()], np.uint8)
WITH_INSTANCES = range(24, 34)  # person to bicycle
_MOST = 1000  # objects of one class in one clip


def write(folder: Path, scenes: Iterable[Scene]) -> None:
    """Write the data set; the scenes come one after the other. UserError for a clip with too many objects."""
    for scene in scenes:
        numbers: dict[tuple[int, int], int] = {}
        with_instances = "instance" in scene.buffers.channels
        place = f"{scene.split}/{scene.name}"
        (folder / "objects" / place).mkdir(parents=True)
        for frame, image in scene.images():
            name = f"{scene.name}_000000_{frame:06d}"
            save_png(folder / "leftImg8bit" / place / f"{name}_leftImg8bit.png", image)
            labels = LABEL_IDS[scene.codes("semantic", frame)[..., 0]]
            instances = labels.astype(np.uint16)
            things = scene.things(frame) if with_instances else []
            for thing in things:
                if (label := int(LABEL_IDS[thing.tag])) in WITH_INSTANCES:
                    instances[thing.mask] = label * 1000 + _number(numbers, thing.tag, thing.instance, scene.name)
            save_png(folder / "gtFine" / place / f"{name}_gtFine_labelIds.png", labels)
            save_png(folder / "gtFine" / place / f"{name}_gtFine_instanceIds.png", instances)
            about = {"clip": scene.name, "frame": frame, "objects": listed(things)}
            about["maps"] = scene.save_maps(folder, frame, f"{scene.name}/{name}")
            write_json(folder / "objects" / place / f"{name}_objects.json", about, None)


def _number(numbers: dict[tuple[int, int], int], tag: int, instance: int, clip: str) -> int:
    """The object's number in its class and clip, from 0 on as they come into view."""
    if (tag, instance) not in numbers:
        numbers[tag, instance] = sum(other == tag for other, _ in numbers)
    if numbers[tag, instance] >= _MOST:
        raise UserError(
            f"{clip} has more than {_MOST} objects of one class, which Cityscapes' instanceIds cannot number: cut it, "
            "or choose another --format."
        )
    return numbers[tag, instance]
