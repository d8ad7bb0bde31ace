"""Video models in diffusers' folder format: loading, multi-branch control, presets."""

from .folders.loading import load_video_model
from .folders.precision import has_bf16
from .folders.preset import Preset
from .folders.preset_file import read_preset, write_preset
from .networks.cosmos import cosmos_forward
from .networks.video_model import VideoModel

__all__ = [
    "Preset",
    "VideoModel",
    "cosmos_forward",
    "has_bf16",
    "load_video_model",
    "read_preset",
    "write_preset",
]
