"""The whole job: a synthetic clip in, a photoreal one out (arXiv 2511.14719), window by window.

frames -> control maps -> latent x0 -> noise (inverted, calibrated or random) -> guided sampling -> frames

job/ holds its parts: settings, plan, latent (the passes of one window), run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .conditions.estimated import Estimators
from .job.plan import Report, prepare
from .job.progress import Progress
from .job.run import run
from .job.settings import EnhanceSettings

if TYPE_CHECKING:
    from .conditions.buffers import Buffers
    from .models.networks.video_model import VideoModel

__all__ = ["EnhanceSettings", "Report", "enhance"]


def enhance(
    frames: Tensor,
    model: VideoModel,
    settings: EnhanceSettings | None = None,
    buffers: Buffers | None = None,
    progress: Progress | None = None,
    estimators: Estimators = Estimators(),
    maps: Mapping[str, Tensor] | None = None,
    description: str = "",
    keep: Tensor | None = None,
) -> tuple[Tensor, Report]:
    """Enhance a clip in memory. frames (T, H, W, 3) in [0, 1]; returns frames of the same shape and the report.

    keep: a mask (H, W) in [0, 1]; where it is at least a half, every frame stays as it came.
    """
    size, settings = tuple(frames.shape[1:3]), settings or EnhanceSettings()
    job = prepare(len(frames), size, model, settings, buffers, estimators, lambda: frames, maps, description, keep)
    result = torch.empty(frames.shape, device=frames.device)
    for index, frame in enumerate(run(job, frames, progress)):
        result[index] = frame
    return result, job.report
