"""Structure Maps: edges, depth and classes estimated from a clip, on one scale for the whole of it."""

import torch
from comfy_api.latest import io, ui

from ..pipeline_core.conditions.depth import disparity_limits, disparity_map
from ..pipeline_core.conditions.edges import edge_map
from ..pipeline_core.conditions.estimators import load_estimators
from ..pipeline_core.conditions.segmentation import TAG, segmentation_map
from .adapter import compute_device, progress_bar
from .clips import clip_input
from .model_folders import NONE, transformers_folders
from .packages import require_packages
from .schema import search_words

DEPTH, SEGMENTATION = "depth_estimation", "semantic_segmentation"
CHUNK = 8  # frames per pass of an estimator


class StructureMaps(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismStructureMaps",
            display_name="Structure Maps",
            category="video realism/conditions",
            description="Makes the maps that hold a clip's structure while its look changes: edges always, depth and "
            "segmentation with a local model each. Brightness means the same in every frame, so nothing flickers.",
            inputs=[
                io.Image.Input("frames", tooltip="The whole clip."),
                io.Float.Input(
                    "edge_low",
                    default=100.0,
                    min=1.0,
                    max=1000.0,
                    step=1.0,
                    round=0.01,
                    tooltip="Canny's low threshold in 8-bit grey levels, as in OpenCV. Weak edges above it count where "
                    "they touch a strong one; lower finds more.",
                ),
                io.Float.Input(
                    "edge_high",
                    default=200.0,
                    min=1.0,
                    max=1000.0,
                    step=1.0,
                    round=0.01,
                    tooltip="Canny's high threshold in 8-bit grey levels: edges above it always count.",
                ),
                io.Combo.Input(
                    "depth_model",
                    options=[NONE, *transformers_folders(DEPTH)],
                    default=NONE,
                    tooltip="A transformers folder in models/depth_estimation, such as Depth Anything V2.",
                ),
                io.Combo.Input(
                    "segmentation_model",
                    options=[NONE, *transformers_folders(SEGMENTATION)],
                    default=NONE,
                    tooltip="A transformers folder in models/semantic_segmentation, such as a Cityscapes SegFormer.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="edge", tooltip="Canny edges, without those inside traffic lights."),
                io.Image.Output(
                    display_name="depth",
                    tooltip="Disparity on one scale for the clip: near white, far black. Empty without a depth model.",
                ),
                io.Image.Output(
                    display_name="segmentation",
                    tooltip="Classes in CARLA's colours. Empty without a segmentation model.",
                ),
            ],
            **search_words("canny", "depth", "segmentation", "controlnet", "preprocessor", "edge"),
        )

    @classmethod
    def execute(cls, frames, edge_low, edge_high, depth_model, segmentation_model) -> io.NodeOutput:
        require_packages("kornia", *(["transformers"] if {depth_model, segmentation_model} != {NONE} else []))
        frames = clip_input(frames, "frames")
        device = str(compute_device())
        estimators = load_estimators(
            transformers_folders(DEPTH).get(depth_model),
            transformers_folders(SEGMENTATION).get(segmentation_model),
            device,
        )
        progress, done = progress_bar(), 0
        edges, distances, painted = [], [], []
        for chunk in frames.split(CHUNK):
            progress(done, len(frames))
            classes = estimators.segmentation(chunk) if estimators.segmentation else None
            ignore = None if classes is None else classes == TAG["traffic light"]
            edges.append(edge_map(chunk, edge_low / 255, edge_high / 255, ignore))
            if estimators.depth:
                distances.append(estimators.depth(chunk))
            if classes is not None:
                painted.append(segmentation_map(classes))
            done += len(chunk)
        progress(done, done)
        edge = torch.cat(edges)
        said = [f"edge: {float(edge.mean()):.1%} of the pixels"]
        depth = segmentation = None
        if distances:
            limits = disparity_limits(distances)
            depth = grey(torch.cat([disparity_map(distance, limits) for distance in distances]))
            said.append(f"depth: {depth_model}, disparity {limits.low:.3g} (black) to {limits.high:.3g} (white)")
        if painted:
            segmentation = torch.cat(painted)
            said.append(f"segmentation: {segmentation_model}")
        for name, values in (("depth", depth), ("segmentation", segmentation)):
            if values is None:
                said.append(f"no {name}: {name}_model is none")
        return io.NodeOutput(grey(edge), depth, segmentation, ui=ui.PreviewText("\n".join(said)))


def grey(planes: torch.Tensor) -> torch.Tensor:
    """(F, H, W) as an IMAGE."""
    return planes[..., None].repeat(1, 1, 1, 3)
