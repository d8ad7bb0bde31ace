"""The inputs by which a node takes a detector of objects, and the detector that they choose."""

from collections.abc import Mapping
from pathlib import Path

from comfy_api.latest import io

from ...pipeline_core.errors import UserError
from ...pipeline_core.perception.objects import Detect, load_object_detector
from ..host.paths import DETECTION, NONE, TRACKING, folder_menu, optional_folder
from .schema import advanced

KINDS = {
    "detection_model": (
        DETECTION,
        "Finds objects in both clips, before the segmentation model: a folder of RT-DETR, DETR or Grounding DINO in "
        "models/object_detection.",
    ),
    "tracking_model": (
        TRACKING,
        "Masks of what detection_model finds: a SAM 2 folder in models/video_segmentation. none: its boxes.",
    ),
}


def detector_inputs() -> list[io.Combo.Input]:
    """detection_model and tracking_model, optional: graphs of before have neither."""
    return [
        io.Combo.Input(
            name, options=folder_menu(kind), default=NONE, optional=True, tooltip=tooltip,
            **advanced(io.Combo.Input),
        )
        for name, (kind, tooltip) in KINDS.items()
    ]  # fmt: skip


def detector_folders(detection_model: str, tracking_model: str) -> dict[str, Path | None]:
    """The folders behind the two inputs, None where none is chosen; UserError for masks without boxes."""
    names = {"detection_model": detection_model, "tracking_model": tracking_model}
    if detection_model == NONE and tracking_model != NONE:
        raise UserError("tracking_model is chosen but detection_model is none: choose the model that finds the boxes.")
    return {key: optional_folder(KINDS[key][0], n, key) for key, n in names.items()}


def object_detector(folders: Mapping[str, Path | None], device: str) -> Detect | None:
    """The detector of such folders; None without one."""
    detector = folders["detection_model"]
    return None if detector is None else load_object_detector(detector, folders["tracking_model"], device)
