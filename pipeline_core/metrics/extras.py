"""What some figures need beyond the clips."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..conditions.buffers import Buffers
from ..conditions.estimated import Estimators
from ..errors import UserError
from ..perception.objects import Detect
from ..perception.poses import EstimatePoses
from ..perception.text_image import TextImage
from .features import Encode
from .judge import Ask
from .poses import Joints
from .windows import VideoEncode

GROUPS = ("fidelity", "structure", "colour", "objects", "time", "realism")


@dataclass(frozen=True)
class Extras:
    """What some figures need beyond the clips; without it they are undefined and say so.

    only: the groups of figures to measure, of `GROUPS`; empty is all. lpips: local weights file (see `lpips`); blur:
    measure blur SSIM, which is slow; estimators: depth and segmentation models, run on source and output alike, and a
    flow estimator, run on the source where its buffers have no flow; encoder: a feature network
    (`encoder.load_encoder`, or any of that form), for object alignment, frame consistency and distances to real
    frames; real: real frames as a clip, a folder of pictures and clips, or a tensor (T, H, W, 3); output_buffers:
    masks that a detector found in the output, for objects lost or invented; detect: a detector to run on both clips,
    for the same without buffers (else the segmentation model's connected parts are taken); seams: frame numbers at
    which windows begin; video_encoder: what `windows.load_video_encoder` gives, for FVD; text_image: a CLIP for
    CLIP-IQA; pick: PickScore's network, with prompt; quality: hooks {name: window -> score}, such as DOVER's; judge:
    see `judge`, asked to choose between output and reference, or source; poses: a pose network, with joints (see
    `poses.read_joints`) or buffers for people's boxes; alpha: folder of pictures of a foreground's true alpha; colmap:
    reconstruct the output by pycolmap, which takes minutes; device: where LPIPS runs, None is the best there is.
    """

    only: tuple[str, ...] = ()
    lpips: str | os.PathLike | None = None
    blur: bool = False
    estimators: Estimators = field(default_factory=Estimators)
    encoder: Encode | None = None
    real: str | os.PathLike | Tensor | None = None
    output_buffers: Buffers | None = None
    seams: tuple[int, ...] = ()
    detect: Detect | None = None
    video_encoder: tuple[VideoEncode, int, tuple[int, int]] | None = None
    text_image: TextImage | None = None
    pick: TextImage | None = None
    prompt: str = ""
    quality: Mapping[str, Callable[[Tensor], float]] = field(default_factory=dict)
    judge: Ask | None = None
    poses: EstimatePoses | None = None
    joints: Joints | None = None
    alpha: str | os.PathLike | None = None
    colmap: bool = False
    device: str | torch.device | None = None

    def __post_init__(self) -> None:
        unknown = [name for name in self.only if name not in GROUPS]
        if unknown:
            raise UserError(f"There is no group of figures {', '.join(unknown)}: choose from {', '.join(GROUPS)}.")
