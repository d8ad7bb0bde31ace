"""Track Objects: objects found by words and followed through the clip, those too that come into view later."""

import json

import torch
from comfy_api.latest import io, ui

from ...pipeline_core.conditions.instances import instance_map
from ...pipeline_core.perception.grounding import load_detector
from ...pipeline_core.perception.tracking import load_tracker, look_again
from ..host.jobs import compute_device, make_room, progress_bar
from ..host.paths import DETECTION, NONE, TRACKING, chosen_folder, folder_menu
from ..shared.clips import clip_input
from ..shared.packages import require_packages
from ..shared.schema import search_words


class TrackObjects(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismTrackObjects",
            display_name="Track Objects",
            category="video realism/conditions",
            description="Finds the objects you name and follows them through the clip, those too that come into view "
            "later: a colour of its own for each, as Cosmos-Transfer's segmentation control has it, and a mask of all.",
            inputs=[
                io.Image.Input("frames", tooltip="The whole clip."),
                io.String.Input(
                    "words",
                    default="car. truck. bus. person. traffic light. traffic sign. road. building. tree. sky.",
                    multiline=True,
                    tooltip="What to look for, with full stops or commas between.",
                ),
                io.Combo.Input(
                    "detection_model",
                    options=folder_menu(DETECTION),
                    default=NONE,
                    tooltip="A transformers folder of Grounding DINO in models/object_detection.",
                ),
                io.Combo.Input(
                    "tracking_model",
                    options=folder_menu(TRACKING),
                    default=NONE,
                    tooltip="A transformers folder of SAM 2 for video in models/video_segmentation.",
                ),
                io.Int.Input(
                    "look_every",
                    default=24,
                    min=0,
                    max=10000,
                    tooltip="Look for objects that are new every so many frames; 0 looks in the first frame only.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="segmentation", tooltip="Every object in a colour of its own, black else."
                ),
                io.Mask.Output(display_name="mask", tooltip="1 on every object, 0 elsewhere."),
                io.String.Output(display_name="report", tooltip="What was found, in which frame and where; JSON."),
            ],
            **search_words("grounding dino", "sam2", "segment anything", "segmentation", "instances", "controlnet"),
        )

    @classmethod
    def execute(cls, frames, words, detection_model, tracking_model, look_every) -> io.NodeOutput:
        require_packages("transformers")
        frames = clip_input(frames, "frames")
        folders = [
            chosen_folder(DETECTION, detection_model, "detection_model"),
            chosen_folder(TRACKING, tracking_model, "tracking_model"),
        ]
        device, progress = str(compute_device()), progress_bar()
        progress(0, len(frames))
        make_room()
        detect, track = load_detector(folders[0], device), load_tracker(folders[1], device)
        first = detect(frames[0], words)
        boxes, ids, since = list(first), [], [0] * len(first)
        for tracked in track(iter(frames), first, look_again(detect, words, look_every, boxes) if look_every else None):
            since += [len(ids)] * (len(boxes) - len(since))
            ids.append(tracked)
            progress(len(ids), len(frames))
        instances = torch.stack(ids)
        seen = [int((instances == number).flatten(1).any(1).sum()) for number in range(1, len(boxes) + 1)]
        objects = [
            {
                "words": box.words,
                "score": round(box.score, 4),
                "first_frame": start,
                "box": [round(value, 1) for value in (box.x0, box.y0, box.x1, box.y1)],
                "frames": count,
            }
            for box, start, count in zip(boxes, since, seen)
        ]
        lines = [f"{len(boxes)} objects in {len(frames)} frames, {len(first)} of them from the first on"]
        lines += [f"{entry['words']} ({entry['score']:.2f}): {entry['frames']} frames" for entry in objects[:12]]
        if not boxes:
            lines = ["The segmentation is empty: nothing of these words was found."]
        report = json.dumps({"objects": objects})
        mask = (instances > 0).float()
        return io.NodeOutput(instance_map(instances), mask, report, ui=ui.PreviewText("\n".join(lines)))
