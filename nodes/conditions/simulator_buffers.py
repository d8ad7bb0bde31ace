"""Simulator Buffers: control maps, masks and weights from what a simulator recorded beside its pictures."""

import json
from pathlib import Path

import torch
from comfy_api.latest import io, ui

from ...pipeline_core.conditions.buffers import scene_description
from ...pipeline_core.conditions.check import described
from ...pipeline_core.conditions.conventions import CONVENTIONS
from ...pipeline_core.conditions.edges import CANNY_PRESETS
from ...pipeline_core.conditions.layouts import find_recording
from ...pipeline_core.conditions.recognised import AUTO
from ...pipeline_core.conditions.recordings import (
    DEPTH_SOURCES,
    SEMANTIC_SOURCES,
    classes_of_frames,
    depth_of_frames,
    instances_of_frames,
)
from ...pipeline_core.conditions.simulator import (
    PAINTS,
    SimulatorMaps,
    Streams,
    recording_streams,
    simulator_maps,
    tensor_streams,
)
from ...pipeline_core.conditions.weights import parse_class_weights
from ...pipeline_core.errors import UserError
from ..host.jobs import progress_bar
from ..host.paths import NONE, recordings
from ..shared.clips import clip_input, grey
from ..shared.packages import require_packages
from ..shared.schema import advanced, search_words

THESE, WHOLE = "these frames", "whole recording"


class SimulatorBuffers(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismSimulatorBuffers",
            display_name="Simulator Buffers",
            category="video realism/conditions",
            description="Turns what a simulator recorded (depth, class tags, object ids) into depth, segmentation and "
            "edge maps, masks of the classes you name, and a weight for each class. Exact, and steady over the clip. "
            "Reads CARLA's recordings and Cosmos captures, Virtual KITTI 2, SYNTHIA, EXR and 16-bit PNG.",
            inputs=[
                io.Image.Input(
                    "frames",
                    optional=True,
                    tooltip="The clip. All maps get its size, and its edges are found. Without it the maps have the "
                    "recording's own size.",
                ),
                io.Video.Input(
                    "video",
                    optional=True,
                    tooltip="The clip's file, only to check: a buffers folder of this pack names the file it belongs "
                    "to, and that of another clip is refused.",
                ),
                io.Image.Input(
                    "depth_pictures",
                    optional=True,
                    tooltip="In place of a folder: the simulator's raw depth pictures, lossless.",
                ),
                io.Image.Input(
                    "tag_pictures",
                    optional=True,
                    tooltip="In place of a folder: the simulator's semantic pictures, raw or painted, lossless.",
                ),
                io.Image.Input(
                    "instance_pictures",
                    optional=True,
                    tooltip="In place of a folder: CARLA's raw instance pictures, lossless. They hold the tags too.",
                ),
                io.Combo.Input(
                    "folder",
                    options=[NONE, *recordings()],
                    default=NONE,
                    tooltip="A recording in ComfyUI's input folder: a buffers folder, or a simulator's own. Press R "
                    "for new ones to be listed.",
                ),
                io.Combo.Input(
                    "palette",
                    options=list(PAINTS),
                    default="carla",
                    tooltip="Colours of the segmentation map, those that its control network was trained with: CARLA's "
                    "(Cityscapes' for its classes), Cityscapes', ADE20K's or COCO's; instances: a colour of its own "
                    "for every object, the same in all frames, as Cosmos-Transfer has them.",
                ),
                io.String.Input(
                    "mask_classes",
                    default="lights and signs",
                    tooltip="Classes that are white in the mask: names such as cars, people, traffic lights, sky, with "
                    "and or commas between. Empty: no mask.",
                ),
                io.String.Input(
                    "class_weights",
                    default="signs and lights at 1, sky at 0.2, rest at 0.7",
                    multiline=True,
                    tooltip="Weight of each class, 0 to 1, for a weight_mask of the Condition Stack. rest: the "
                    "classes not named (1 if missing). Empty: no weights.",
                ),
                io.Combo.Input(
                    "edge_preset",
                    options=list(CANNY_PRESETS),
                    default="medium",
                    tooltip="Canny thresholds of Cosmos-Transfer1: very_low finds most edges, very_high fewest.",
                    **advanced(io.Combo.Input),
                ),
                io.Combo.Input(
                    "depth_format",
                    options=[AUTO, *DEPTH_SOURCES],
                    default=AUTO,
                    tooltip="How the depth is stored. auto recognises it from the pictures and says why; what fits "
                    "several forms is refused: then choose one.",
                    **advanced(io.Combo.Input),
                ),
                io.Combo.Input(
                    "semantic_format",
                    options=[AUTO, *SEMANTIC_SOURCES],
                    default=AUTO,
                    tooltip="How the classes are stored. auto recognises raw tags and painted pictures and says why; "
                    "what fits several tables is refused: then choose one.",
                    **advanced(io.Combo.Input),
                ),
                io.Float.Input(
                    "depth_scale",
                    default=1.0,
                    min=0.0,
                    max=1000.0,
                    step=0.0001,
                    round=0.0000001,
                    tooltip="Metres of one unit: of a code in png16 (0.001 for millimetres), of a value in EXR.",
                    **advanced(io.Float.Input),
                ),
                io.String.Input(
                    "camera",
                    default="",
                    tooltip="For recordings of several cameras: a part of the folder's or file's name that tells this "
                    "one, such as front or Camera_0.",
                    **advanced(io.String.Input),
                ),
                io.Int.Input(
                    "start",
                    default=0,
                    min=0,
                    max=2**31 - 1,
                    tooltip="Which picture of the folder belongs to the first frame, counted from 0.",
                    **advanced(io.Int.Input),
                ),
                io.Int.Input(
                    "length",
                    default=0,
                    min=0,
                    max=2**31 - 1,
                    tooltip="How many pictures of the folder are read when no frames are connected. 0: all.",
                    **advanced(io.Int.Input),
                ),
                io.Boolean.Input(
                    "crop",
                    default=False,
                    tooltip="Cut the buffers to the frames' shape around the middle, as Upscale Image does with crop "
                    "center. Off: another shape is an error.",
                ),
                io.Combo.Input(
                    "depth_range",
                    options=[THESE, WHOLE],
                    default=THESE,
                    tooltip="What black and white mean in the depth map: the range of these frames, or of the folder's "
                    "whole recording, so that parts of a clip that are made one by one fit each other.",
                    **advanced(io.Combo.Input),
                ),
                io.Combo.Input(
                    "made_for",
                    options=list(CONVENTIONS),
                    default="cosmos_transfer1",
                    optional=True,
                    tooltip="The model that the maps are for. Families were trained on different edges and depth "
                    "scales; Model Preset names a model's.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="edge", tooltip="Canny edges of the frames, without those inside lights."),
                io.Image.Output(display_name="depth", tooltip="Near white, sky black, on one scale for these frames."),
                io.Image.Output(display_name="segmentation", tooltip="Classes or objects in the palette's colours."),
                io.Mask.Output(display_name="mask", tooltip="1 on the mask_classes, 0 elsewhere."),
                io.Mask.Output(display_name="weights", tooltip="The class_weights, 0 to 1: a weight_mask."),
                io.String.Output(display_name="description", tooltip="What is in the scene, where the folder says so."),
                io.String.Output(display_name="report", tooltip="What was read and what it covers, as JSON."),
            ],
            **search_words("carla", "depth", "semantic", "instance", "segmentation", "ground truth", "weight mask"),
        )

    @classmethod
    def fingerprint_inputs(cls, folder=NONE, **_):
        path = recordings().get(folder)
        if path is None:
            return 0.0
        return max(entry.stat().st_mtime for entry in (path, *path.iterdir()))

    @classmethod
    def execute(
        cls, folder, palette, mask_classes, class_weights, edge_preset, depth_format, semantic_format, depth_scale,
        camera, start, length, crop, depth_range, frames=None, video=None, depth_pictures=None, tag_pictures=None,
        instance_pictures=None, made_for="cosmos_transfer1",
    ) -> io.NodeOutput:  # fmt: skip
        require_packages("kornia", "av")
        frames = None if frames is None else clip_input(frames, "frames")
        pictures = {"depth": depth_pictures, "tag": tag_pictures, "instance": instance_pictures}
        pictures = {name: images for name, images in pictures.items() if images is not None}
        origin = {"folder": folder}
        if folder != NONE and pictures:
            raise UserError(
                f"Both a folder and {next(iter(pictures))}_pictures came: set folder to none, or unplug it."
            )
        if folder == NONE:
            streams = loaded_streams(pictures, depth_format, semantic_format)
        else:
            path = recordings().get(folder)
            if path is None:
                raise UserError(f"The folder {folder} is not in ComfyUI's input folder: choose another one.")
            check_clip(path, video)
            recording = find_recording(path, camera, depth_format, semantic_format, depth_scale)
            count = length if frames is None else len(frames)
            streams = recording_streams(recording, depth_scale, start, count, depth_range == WHOLE)
            origin |= {"depth_format": recording.depth_format, "semantic_format": recording.semantic_format}
            origin["recognised"] = described(recording, path)
        weights = parse_class_weights(class_weights)
        wanted = {"mask_of": mask_classes.strip(), "weights": weights}
        if streams.classes is None:
            wanted = {}
        low, high = CANNY_PRESETS[edge_preset]
        maps = simulator_maps(
            streams,
            frames,
            palette,
            thresholds=(low, high),
            crop=crop,
            progress=progress_bar(),
            convention=made_for,
            **wanted,
        )
        lines, report = _said(streams, maps, origin, mask_classes if wanted else "", weights if wanted else {})
        images = (None if values is None else grey(values) for values in (maps.edge, maps.depth))
        text = ui.PreviewText("\n".join(lines))
        return io.NodeOutput(
            *images, maps.segmentation, maps.mask, maps.weights, scene_description(recordings().get(folder)),
            json.dumps(report), ui=text,
        )  # fmt: skip


def check_clip(path: Path, video) -> None:
    """UserError where the folder is a buffers folder of another clip than the VIDEO's file."""
    from ...pipeline_core.conditions.buffers import open_buffers

    source = None if video is None else video.get_stream_source()
    if isinstance(source, str) and (path / "buffers.json").is_file():
        open_buffers(path, source)


def loaded_streams(pictures: dict[str, torch.Tensor], depth_format: str, semantic_format: str) -> Streams:
    """Streams of pictures that other nodes loaded."""
    if not pictures:
        raise UserError("No buffers came: choose a folder, or connect depth, tag or instance pictures.")
    planes, tags = {}, pictures.get("tag", pictures.get("instance"))
    if "depth" in pictures:
        planes["depth"] = depth_of_frames(pictures["depth"], depth_format)
    if tags is not None:
        planes["classes"] = classes_of_frames(tags, semantic_format)
    if "instance" in pictures:
        planes["instances"] = instances_of_frames(pictures["instance"], AUTO)
    return tensor_streams(**planes)


def _said(streams: Streams, maps: SimulatorMaps, origin: dict, mask_of: str, weights: dict) -> tuple[list[str], dict]:
    """Lines for the node, and the same as data."""
    channels = [name for name in ("depth", "classes", "instances") if getattr(streams, name) is not None]
    any_map = next(values for values in (maps.depth, maps.segmentation, maps.edge) if values is not None)
    height, width = any_map.shape[1:3]
    lines = [f"{', '.join(channels)} of {streams.frames} frames, maps {width}x{height}"]
    report = {**origin, "channels": channels, "frames": streams.frames, "size": [height, width]}
    lines += origin.get("recognised", [])
    if maps.mask is not None:
        covered = float(maps.mask.mean())
        empty = int((maps.mask.flatten(1).sum(1) == 0).sum())
        report |= {"mask_of": mask_of, "mask_share": covered, "frames_without_mask": empty}
        without = f", in {empty} frames none" if empty else ""
        lines.append(f"mask: {mask_of} on {covered:.2%} of the pixels{without}")
        if covered == 0:
            lines[-1] = f"The mask is empty: none of {mask_of} is in these frames."
    if maps.weights is not None:
        report |= {"class_weights": weights, "weights_mean": float(maps.weights.mean())}
        lines.append(f"weights: {float(maps.weights.mean()):.2f} on average")
    lines += [f"no {name}: the buffers have none" for name in ("depth", "segmentation") if getattr(maps, name) is None]
    if maps.edge is None:
        lines.append("no edge: frames is not connected")
    return lines, report
