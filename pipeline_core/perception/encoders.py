"""Feature encoders for metrics: DINOv2 or CLIP's vision half, from a local transformers folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..devices import chosen_device
from ..doors import read_json
from ..errors import UserError
from .estimators import load_network
from .preprocessing import DAMAGED, picture_settings

Encode = Callable[[Tensor], Tensor]  # frames (N, H, W, 3) in [0, 1] -> features (N, D)

_BATCH = 16
# model_type of config.json -> class to load, and the mean and std it was trained with.
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_KINDS = {
    "dinov2": ("Dinov2Model", _IMAGENET),
    "dinov2_with_registers": ("Dinov2WithRegistersModel", _IMAGENET),
    "clip": ("CLIPModel", _CLIP),
    "clip_vision_model": ("CLIPVisionModelWithProjection", _CLIP),
}


def load_encoder(folder: str | Path, device: str | torch.device | None = None) -> Encode:
    """Callable frames (N, H, W, 3) in [0, 1] -> features (N, D) float32 on the CPU.

    folder: a local transformers folder of DINOv2 (the class token after the last norm) or of CLIP (the projected
    image embedding), safetensors only. device: where it runs, None is the best there is. UserError for others.
    """
    folder, device = Path(folder), chosen_device(device)
    return image_encoder(folder, load_encoder_network(folder, device), device)


def load_encoder_network(folder: Path, device: str | torch.device):
    """The network of such a folder, all of it."""
    if model_type(folder) not in _KINDS:
        raise UserError(f"{folder} is a {model_type(folder)} model: give one of {', '.join(_KINDS)}.")
    # Kept in half precision or not: frames come in single.
    return load_network(folder, _KINDS[model_type(folder)][0], device).float()


def image_encoder(folder: Path, model, device: str | torch.device) -> Encode:
    """The image half of a network of `load_encoder_network` as a callable.

    Frames are squeezed to the model's own square, so that nothing of a wide frame is cut off, and normalised as
    preprocessor_config.json says, or as the model was trained.
    """
    config = getattr(model.config, "vision_config", model.config)
    mean, std, size = preprocessing(folder, _KINDS[model_type(folder)][1], config)
    mean, std = (torch.tensor(values, device=device)[:, None, None] for values in (mean, std))

    def embed(planes: Tensor) -> Tensor:
        if hasattr(model, "visual_projection"):
            return model.visual_projection(model.vision_model(pixel_values=planes).pooler_output)
        return model(pixel_values=planes).pooler_output

    @torch.no_grad()
    def encode(frames: Tensor) -> Tensor:
        features = []
        for part in frames.split(_BATCH):
            planes = part.permute(0, 3, 1, 2).to(device, torch.float32)
            planes = F.interpolate(planes, size=(size, size), mode="bicubic", antialias=True).clamp(0, 1)
            features.append(embed((planes - mean) / std).float().cpu())
        return torch.cat(features)

    return encode


def model_type(folder: Path) -> str:
    """What config.json calls the model's kind; UserError where there is none to be read."""
    path = folder / "config.json"
    if not path.is_file():
        raise UserError(f"{folder} holds no config.json: give a local transformers model folder.")
    return str(read_json(path, DAMAGED).get("model_type"))


def preprocessing(folder: Path, normal: tuple, config) -> tuple[tuple, tuple, int]:
    """Mean, std and side of the pictures: as preprocessor_config.json says, else `normal` and the model's own side."""
    path = folder / "preprocessor_config.json"
    settings = picture_settings(path)
    size = settings.get("crop_size", getattr(config, "image_size", 224))
    size = size.get("height", 224) if isinstance(size, dict) else size
    return settings.get("image_mean", normal[0]), settings.get("image_std", normal[1]), int(size)
