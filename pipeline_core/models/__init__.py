"""Video models in diffusers' folder format: loading, multi-branch control, presets."""

from .cosmos import cosmos_forward
from .loading import has_bf16, load_video_model
from .preset import Preset
from .preset_file import read_preset, write_preset
from .video_model import VideoModel

__all__ = [
    "Preset",
    "VideoModel",
    "cosmos_forward",
    "has_bf16",
    "load_video_model",
    "read_preset",
    "write_preset",
]
