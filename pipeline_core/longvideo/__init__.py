"""Clips longer than the model's window: which windows, what they hand on, and how their frames are put together."""

from .chunks import ChunkFolder
from .fused import fused_predict
from .handover import HandOver, with_handover
from .plan import Window, plan_windows
from .stitch import blend_windows
from .stream import Finished, enhance_stream

__all__ = [
    "ChunkFolder",
    "Finished",
    "HandOver",
    "Window",
    "blend_windows",
    "enhance_stream",
    "fused_predict",
    "plan_windows",
    "with_handover",
]
