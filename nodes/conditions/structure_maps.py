"""Structure Maps: edges, depth, classes and blur of a clip, on one scale for the whole of it."""

import torch
from comfy_api.latest import io, ui

from ...pipeline_core.conditions.blur import BLUR_STRENGTHS, blur_map
from ...pipeline_core.conditions.conventions import CONVENTIONS, map_convention
from ...pipeline_core.conditions.depth import depth_limits, disparity_map
from ...pipeline_core.conditions.edges import CANNY_PRESETS, edge_map
from ...pipeline_core.conditions.segmentation import PALETTES, TAG, segmentation_map
from ...pipeline_core.conditions.smoothing import smooth_depth
from ...pipeline_core.perception.estimators import load_estimators
from ..host.jobs import compute_device, progress_bar
from ..host.paths import DEPTH, NONE, SEGMENTATION, folder_menu, optional_folder
from ..shared.clips import clip_input, grey
from ..shared.packages import require_packages
from ..shared.schema import search_words

CHUNK = 8  # frames per pass of an estimator
CUSTOM = "custom"


class StructureMaps(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismStructureMaps",
            display_name="Structure Maps",
            category="video realism/conditions",
            description="Makes the maps that hold a clip's structure while its look changes: edges always, depth and "
            "segmentation with a local model each, and a blurred copy. Brightness means the same in every frame, so "
            "nothing flickers.",
            inputs=[
                io.Image.Input("frames", tooltip="The whole clip, at the model's size: edges and blur change with it."),
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
                    options=folder_menu(DEPTH),
                    default=NONE,
                    tooltip="A transformers folder in models/depth_estimation, such as Depth Anything V2.",
                ),
                io.Combo.Input(
                    "segmentation_model",
                    options=folder_menu(SEGMENTATION),
                    default=NONE,
                    tooltip="A transformers folder in models/semantic_segmentation, such as a Cityscapes SegFormer or "
                    "Mask2Former.",
                ),
                io.Combo.Input(
                    "edge_preset",
                    options=[CUSTOM, *CANNY_PRESETS],
                    default=CUSTOM,
                    optional=True,
                    tooltip="Canny thresholds of Cosmos-Transfer1, from very_low (most edges) to very_high (fewest). "
                    "custom: edge_low and edge_high.",
                ),
                io.Int.Input(
                    "temporal_smoothing",
                    default=0,
                    min=0,
                    max=32,
                    optional=True,
                    tooltip="Steadies depth: every frame is brought to the scale of the one before, and averaged with "
                    "this many frames before and after where nothing moves. 0: off; 2 to 4 is usual.",
                ),
                io.Combo.Input(
                    "blur",
                    options=[NONE, *BLUR_STRENGTHS],
                    default=NONE,
                    optional=True,
                    tooltip="A blurred copy of the clip, the vis control of Cosmos-Transfer1: it keeps colours and "
                    "light and drops detail. medium is its default; high is slow without a graphics card, "
                    "gaussian is quick everywhere.",
                ),
                io.Combo.Input(
                    "palette",
                    options=list(PALETTES),
                    default="carla",
                    optional=True,
                    tooltip="Colours of the segmentation map, those that its control network was trained with.",
                ),
                io.Combo.Input(
                    "made_for",
                    options=list(CONVENTIONS),
                    default="cosmos_transfer1",
                    optional=True,
                    tooltip="The model that the maps are for. Families were trained on different edges, depth scales "
                    "and blurs; Model Preset names a model's.",
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
                    tooltip="Classes in the palette's colours. Empty without a segmentation model.",
                ),
                io.Image.Output(display_name="blur", tooltip="The blurred clip. Empty while blur is none."),
            ],
            **search_words("canny", "depth", "segmentation", "controlnet", "preprocessor", "edge", "blur", "vis"),
        )

    @classmethod
    def execute(
        cls, frames, edge_low, edge_high, depth_model, segmentation_model, edge_preset=CUSTOM, temporal_smoothing=0,
        blur=NONE, palette="carla", made_for="cosmos_transfer1",
    ) -> io.NodeOutput:  # fmt: skip
        require_packages("kornia", *(["transformers"] if {depth_model, segmentation_model} != {NONE} else []))
        frames = clip_input(frames, "frames")
        device, convention = str(compute_device()), map_convention(made_for)
        low, high = CANNY_PRESETS.get(edge_preset, (edge_low / 255, edge_high / 255))
        estimators = load_estimators(
            optional_folder(DEPTH, depth_model, "depth_model"),
            optional_folder(SEGMENTATION, segmentation_model, "segmentation_model"),
            device,
        )
        progress, done = progress_bar(), 0
        edges, distances, painted, blurred = [], [], [], []
        for chunk in frames.split(CHUNK):
            progress(done, len(frames))
            chunk = chunk.to(device)
            classes = estimators.segmentation(chunk) if estimators.segmentation else None
            ignore = None if classes is None else classes == TAG["traffic light"]
            edges.append(edge_map(chunk, low, high, ignore, convention.edges).cpu())
            if estimators.depth:
                distances.append(estimators.depth(chunk).cpu())
            if classes is not None:
                painted.append(segmentation_map(classes, palette).cpu())
            if blur != NONE:
                blurred.append(blur_map(chunk, blur, convention.blur).cpu())
            done += len(chunk)
        progress(done, done)
        edge = torch.cat(edges)
        said = [f"edge: {float(edge.mean()):.1%} of the pixels, made for {made_for}"]
        depth = segmentation = None
        if distances:
            distances = list(smooth_depth(distances, temporal_smoothing))
            limits = depth_limits(distances, convention.depth)
            depth = grey(torch.cat([disparity_map(distance, limits) for distance in distances]))
            steadied = f", steadied over {2 * temporal_smoothing + 1} frames" if temporal_smoothing else ""
            said.append(
                f"depth: {depth_model}, disparity {limits.low:.3g} (black) to {limits.high:.3g} (white){steadied}"
            )
        if painted:
            segmentation = torch.cat(painted)
            said.append(f"segmentation: {segmentation_model}")
        for name, values in (("depth", depth), ("segmentation", segmentation)):
            if values is None:
                said.append(f"no {name}: {name}_model is none")
        if blurred:
            said.append(f"blur: {blur}")
        softened = torch.cat(blurred) if blurred else None
        return io.NodeOutput(grey(edge), depth, segmentation, softened, ui=ui.PreviewText("\n".join(said)))
