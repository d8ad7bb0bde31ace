"""What the nodes about long latents share: widgets, the plan in words, the source's motion."""

from collections.abc import Callable

from comfy_api.latest import io
from torch import Tensor

from ...pipeline_core.errors import UserError
from ...pipeline_core.longvideo.plan import Window, compute_factor
from ..host.jobs import compute_device
from ..host.paths import FLOW, NONE, file_menu, optional_file
from ..host.windows.predictions import Layout, SourceMotion
from .clips import clip_input
from .schema import advanced

MEANINGS = (
    "fused: all windows predict the whole latent at every step, averaged. mean: a window takes over the frames it "
    "shares with the one before and spreads their difference over its own (LVSC). motion: the same along the source's "
    "motion; needs source."
)


def plan_inputs() -> list:
    """window, overlap and temporal_ratio, as in Chunk Plan."""
    return [
        io.Int.Input(
            "window",
            default=17,
            min=1,
            max=4097,
            tooltip="Frames of the clip in one window: 1 + a multiple of the temporal ratio, such as 17 (embedded "
            "model), 81 (Wan) or 93 (Cosmos).",
        ),
        io.Int.Input(
            "overlap",
            default=5,
            min=0,
            max=4096,
            tooltip="Frames of the clip that neighbouring windows share at least. More hides seams better and costs "
            "more.",
        ),
        io.Int.Input(
            "temporal_ratio",
            default=4,
            min=1,
            max=64,
            tooltip="Frames of the clip per latent frame: 4 for Wan and Cosmos 2.5, 8 for Cosmos 1 and LTX. A batch of "
            "images has 1, whatever is set.",
        ),
    ]


def tile_inputs() -> list:
    """tile_width, tile_height and tile_overlap."""
    pixels = {"min": 0, "max": 16384, "step": 16, "optional": True}
    return [
        io.Int.Input(
            "tile_width",
            default=0,
            tooltip="For frames larger than the model was trained on: width of a tile in pixels, such as the model's "
            "own (1280 for Cosmos, 832 for Wan). Tiles are averaged where they overlap in every step. 0: whole width.",
            **pixels,
        ),
        io.Int.Input("tile_height", default=0, tooltip="Pixels of a tile's height. 0: whole height.", **pixels),
        io.Int.Input(
            "tile_overlap",
            default=64,
            tooltip="Pixels that neighbouring tiles share at least. More hides seams better and costs more.",
            **pixels,
        ),
    ]


def plan_lines(frames: int, windows: list[Window], name: str = "window") -> list[str]:
    """The plan in words: how many windows, what they share, padding and cost."""
    spans = ", ".join(f"{w.start}-{min(w.stop, frames) - 1}" for w in windows)
    lines = [f"{frames} frames in {len(windows)} {name}{'s' * (len(windows) > 1)} of {windows[0].length}: {spans}"]
    if len(windows) > 1:
        shared = [before.stop - after.start for before, after in zip(windows, windows[1:])]
        lines.append(f"overlaps: {', '.join(map(str, shared))} frames")
    lines.append(f"cost: {compute_factor(windows, frames):.2f} x the frames of the clip")
    return lines


def layout_lines(layout: Layout) -> list[str]:
    return plan_lines(layout.windows[-1].stop, layout.windows)


def flow_input(used: str, optional: bool = True) -> io.Combo.Input:
    """The widget flow_model. used: when it is, in words."""
    return io.Combo.Input(
        "flow_model",
        options=file_menu(FLOW),
        default=NONE,
        optional=optional,
        tooltip=f"{used}: RAFT's weights in models/optical_flow, as safetensors. none: TV-L1, which needs no weights "
        "but the Python package scikit-image.",
        **advanced(io.Combo.Input),
    )


def flow_estimator(name: str) -> Callable[[Tensor], Tensor]:
    """frames (T, H, W, 3) -> flow (T, H, W, 2); UserError where it cannot be found."""
    from ...pipeline_core.perception.flow import estimated_flow, load_raft, require_flow

    if (weights := optional_file(FLOW, name, "flow_model")) is not None:
        return load_raft(weights, compute_device())
    require_flow()
    return estimated_flow


def source_motion(handover: str, source: Tensor | None, flow_model: str) -> SourceMotion | None:
    """Where the hand-over follows the clip, its motion; UserError where the clip is missing."""
    if handover != "motion":
        return None
    if source is None:
        raise UserError("handover is motion, which follows the clip: connect its frames to source.")
    return SourceMotion(clip_input(source, "source"), flow_estimator(flow_model))
