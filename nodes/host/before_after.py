"""A clip before and after, as two small videos that the frontend shows over each other with a slider between them."""

import uuid
from pathlib import Path

import folder_paths
import torch

from ...pipeline_core.video.frames import as_floats, resize
from ...pipeline_core.video.media import write_clip

KEY = "video_realism_before_after"  # of a node's ui output; web/js/before_after.js reads it, other frontends ignore it
LONGEST = 512  # pixels of the longer side
MOST = 240  # frames
FPS = 12  # a node knows frames, not their rate


def before_after(before: torch.Tensor, after: torch.Tensor) -> dict[str, list[str]]:
    """{KEY: names of two files in ComfyUI's temp folder}, for a node's ui output.

    before, after: (T, H, W, 3) of one shape; of long or large clips the beginning is shown, and smaller.
    """
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    name = uuid.uuid4().hex
    files = {f"before_after_{name}_{side}.mp4": clip for side, clip in (("before", before), ("after", after))}
    for file, clip in files.items():
        write_clip(folder / file, _small(clip[:MOST]), FPS)
    return {KEY: list(files)}


def _small(clip: torch.Tensor) -> torch.Tensor:
    """Not larger than LONGEST, and with even sides, which every player takes."""
    scale = min(1.0, LONGEST / max(clip.shape[1:3]))
    height, width = (max(2, round(side * scale / 2) * 2) for side in clip.shape[1:3])
    return clip if (height, width) == tuple(clip.shape[1:3]) else resize(as_floats(clip), (height, width))
