"""Pictures as perception networks of transformers take them: resized, normalised, as the folder's own files say."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..doors import read_json
from ..doors.limits import SIDE
from ..errors import UserError

DAMAGED = "give a local transformers model folder"  # what to do where a file of one is none
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def preprocessing(folder: Path, sides: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """Mean, std (3, 1, 1) on the network's device and the sides, from preprocessor_config.json where it is there."""
    for name in ("preprocessor_config.json", "processor_config.json"):
        settings = picture_settings(folder / name)
        if "image_mean" in settings:
            break
    size = settings.get("size") if isinstance(settings.get("size"), dict) else {}
    if "shortest_edge" in size:
        sides = (size["shortest_edge"], size.get("longest_edge") or sides[1])
    values = (settings.get(f"image_{name}", default) for name, default in zip(("mean", "std"), _IMAGENET))
    mean, std = (torch.tensor(value, device=device)[:, None, None] for value in values)
    return mean, std, sides


def picture_settings(path: Path) -> dict:
    """What a file of that name says of pictures, {} where there is none; UserError for statistics that are no three
    finite numbers and for sizes beyond those of pictures."""
    picture = read_json(path, DAMAGED) if path.is_file() else {}
    held = picture.get("image_processor", picture)
    picture = held if isinstance(held, dict) else {"size": held}
    for name in ("image_mean", "image_std"):
        values = picture.get(name, [1, 1, 1])
        if not isinstance(values, list) or len(values) != 3 or not all(_within(v, 1e6) for v in values):
            raise UserError(f"{path} gives {name} other than as three numbers: {DAMAGED}.")
    if 0 in picture.get("image_std", [1]):
        raise UserError(f"{path} gives an image_std of 0: {DAMAGED}.")
    for name in ("size", "crop_size"):
        size = picture.get(name, 224)
        sides = list(size.values()) if isinstance(size, dict) else [size]
        if not all(side is None or (_within(side, SIDE[1] ** 2) and side >= 1) for side in sides):
            raise UserError(f"{path} gives a {name} other than in pixels: {DAMAGED}.")
    return picture


def _within(value, most: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= most


def fit(size: tuple[int, int], sides: tuple[int, int]) -> tuple[int, int]:
    """The size (height, width) whose short side is sides[0], or whose long side is sides[1] where that is less."""
    scale = min(sides[0] / min(size), sides[1] / max(size))
    return tuple(max(1, round(value * scale)) for value in size)


def normalised(frames: Tensor, size: tuple[int, int], mean: Tensor, std: Tensor) -> Tensor:
    """Frames (T, H, W, 3), uint8 or in [0, 1], as planes (T, 3, h, w) minus mean over std, where those two are."""
    frames = frames.float() / 255 if frames.dtype == torch.uint8 else frames.float()
    planes = F.interpolate(frames.movedim(-1, 1), size=size, mode="bilinear", antialias=True)
    return (planes.to(mean.device) - mean) / std
