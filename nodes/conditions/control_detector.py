"""Control Detector: the edge, line, pose, normal and depth detectors of the optional package controlnet-aux."""

import torch
from comfy_api.latest import io, ui

from ...pipeline_core.perception.detectors import DETECTORS, clip_scale, detector_folder, load_detector, scaled
from ..host.jobs import compute_device, make_room, progress_bar
from ..host.paths import DETECTOR_FILES, model_roots
from ..shared.clips import clip_input, grey
from ..shared.schema import search_words

CHUNK = 4


class ControlDetector(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismControlDetector",
            display_name="Control Detector",
            category="video realism/conditions",
            description="Soft edges, lines, poses, normals and depth by the detectors that ControlNets were trained "
            "with. Depth is put on one scale for the whole clip. Needs the Python package controlnet-aux, which this "
            "pack does not install by itself.",
            inputs=[
                io.Image.Input("frames", tooltip="The whole clip."),
                io.Combo.Input(
                    "detector",
                    options=list(DETECTORS),
                    default="hed",
                    tooltip="hed and pidi: soft edges; lineart, teed, anyline: drawn lines; mlsd: straight lines; "
                    "openpose: people; normal_bae: surface normals; midas, zoe, leres: depth, near white. Only "
                    "lineart_standard needs no weights.",
                ),
                io.Int.Input(
                    "resolution",
                    default=0,
                    min=0,
                    max=4096,
                    step=64,
                    tooltip="Short side in pixels to work at, in steps of 64. 0: the clip's own. Most were trained at "
                    "512.",
                ),
            ],
            outputs=[io.Image.Output(display_name="map", tooltip="The detector's picture of every frame.")],
            **search_words("hed", "pidinet", "lineart", "midas", "zoe", "openpose", "mlsd", "normal", "preprocessor"),
        )

    @classmethod
    def execute(cls, frames, detector, resolution) -> io.NodeOutput:
        frames = clip_input(frames, "frames")
        folder = detector_folder(detector, model_roots(DETECTOR_FILES))
        progress, done = progress_bar(), 0
        progress(0, len(frames))
        make_room()
        detect, maps = load_detector(detector, folder, str(compute_device())), []
        for chunk in frames.split(CHUNK):
            maps.append(detect(chunk, resolution))
            done += len(chunk)
            progress(done, len(frames))
        said = f"{detector} of {len(frames)} frames"
        if DETECTORS[detector].depth:
            limits = clip_scale(maps)
            maps = [grey(values) for values in scaled(maps, limits)]
            said += f", scores {limits[0]:.3g} (black) to {limits[1]:.3g} (white)"
        return io.NodeOutput(torch.cat(maps), ui=ui.PreviewText(said))
