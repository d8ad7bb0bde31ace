"""Where people's joints are: a ViTPose-class network of transformers, given their boxes (Xu et al. 2022)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..devices import chosen_device
from ..doors import loading
from ..errors import UserError
from .encoders import model_type
from .estimators import load_network
from .preprocessing import DAMAGED

# Frames (T, H, W, 3) in [0, 1] and of each the boxes (N, 4), x, y, width and height in pixels, of its people -> of each
# (N, 17, 3): x and y of COCO's keypoints in pixels, and how sure the network is of them, in [0, 1].
EstimatePoses = Callable[[Tensor, Sequence[Tensor]], list[Tensor]]

KEYPOINTS = 17
_COCO = 0  # number of COCO among the data sets of ViTPose++, whose experts it chooses
_PEOPLE = 16  # of one call


def load_poses(folder: str | Path, device: str | torch.device | None = None) -> EstimatePoses:
    """A local transformers folder of VitPoseForPoseEstimation with COCO's 17 keypoints, safetensors only.

    device: where it runs, None is the best there is. UserError for other folders.
    """
    folder, device = Path(folder), chosen_device(device)
    if model_type(folder) != "vitpose":
        raise UserError(f"{folder} is a {model_type(folder)} model: give a folder of VitPoseForPoseEstimation.")
    network = load_network(folder, "VitPoseForPoseEstimation", device).float()
    if network.config.num_labels != KEYPOINTS:
        raise UserError(f"{folder} knows {network.config.num_labels} keypoints: give one of COCO's {KEYPOINTS}.")
    with loading(folder, "a pose network's preprocessor_config.json", DAMAGED):
        processor = _processor(folder)
    experts = getattr(network.config.backbone_config, "num_experts", 1) > 1

    @torch.no_grad()
    def estimate(frames: Tensor, boxes: Sequence[Tensor]) -> list[Tensor]:
        answers = []
        for frame, people in zip(frames, boxes, strict=True):
            if not len(people):
                answers.append(torch.zeros(0, KEYPOINTS, 3))
                continue
            picture, parts = (frame.cpu() * 255).round().byte().numpy(), []
            for some in people.split(_PEOPLE):
                listed = [some.tolist()]
                pixels = processor(picture, boxes=listed, return_tensors="pt")["pixel_values"].to(device)
                chosen = {"dataset_index": torch.full((len(some),), _COCO, device=device)} if experts else {}
                outputs = network(pixels, **chosen)
                for person in processor.post_process_pose_estimation(outputs, boxes=listed)[0]:
                    places = torch.cat([person["keypoints"], person["scores"].reshape(-1, 1)], -1)
                    parts.append(places.float())
            answers.append(torch.stack(parts))
        return answers

    return estimate


def _processor(folder: Path):
    """The one of the two that needs no torchvision, where transformers has it."""
    import transformers

    kind = getattr(transformers, "VitPoseImageProcessorPil", transformers.VitPoseImageProcessor)
    return kind.from_pretrained(folder, local_files_only=True)
