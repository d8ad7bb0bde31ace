"""Video files and chunks of long clips."""

from .chunk_plan import ChunkPlan
from .chunk_stitcher import ChunkStitcher
from .detail_transfer import DetailTransfer
from .enhance_video_file import EnhanceVideoFile

NODES = [
    EnhanceVideoFile,
    ChunkPlan,
    ChunkStitcher,
    DetailTransfer,
]
