"""Guiders."""

from .dual_prompt_guider import DualPromptCFGGuider
from .simdrop_guider import SimDropGuider
from .video_text_guider import VideoTextGuider

NODES = [
    DualPromptCFGGuider,
    SimDropGuider,
    VideoTextGuider,
]
