"""Demo Drive: a clip of the built-in driving world, with the control maps a simulator would give."""

import torch
from comfy_api.latest import io, ui

from ...pipeline_core.conditions.estimated import Estimators
from ...pipeline_core.conditions.maps import clip_disparity_limits, window_maps
from ...pipeline_core.world import STYLES, Render, RenderedBuffers, drive_scene, render
from ...pipeline_core.world.render import frames_at_once, scene_data
from ..host.jobs import progress_bar
from ..shared.packages import require_packages
from ..shared.schema import search_words

CONTROLS = ("edge", "depth", "segmentation")


class DemoDrive(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismDemoDrive",
            display_name="Demo Drive",
            category="video realism/loaders",
            description="Renders a short drive through a made-up town, as a simulator would, with perfect edge, depth "
            "and segmentation maps. The same seed in a photoreal style is the same drive as a camera would see it: "
            "what a perfect result would be.",
            inputs=[
                io.Int.Input(
                    "scene_seed",
                    default=910003,
                    min=0,
                    max=2**53 - 1,
                    tooltip="Number of the town, its traffic and its lights. The embedded model was made with seeds "
                    "below 900000: choose higher ones to judge it.",
                ),
                io.Int.Input("frames", default=17, min=1, max=4096, tooltip="Length of the clip in frames."),
                io.Int.Input("width", default=160, min=16, max=1920, step=16, tooltip="Width in pixels."),
                io.Int.Input("height", default=96, min=16, max=1088, step=16, tooltip="Height in pixels."),
                io.Combo.Input(
                    "style",
                    options=[style for style in STYLES if style != "photoreal"],
                    default="synthetic",
                    tooltip="synthetic: flat simulator graphics, the input of a job. photoreal: the same drive with "
                    "textures, light, weather and a camera.",
                ),
                io.Float.Input(
                    "fps",
                    default=24.0,
                    min=1.0,
                    max=120.0,
                    step=0.001,
                    round=0.001,
                    tooltip="Frames per second: how far the car moves from frame to frame.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="frames", tooltip="The clip."),
                io.Image.Output(display_name="edge", tooltip="Canny edges, without those inside traffic lights."),
                io.Image.Output(display_name="depth", tooltip="Near white, sky black, on one scale for the clip."),
                io.Image.Output(display_name="segmentation", tooltip="Classes in CARLA's colours."),
                io.String.Output(display_name="description", tooltip="What is in the scene, to add to a prompt."),
                io.Float.Output(display_name="fps", tooltip="The frame rate, for Create Video."),
            ],
            **search_words("demo", "simulator", "synthetic", "driving", "test clip", "carla"),
        )

    @classmethod
    def execute(cls, scene_seed, frames, width, height, style, fps) -> io.NodeOutput:
        require_packages("kornia")
        clip = render_drive(scene_seed, frames, (height, width), style, fps)
        buffers = RenderedBuffers(clip)
        maps = window_maps(CONTROLS, clip.rgb, 0, buffers, Estimators(), clip_disparity_limits(buffers))
        edge, depth = (maps[name][..., None].repeat(1, 1, 1, 3) for name in ("edge", "depth"))
        description = clip.scene["description"]
        return io.NodeOutput(
            clip.rgb, edge, depth, maps["segmentation"], description, fps, ui=ui.PreviewText(description)
        )


def render_drive(seed: int, frames: int, size: tuple[int, int], style: str, fps: float) -> Render:
    """`world.render` in pieces of a few frames, so that the bar moves and a cancel is heard."""
    scene, progress, pieces = drive_scene(seed, frames, fps), progress_bar(), []
    count = frames_at_once(size)
    for start in range(0, frames, count):
        progress(start, frames)
        pieces.append(render(scene, range(start, min(start + count, frames)), size, style))
    progress(frames, frames)
    planes = {
        name: torch.cat([getattr(piece, name) for piece in pieces])
        for name in ("rgb", "depth", "classes", "instances", "flow")
    }
    return Render(lights=[], scene=scene_data(scene, style), **planes)
