"""The inputs by which a node takes a detector of objects, and the detector that they choose."""

from comfy_api.latest import io

from ...pipeline_core.errors import UserError
from ...pipeline_core.perception.objects import Detect, load_object_detector
from ..host.paths import DETECTION, NONE, TRACKING, chosen_folder, transformers_folders
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
            name, options=[NONE, *transformers_folders(kind)], default=NONE, optional=True, tooltip=tooltip,
            **advanced(io.Combo.Input),
        )
        for name, (kind, tooltip) in KINDS.items()
    ]  # fmt: skip


def chosen_detector(detection_model: str, tracking_model: str, device: str) -> Detect | None:
    """None where no detection model is chosen; UserError for masks without boxes."""
    if detection_model == NONE and tracking_model == NONE:
        return None
    if detection_model == NONE:
        raise UserError("tracking_model is chosen but detection_model is none: choose the model that finds the boxes.")
    names = {"detection_model": detection_model, "tracking_model": tracking_model}
    folders = [None if n == NONE else chosen_folder(KINDS[key][0], n, key) for key, n in names.items()]
    return load_object_detector(*folders, device)
