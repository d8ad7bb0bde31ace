"""Maps, buffers, objects and prompts of a clip, and the stack that applies them."""

from .caption_video import CaptionVideo
from .control_detector import ControlDetector
from .control_stack import ControlNetStack
from .simulator_buffers import SimulatorBuffers
from .structure_maps import StructureMaps
from .track_objects import TrackObjects

NODES = [
    SimulatorBuffers,
    StructureMaps,
    TrackObjects,
    ControlDetector,
    CaptionVideo,
    ControlNetStack,
]
