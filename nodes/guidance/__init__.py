"""Guiders, and what is put on a model for them."""

from .dual_prompt_guider import DualPromptCFGGuider
from .hold_colours import HoldColours
from .simdrop_guider import SimDropGuider
from .video_text_guider import VideoTextGuider

NODES = [
    DualPromptCFGGuider,
    SimDropGuider,
    VideoTextGuider,
    HoldColours,
]
