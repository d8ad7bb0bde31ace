"""People in motion: how sure a pose network is of their joints, and how far those lie from where they should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..conditions.buffers import Buffers
from ..conditions.segmentation import TAG
from ..doors import read_json
from ..errors import UserError
from ..perception.poses import KEYPOINTS, EstimatePoses
from .base import Figure, check_frames, mean_figure

NEAR = 0.1  # share of the longer side of a person's box within which a joint counts as right
LEAST = 16  # pixels of height below which nobody's joints can be told
_NEEDED = "give the joints.json of render-cg, COCO's keypoints with a frame for every image"


@dataclass(frozen=True)
class Joints:
    """True joints of a clip: of each frame boxes (N, 4), x, y, width, height, and keypoints (N, 17, 3): x, y and 2
    where visible, 1 where hidden."""

    boxes: tuple[Tensor, ...]
    keypoints: tuple[Tensor, ...]


def read_joints(path: Path) -> Joints:
    """COCO's keypoints of one clip, whose images have the key "frame". UserError for anything else."""
    content = read_json(path, _NEEDED)
    wrong = UserError(f"{path} holds no joints of a clip's frames: {_NEEDED}.")
    try:
        frames = {entry["id"]: int(entry["frame"]) for entry in content["images"]}
        boxes: list[list] = [[] for _ in frames]
        places: list[list] = [[] for _ in frames]
        for entry in content["annotations"]:
            at = frames[entry["image_id"]]
            boxes[at].append([float(v) for v in entry["bbox"]])
            places[at].append([float(v) for v in entry["keypoints"]])
        keypoints = tuple(torch.tensor(part).reshape(-1, KEYPOINTS, 3) for part in places)
        return Joints(tuple(torch.tensor(part).reshape(-1, 4) for part in boxes), keypoints)
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        raise wrong from error


class PoseQuality:
    """`pose_confidence`, `joint_error` and `joint_pck`, by a pose network given everybody's box.

    Confidence is the mean of the network's own scores over keypoints, people and frames: it falls where bodies collapse
    (2503.20822, table 3). The error is the mean distance in pixels to the true joints that are visible; PCK the share
    of those within a tenth of the longer side of the person's box (Yang & Ramanan 2013). People lower than 16 pixels
    are left out.
    """

    def __init__(self, estimate: EstimatePoses, joints: Joints | None = None) -> None:
        self.estimate, self.joints, self._frames = estimate, joints, 0
        names = ("pose_confidence", "joint_error", "joint_pck")
        self.series: dict[str, list] = {name: [] for name in names}

    def update(self, output: Tensor, boxes: Sequence[Tensor]) -> None:
        """output (T, H, W, 3) in [0, 1]; boxes: of each frame (N, 4), of its true joints' people where there are
        any."""
        output = check_frames(output, "output", self._frames)
        large = [box[:, 3] >= LEAST if len(box) else torch.zeros(0, dtype=torch.bool) for box in boxes]
        answers = self.estimate(output, [box[keep] for box, keep in zip(boxes, large, strict=True)])
        for answer, box, keep in zip(answers, boxes, large, strict=True):
            self.series["pose_confidence"].append(float(answer[..., 2].mean()) if len(answer) else None)
            error = right = None
            if self.joints is not None and len(answer):
                error, right = _apart(answer, self.joints.keypoints[self._frames][keep], box[keep])
            self.series["joint_error"].append(error)
            self.series["joint_pck"].append(right)
            self._frames += 1

    def compute(self) -> dict[str, Figure]:
        nobody = f"nobody of {LEAST} pixels or more is in the picture"
        untrue = nobody if self.joints is not None else "not measured: give true joints"
        return {
            "pose_confidence": mean_figure(self.series["pose_confidence"], "", "higher", nobody),
            "joint_error": mean_figure(self.series["joint_error"], "px", "lower", untrue),
            "joint_pck": mean_figure(self.series["joint_pck"], "", "higher", untrue),
        }


def _apart(answer: Tensor, truth: Tensor, boxes: Tensor) -> tuple[float | None, float | None]:
    """Mean distance over visible joints, and the share of them that is near."""
    visible = truth[..., 2] == 2
    if not visible.any():
        return None, None
    distance = (answer[..., :2] - truth[..., :2]).norm(dim=-1)
    near = distance <= NEAR * boxes[:, 2:].amax(-1, keepdim=True)
    return float(distance[visible].mean()), float(near[visible].float().mean())


def boxes_of(classes: Tensor, instances: Tensor) -> list[Tensor]:
    """Of each frame the boxes (N, 4) of its people: CARLA's tags (T, H, W) and instance ids (T, H, W)."""
    boxes = []
    for tags, ids in zip(classes, instances, strict=True):
        people, rows = (tags == TAG["pedestrian"]) & (ids > 0), []
        for number in ids[people].unique().tolist():
            y, x = (people & (ids == number)).nonzero(as_tuple=True)
            left, top = int(x.min()), int(y.min())
            rows.append([left, top, int(x.max()) - left + 1, int(y.max()) - top + 1])
        boxes.append(torch.tensor(rows, dtype=torch.float32).reshape(-1, 4))
    return boxes


def poses_of(estimate: EstimatePoses, joints: Joints | None, buffers: Buffers | None) -> tuple[PoseQuality, str | None]:
    """The metric, and why it cannot be fed, None where it can."""
    known = joints is not None or (buffers is not None and {"semantic", "instance"} <= set(buffers.channels))
    return PoseQuality(estimate, joints), None if known else "not measured: give joints, or buffers"
