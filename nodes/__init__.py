"""The pack's nodes: one file per mechanism, schema and a thin call into pipeline_core.

adapter.py touches ComfyUI's sampling, devices and progress; native/, native_control.py, context_controls.py and
experts.py subclass or join its model and control objects; native_windows.py and windowed.py its windows and samplers.
"""


def all_nodes() -> list[type]:
    """Every node class, in the order of the menu."""
    from .caption_video import CaptionVideo
    from .chunk_plan import ChunkPlan
    from .chunk_stitcher import ChunkStitcher
    from .compare import Compare
    from .control_detector import ControlDetector
    from .control_stack import ControlNetStack
    from .ddim_invert import DDIMInvert
    from .demo_drive import DemoDrive
    from .dual_prompt_guider import DualPromptCFGGuider
    from .dual_prompt_sampler import DualPromptCFGSampler
    from .enhance_realism import EnhanceRealism
    from .enhance_video_file import EnhanceVideoFile
    from .load_control_branch import LoadControlBranch
    from .load_transfer1_control import LoadTransfer1Control
    from .load_video_model import LoadVideoModel
    from .long_video_sampler import LongVideoSampler
    from .model_control import ModelControl
    from .model_preset import ModelPreset
    from .noise_calibrate import NoiseCalibrate
    from .object_alignment import ObjectAlignment
    from .realism_report import RealismReport
    from .simdrop_guider import SimDropGuider
    from .simulator_buffers import SimulatorBuffers
    from .structure_maps import StructureMaps
    from .track_objects import TrackObjects
    from .two_experts import TwoExperts
    from .video_metrics import VideoMetrics
    from .video_text_guider import VideoTextGuider
    from .windowed_model import WindowedModel

    return [
        LoadVideoModel,
        LoadControlBranch,
        LoadTransfer1Control,
        ModelControl,
        TwoExperts,
        ModelPreset,
        DemoDrive,
        SimulatorBuffers,
        StructureMaps,
        TrackObjects,
        ControlDetector,
        CaptionVideo,
        ControlNetStack,
        DDIMInvert,
        NoiseCalibrate,
        DualPromptCFGGuider,
        SimDropGuider,
        VideoTextGuider,
        DualPromptCFGSampler,
        LongVideoSampler,
        WindowedModel,
        EnhanceRealism,
        EnhanceVideoFile,
        ChunkPlan,
        ChunkStitcher,
        VideoMetrics,
        ObjectAlignment,
        RealismReport,
        Compare,
    ]
