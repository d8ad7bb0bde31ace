"""Object Alignment: whether lights, signs, vehicles and people of the source are still what they were."""

import json

from comfy_api.latest import io, ui

from ..pipeline_core.conditions.estimators import Estimators, load_estimators
from ..pipeline_core.errors import UserError
from ..pipeline_core.metrics.compare import compare_frames
from ..pipeline_core.metrics.masks import TAGS, MaskBuffers
from ..pipeline_core.metrics.suite import Extras
from .adapter import compute_device, progress_bar
from .clips import clip_input
from .encoders import vision_encoder
from .model_folders import NONE, transformers_folders
from .packages import require_packages
from .schema import search_words
from .structure_maps import SEGMENTATION
from .video_metrics import main_number, node_text

GROUPS = tuple(TAGS)
MAIN = ("alignment", *(f"alignment_{name}" for name in GROUPS), "lights_kept", "objects_lost_detected")


def mask_inputs(of: str) -> list:
    """One optional MASK for every group of objects."""
    return [
        io.Mask.Input(
            name,
            optional=True,
            tooltip=f"Where the {of}'s {name} are, 1 inside and 0 elsewhere, a mask for each frame: from Simulator "
            "Buffers or any detector. Parts that do not touch are counted as single objects.",
        )
        for name in GROUPS
    ]


def mask_buffers(masks: dict, source) -> MaskBuffers | None:
    """The masks that are connected as buffers of the clip; None where there is none."""
    given = {name: mask for name, mask in masks.items() if mask is not None}
    return MaskBuffers(given, tuple(source.shape[:3])) if given else None


class ObjectAlignment(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismObjectAlignment",
            display_name="Object Alignment",
            category="video realism/metrics",
            description="Looks at single objects: cuts every traffic light, sign, vehicle and person out of both clips "
            "and says how alike a vision model finds them, whether lights show the same colour, whether signs and "
            "vehicles keep theirs, and which objects were lost or invented.",
            inputs=[
                io.Image.Input("source", tooltip="The clip before."),
                io.Image.Input("output", tooltip="The clip after, of the same number and size of frames."),
                io.ClipVision.Input(
                    "clip_vision",
                    optional=True,
                    tooltip="DINOv2 or CLIP, from Load CLIP Vision. Without it only colours and counts are compared.",
                ),
                *mask_inputs("source"),
                io.Combo.Input(
                    "segmentation_model",
                    options=[NONE, *transformers_folders(SEGMENTATION)],
                    default=NONE,
                    tooltip="A transformers folder in models/semantic_segmentation. It finds objects in both clips, so "
                    "that lost and invented ones can be told; figures that end in _detected come from it.",
                ),
            ],
            outputs=[
                io.Float.Output(display_name="alignment", tooltip="Mean cosine of all objects, 1 is the same."),
                *(io.Float.Output(display_name=name, tooltip=f"Mean cosine of the {name}.") for name in GROUPS),
                io.Float.Output(display_name="lights kept", tooltip="Share of lit lights that kept their colour."),
                io.Float.Output(display_name="lost", tooltip="Share of detected objects that the output lacks."),
                io.String.Output(display_name="report", tooltip="Every figure and every object not kept, as JSON."),
            ],
            is_output_node=True,
            **search_words("dino", "clip", "traffic light", "object", "alignment", "consistency", "identity"),
        )

    @classmethod
    def execute(
        cls, source, output, segmentation_model, clip_vision=None, lights=None, signs=None, vehicles=None, people=None
    ) -> io.NodeOutput:
        detected = segmentation_model != NONE
        require_packages(*(["transformers"] if detected else []))
        clips = clip_input(source, "source"), clip_input(output, "output")
        masks = mask_buffers(dict(zip(GROUPS, (lights, signs, vehicles, people))), clips[0])
        if masks is None and not detected:
            raise UserError(
                "No objects are known: connect a mask to lights, signs, vehicles or people, or choose a "
                "segmentation_model."
            )
        models = Estimators()
        if detected:
            folder = transformers_folders(SEGMENTATION)[segmentation_model]
            models = load_estimators(segmentation=folder, device=str(compute_device()))
        encoder = None if clip_vision is None else vision_encoder(clip_vision)
        extras = Extras(only=("objects",), encoder=encoder, estimators=models)
        report = compare_frames(*clips, progress=progress_bar(), buffers=masks, extras=extras)
        numbers = [main_number(report["figures"]["objects"][name]) for name in MAIN]
        return io.NodeOutput(*numbers, json.dumps(report), ui=ui.PreviewText(object_text(report)))


def object_text(report: dict) -> str:
    """The figures, and the first objects that were not kept."""
    lost = report["lost"]
    lines = [f"frame {one['frame']}: {one['expected']}, seen {one['seen']}" for one in lost[:6]]
    more = [f"and {len(lost) - 6} more: see report"] if len(lost) > 6 else []
    return "\n".join([node_text(report), *(["not kept", *lines, *more] if lost else [])])
