"""What jobs that bring their own networks need of ComfyUI: progress and cancel, its device, room in memory."""

from __future__ import annotations

from collections.abc import Callable

import comfy.model_management
import comfy.utils
import torch

PREVIEW_SIZE = 512  # pixels, the longer side of a picture beside a progress bar


def progress_bar() -> Callable[..., None]:
    """progress(done, total, picture=None): moves the node's bar, shows a PIL picture; raises ComfyUI's own exception
    when the user cancels."""
    bar = None

    def progress(done: int, total: int, picture=None) -> None:
        nonlocal bar
        comfy.model_management.throw_exception_if_processing_interrupted()
        bar = bar or comfy.utils.ProgressBar(total)
        bar.update_absolute(done, total, picture and ("JPEG", picture, PREVIEW_SIZE))

    return progress


def compute_device() -> torch.device:
    """Where ComfyUI computes."""
    return comfy.model_management.get_torch_device()


def make_room() -> None:
    """Unload ComfyUI's models from a GPU, for networks that are not in its books."""
    if compute_device().type != "cpu":
        comfy.model_management.unload_all_models()


def announce(node_id: str, text: str) -> None:
    """Show a text in the node at once, before it has run; web/js/report.js draws it where reports go."""
    from server import PromptServer  # there is one only where ComfyUI serves

    PromptServer.instance.send_sync("video_realism.report", {"node": str(node_id), "text": text})
