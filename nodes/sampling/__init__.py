"""Samplers, and the whole job in one node."""

from .dual_prompt_sampler import DualPromptCFGSampler
from .edit_video import EditVideo
from .enhance_realism import EnhanceRealism
from .long_video_sampler import LongVideoSampler
from .windowed_model import WindowedModel

NODES = [
    DualPromptCFGSampler,
    LongVideoSampler,
    WindowedModel,
    EnhanceRealism,
    EditVideo,
]
