"""The objects that detectors are trained on: CARLA's classes of single things, under the names that data sets use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...conditions.segmentation import TAG

# CARLA's class -> the name in Cityscapes and, where it has the class, in COCO; in the order of their numbers.
THINGS = {
    "pedestrian": "person", "rider": "rider", "car": "car", "truck": "truck", "bus": "bus", "train": "train",
    "motorcycle": "motorcycle", "bicycle": "bicycle", "traffic light": "traffic light",
    "traffic sign": "traffic sign",
}  # fmt: skip
NAMES = tuple(THINGS.values())
_NAME_OF = {TAG[label]: name for label, name in THINGS.items()}
_LIGHT = TAG["traffic light"]


@dataclass(frozen=True)
class Thing:
    """One object in one frame. `tag` and `instance` are CARLA's and name it in all frames of its clip; mask (H, W)
    bool; box (x, y, width, height) in pixels around the mask. Of a traffic light, where the source knows them: `state`
    (red, yellow, green), `lamp_box` like box, and the visible share of the lit lamp in [0, 1]."""

    tag: int
    instance: int
    mask: np.ndarray
    box: tuple[int, int, int, int]
    state: str | None = None
    lamp_box: tuple[float, float, float, float] | None = None
    visible: float | None = None

    @property
    def name(self) -> str:
        """One of NAMES."""
        return _NAME_OF[self.tag]

    @property
    def area(self) -> int:
        """Pixels of the mask."""
        return int(self.mask.sum())

    def light(self) -> dict:
        """What is known of a traffic light, as plain data; {} of all else."""
        if self.state is None:
            return {}
        box = None if self.lamp_box is None else [round(value, 2) for value in self.lamp_box]
        return {"light_state": self.state, "lamp_box": box, "lamp_visible": self.visible}


def things_of(
    codes: np.ndarray, lights: list[dict], frame: int, scale: tuple[float, float] = (1.0, 1.0)
) -> list[Thing]:
    """The things of one frame, by tag and instance.

    codes: (H, W, 3) uint8, CARLA's instance picture; lights: of the buffers, read at `frame`; scale: (y, x) from their
    pixels to those of `codes`. Pixels of a thing's class without an id (0) belong to no object. An id that has several
    tags, as a bicycle and who rides it, is a thing for each.
    """
    states = {light["instance"]: light for light in lights}
    keys = codes[..., 0].astype(np.int64) << 16 | codes[..., 2].astype(np.int64) << 8 | codes[..., 1]
    found_keys = [int(key) for key in np.unique(keys) if key >> 16 in _NAME_OF and key & 0xFFFF]
    return [_thing(keys == key, key >> 16, key & 0xFFFF, states, frame, scale) for key in found_keys]


def _thing(mask: np.ndarray, tag: int, instance: int, lights: dict, frame: int, scale: tuple[float, float]) -> Thing:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, left = int(rows[0]), int(columns[0])
    box = left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top
    light = lights.get(instance) if tag == _LIGHT else None
    if light is None or light["state"][frame] is None:
        return Thing(tag, instance, mask, box)
    lamp, (y, x) = light["lamp_box"][frame], scale
    lamp = None if lamp is None else (lamp[0] * x, lamp[1] * y, (lamp[2] - lamp[0]) * x, (lamp[3] - lamp[1]) * y)
    return Thing(tag, instance, mask, box, light["state"][frame], lamp, light["visible"][frame])


def listed(things: list[Thing]) -> list[dict]:
    """Objects as plain data, without their masks: those stand in CARLA's instance picture, under tag and instance."""
    return [
        {
            "category": thing.name,
            "bbox": list(thing.box),
            "area": thing.area,
            "tag": thing.tag,
            "instance": thing.instance,
            **thing.light(),
        }
        for thing in things
    ]
