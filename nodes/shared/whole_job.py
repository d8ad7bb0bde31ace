"""The whole job in one node: a model's folder and a clip in, the result, its report and a look at both out."""

import json
import logging
from pathlib import Path

from comfy_api.latest import io, ui
from torch import Tensor

from ...pipeline_core.enhance import EnhanceSettings, enhance
from ...pipeline_core.models.folders.loading import load_video_model
from ..host.before_after import before_after
from ..host.jobs import compute_device, make_room, progress_bar
from ..host.previews import WatchedModel
from .reports import job_text
from .widgets import single_mask


def whole_job(
    frames: Tensor, folder: Path, settings: EnhanceSettings, keep: Tensor | None, **inputs: object
) -> io.NodeOutput:
    """frames, report. keep: the input of that name; inputs: more of `enhance`, such as maps."""
    make_room()
    bar = progress_bar()
    network = WatchedModel(load_video_model(folder, compute_device(), tell=logging.info), folder)
    result, report = enhance(
        frames,
        network,
        settings,
        progress=lambda done, total: bar(done, total, network.picture),
        keep=single_mask(keep),
        **inputs,
    )
    shown = ui.PreviewText(job_text(report)).as_dict() | before_after(frames, result)
    return io.NodeOutput(result, json.dumps(report.to_dict()), ui=shown)


def whole_job_outputs(did: str) -> list:
    """What `whole_job` gives. did: to the clip, such as enhanced."""
    return [
        io.Image.Output(display_name="frames", tooltip=f"The {did} clip, of the same length and size."),
        io.String.Output(display_name="report", tooltip="Settings, plan and what was changed, as JSON."),
    ]
