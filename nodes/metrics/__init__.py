"""What was kept, what changed, and how real it looks."""

from .compare import Compare
from .object_alignment import ObjectAlignment
from .realism_report import RealismReport
from .video_metrics import VideoMetrics

NODES = [
    VideoMetrics,
    ObjectAlignment,
    RealismReport,
    Compare,
]
