"""Depth and segmentation estimated from the frames, for clips without a simulator's buffers.

Both read a local transformers folder (safetensors only, nothing is downloaded) and answer in the units of the
buffers, so that everything after them is the same: depth as a distance, classes as CARLA tags.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..conditions.depth import FAR_PLANE, QUANTILES, DisparityLimits, depth_limits
from ..conditions.estimated import Estimate, Estimators, chunks
from ..conditions.segmentation import TAG
from ..devices import chosen_device
from ..doors import loading, read_json
from ..doors.tensors import read_header
from ..errors import UserError
from .flow import load_raft
from .own import model_name
from .preprocessing import DAMAGED, picture_settings

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# Names that Cityscapes, COCO, ADE20K and Mapillary models use for what CARLA calls otherwise.
_OTHER_NAMES = {
    "person": "pedestrian",
    "tree": "vegetation",
    "plant": "vegetation",
    "grass": "terrain",
    "earth": "terrain",
    "streetlight": "pole",
    "signboard": "traffic sign",
    "stop sign": "traffic sign",
    "minibike": "motorcycle",
    "van": "car",
}

_METRIC_MODELS = ("zoedepth", "depth_pro")  # the others say it themselves, or predict disparity
_MASK_MODELS = ("mask2former", "maskformer")


def load_estimators(
    depth: str | Path | None = None,
    segmentation: str | Path | None = None,
    device: str | torch.device | None = None,
    flow: str | Path | None = None,
) -> Estimators:
    """Estimators of two local transformers folders, such as Depth Anything V2 and a Cityscapes SegFormer, and of a
    file of RAFT's weights. device: where they run, None is the best there is."""
    device, folders = chosen_device(device), {"depth": depth, "segmentation": segmentation}
    distance, metric = (None, False) if depth is None else _depth_estimate(Path(depth), device)
    return Estimators(
        depth=distance,
        depth_in_metres=metric,
        segmentation=None if segmentation is None else _segmentation_estimate(Path(segmentation), device),
        flow=None if flow is None else load_raft(flow, device),
        names={name: model_name(Path(path)) for name, path in folders.items() if path is not None},
    )


def estimated_limits(estimate: Estimate, frames: Iterable[Tensor], scale: str = QUANTILES) -> DisparityLimits:
    """Disparity limits of a whole clip given as a stream of frames (H, W, 3), on one of DEPTH_SCALES: the first of two
    passes."""
    return depth_limits((estimate(chunk) for chunk in chunks(frames)), scale)


def _depth_estimate(folder: Path, device: torch.device) -> tuple[Estimate, bool]:
    """The estimate, and whether it is in metres."""
    model, prepare = load_for_frames(folder, "AutoModelForDepthEstimation", device)
    kind = getattr(model.config, "model_type", "")
    metric = kind in _METRIC_MODELS or getattr(model.config, "depth_estimation_type", "relative") == "metric"

    @torch.no_grad()
    def estimate(frames: Tensor) -> Tensor:
        predicted = model(pixel_values=prepare(frames)).predicted_depth.float()
        predicted = F.interpolate(predicted[:, None], size=frames.shape[1:3], mode="bilinear")[:, 0]
        # A relative model predicts disparity: its inverse is a distance up to scale.
        distance = predicted if metric else 1 / predicted.clamp(min=1 / FAR_PLANE)
        return distance.clamp(min=1e-3).to(frames.device)

    return estimate, metric


def _segmentation_estimate(folder: Path, device: torch.device) -> Estimate:
    queries = model_type(folder) in _MASK_MODELS
    kind = "AutoModelForUniversalSegmentation" if queries else "AutoModelForSemanticSegmentation"
    model, prepare = load_for_frames(folder, kind, device)
    tags = tags_of_labels(model.config.id2label, folder).to(device)

    @torch.no_grad()
    def estimate(frames: Tensor) -> Tensor:
        answer = model(pixel_values=prepare(frames))
        if queries:  # a class and a mask for each query: the classes' votes, weighed by the masks
            classes = answer.class_queries_logits.float().softmax(-1)[..., :-1]  # the last is "nothing"
            logits = torch.einsum("bqc,bqhw->bchw", classes, answer.masks_queries_logits.float().sigmoid())
        else:
            logits = answer.logits.float()
        labels = F.interpolate(logits, size=frames.shape[1:3], mode="bilinear").argmax(1)
        return tags[labels].to(frames.device)

    return estimate


def tags_of_labels(id2label: dict, folder: Path) -> Tensor:
    """Lookup table (labels,) uint8 from a model's labels to CARLA tags, 0 where there is no such tag."""
    tags = torch.zeros(max(map(int, id2label)) + 1, dtype=torch.uint8)
    for index, label in id2label.items():
        names = str(label).replace(";", ",").split(",")
        tags[int(index)] = next((tag for tag in map(tag_of_name, names) if tag), 0)
    if not bool(tags.any()):
        raise UserError(
            f"No label of the model {folder} is a street class (road, car, ...): give one trained on Cityscapes, COCO, "
            "ADE20K or the like."
        )
    return tags


def tag_of_name(name: str) -> int:
    """The CARLA tag of a class by the name that a data set gives it, 0 where there is none."""
    name = name.strip().lower()
    return TAG.get(_OTHER_NAMES.get(name, name), 0)


def model_type(folder: Path) -> str | None:
    """What config.json says the model is; None where there is none, which `load_network` says better."""
    path = folder / "config.json"
    kind = read_json(path, DAMAGED).get("model_type") if path.is_file() else None
    return kind if isinstance(kind, str) else None


def load_network(folder: Path, kind: str, device: str | torch.device):
    """A transformers model of the class `kind` from a local folder with safetensors, in evaluation and without
    gradients; UserError where the folder is no such model's."""
    import transformers

    if not (folder / "config.json").is_file():
        raise UserError(f"{folder} holds no config.json: give a local transformers model folder.")
    if not any(folder.glob("*.safetensors")):
        raise UserError(f"{folder} holds no .safetensors weights: give a folder with safetensors.")
    for path in sorted(folder.glob("*.safetensors")):
        read_header(path)
    with loading(folder, kind, "give another model folder"):
        model = getattr(transformers, kind).from_pretrained(str(folder), local_files_only=True, use_safetensors=True)
    return model.to(device).eval().requires_grad_(False)


def load_for_frames(folder: Path, kind: str, device: str | torch.device | None = None):
    """A transformers model of the class `kind` in evaluation, and the function that turns frames into its input.
    device: None is the best there is. UserError as `load_network`."""
    device = chosen_device(device)
    model = load_network(folder, kind, device).float()  # kept in half precision or not: frames come in single
    mean, std, size = _preprocessing(folder)
    mean, std = (torch.tensor(values, device=device)[:, None, None] for values in (mean, std))
    multiple = _patch(model.config)

    def prepare(frames: Tensor) -> Tensor:
        """(T, H, W, 3) in [0, 1] to normalised (T, 3, h, w), the short side near the model's own, whole patches."""
        height, width = frames.shape[1:3]
        scale = size / min(height, width)
        fit = [max(multiple, round(side * scale / multiple) * multiple) for side in (height, width)]
        planes = F.interpolate(frames.permute(0, 3, 1, 2).float(), size=fit, mode="bicubic", antialias=True)
        return (planes.to(device) - mean) / std

    return model, prepare


def _preprocessing(folder: Path) -> tuple[tuple, tuple, int]:
    """Mean, std and short side from preprocessor_config.json where it is there; ImageNet's and 518 otherwise."""
    path = folder / "preprocessor_config.json"
    settings = picture_settings(path)
    size = settings.get("size", 518)
    if isinstance(size, dict):
        size = min(size.get("shortest_edge", size.get("height", 518)), size.get("width", 10**9))
    return settings.get("image_mean", _IMAGENET[0]), settings.get("image_std", _IMAGENET[1]), int(size)


def _patch(config) -> int:
    """Sides must be multiples of this: the vision transformer's patch, or 32 for pyramids."""
    backbone = getattr(config, "backbone_config", None)
    return int(getattr(config, "patch_size", None) or getattr(backbone, "patch_size", None) or 32)
