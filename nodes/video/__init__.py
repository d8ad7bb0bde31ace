"""Video files and chunks of long clips."""

from .batch_folder import BatchFolder
from .chunk_plan import ChunkPlan
from .chunk_stitcher import ChunkStitcher
from .detail_transfer import DetailTransfer
from .enhance_video_file import EnhanceVideoFile
from .save_to_dataset import SaveToDataset

NODES = [
    EnhanceVideoFile,
    ChunkPlan,
    ChunkStitcher,
    DetailTransfer,
    BatchFolder,
    SaveToDataset,
]
