"""Where a window shows traffic signs, whose colours are held to the source's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from ..conditions.estimated import Estimators
from ..conditions.segmentation import TAG
from ..diffusion import latent_places

if TYPE_CHECKING:
    from ..conditions.buffers import Buffers
    from .plan import Job


def sign_places(job: Job, classes: Tensor) -> Tensor:
    """Latent cells that show a traffic sign, (1, 1, t, h, w) of zeros and ones. classes: CARLA tags (T, H, W) of a
    window, of any size."""
    height, width = (side // job.model.preset.spatial_ratio for side in job.work_size)
    size = (1 + (len(classes) - 1) // job.temporal_ratio, height, width)
    return latent_places(classes == TAG["traffic sign"], size)


def hold_note(buffers: Buffers | None, estimators: Estimators) -> str:
    """What is said of a job that is to hold signs, in one sentence."""
    if buffers is not None and "semantic" in buffers.channels:
        return "Traffic signs were held to the clip's colours, where its classes say that they are."
    if estimators.segmentation is not None:
        sees = estimators.names.get("segmentation", "a model")
        return f"Traffic signs were held to the clip's colours, where {sees} sees them."
    return (
        "No traffic signs were held to the clip's colours, because nothing says where they are: give a simulator's "
        "buffers (NAME_buffers beside the clip) or a segmentation model (--segmentation-model, segmentation_model)."
    )
