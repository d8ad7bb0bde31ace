"""Pictures as perception networks of transformers take them: resized, normalised, as the folder's own files say."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def preprocessing(folder: Path, sides: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """Mean, std (3, 1, 1) on the network's device and the sides, from preprocessor_config.json where it is there."""
    for name in ("preprocessor_config.json", "processor_config.json"):
        path = folder / name
        settings = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        settings = settings.get("image_processor", settings)
        if "image_mean" in settings:
            break
    size = settings.get("size") if isinstance(settings.get("size"), dict) else {}
    if "shortest_edge" in size:
        sides = (size["shortest_edge"], size.get("longest_edge") or sides[1])
    values = (settings.get(f"image_{name}", default) for name, default in zip(("mean", "std"), _IMAGENET))
    mean, std = (torch.tensor(value, device=device)[:, None, None] for value in values)
    return mean, std, sides


def fit(size: tuple[int, int], sides: tuple[int, int]) -> tuple[int, int]:
    """The size (height, width) whose short side is sides[0], or whose long side is sides[1] where that is less."""
    scale = min(sides[0] / min(size), sides[1] / max(size))
    return tuple(max(1, round(value * scale)) for value in size)


def normalised(frames: Tensor, size: tuple[int, int], mean: Tensor, std: Tensor) -> Tensor:
    """Frames (T, H, W, 3), uint8 or in [0, 1], as planes (T, 3, h, w) minus mean over std, where those two are."""
    frames = frames.float() / 255 if frames.dtype == torch.uint8 else frames.float()
    planes = F.interpolate(frames.movedim(-1, 1), size=size, mode="bilinear", antialias=True)
    return (planes.to(mean.device) - mean) / std
