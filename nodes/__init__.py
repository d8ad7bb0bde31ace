"""The pack's nodes: one file per mechanism, schema and a thin call into pipeline_core; adapter.py alone knows comfy."""


def all_nodes() -> list[type]:
    """Every node class, in the order of the menu."""
    from .control_stack import ControlNetStack
    from .ddim_invert import DDIMInvert
    from .dual_prompt_guider import DualPromptCFGGuider
    from .dual_prompt_sampler import DualPromptCFGSampler
    from .load_control_branch import LoadControlBranch
    from .load_video_model import LoadVideoModel
    from .noise_calibrate import NoiseCalibrate
    from .simdrop_guider import SimDropGuider
    from .video_text_guider import VideoTextGuider

    return [
        LoadVideoModel,
        LoadControlBranch,
        ControlNetStack,
        DDIMInvert,
        NoiseCalibrate,
        DualPromptCFGGuider,
        SimDropGuider,
        VideoTextGuider,
        DualPromptCFGSampler,
    ]
