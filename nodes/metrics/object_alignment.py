"""Object Alignment: whether lights, signs, vehicles and people of the source are still what they were."""

import json

from comfy_api.latest import io, ui

from ...pipeline_core.errors import UserError
from ...pipeline_core.metrics.compare import compare_frames
from ...pipeline_core.metrics.extras import Extras
from ...pipeline_core.perception.estimators import load_estimators
from ..host.encoders import vision_encoder
from ..host.jobs import compute_device, progress_bar
from ..host.paths import NONE, SEGMENTATION, folder_menu, optional_folder
from ..shared.clips import clip_input
from ..shared.figures import main_number, object_text
from ..shared.object_detectors import detector_folders, detector_inputs, object_detector
from ..shared.object_masks import GROUPS, mask_buffers, mask_inputs
from ..shared.packages import require_packages
from ..shared.schema import search_words

MAIN = ("alignment", *(f"alignment_{name}" for name in GROUPS), "lights_kept", "objects_lost_detected")


class ObjectAlignment(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismObjectAlignment",
            display_name="Object Alignment",
            category="video realism/metrics",
            description="Looks at single objects: cuts every traffic light, sign, vehicle and person out of both clips "
            "and says how alike a vision model finds them, whether lights show the same colour, whether signs and "
            "vehicles keep theirs, whether signs keep their outline and can be read, and which objects were lost "
            "or invented.",
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
                    options=folder_menu(SEGMENTATION),
                    default=NONE,
                    tooltip="A transformers folder in models/semantic_segmentation. It finds objects in both clips, so "
                    "that lost and invented ones can be told; figures that end in _detected come from it.",
                ),
                *detector_inputs(),
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
        cls, source, output, segmentation_model, clip_vision=None, lights=None, signs=None, vehicles=None, people=None,
        detection_model=NONE, tracking_model=NONE,
    ) -> io.NodeOutput:  # fmt: skip
        segmenter = optional_folder(SEGMENTATION, segmentation_model, "segmentation_model")
        folders = detector_folders(detection_model, tracking_model)
        detected = segmenter is not None or folders["detection_model"] is not None
        require_packages(*(["transformers"] if detected else []))
        clips = clip_input(source, "source"), clip_input(output, "output")
        masks = mask_buffers(dict(zip(GROUPS, (lights, signs, vehicles, people))), clips[0])
        if masks is None and not detected:
            raise UserError(
                "No objects are known: connect a mask to lights, signs, vehicles or people, or choose a "
                "segmentation_model or a detection_model."
            )
        models = load_estimators(segmentation=segmenter, device=str(compute_device()))
        detect = object_detector(folders, str(compute_device()))
        encoder = None if clip_vision is None else vision_encoder(clip_vision)
        extras = Extras(only=("objects",), encoder=encoder, estimators=models, detect=detect)
        report = compare_frames(*clips, progress=progress_bar(), buffers=masks, extras=extras)
        numbers = [main_number(report["figures"]["objects"][name]) for name in MAIN]
        return io.NodeOutput(*numbers, json.dumps(report), ui=ui.PreviewText(object_text(report)))
