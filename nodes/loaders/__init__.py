"""Models, control networks and the demo clips."""

from .demo_drive import DemoDrive
from .load_clip import LoadClip
from .load_control_branch import LoadControlBranch
from .load_transfer1_control import LoadTransfer1Control
from .load_video_model import LoadVideoModel
from .model_control import ModelControl
from .model_preset import ModelPreset
from .two_experts import TwoExperts

NODES = [
    LoadVideoModel,
    LoadControlBranch,
    LoadTransfer1Control,
    ModelControl,
    TwoExperts,
    ModelPreset,
    DemoDrive,
    LoadClip,
]
