"""Load Clip: a video file, or a small drive that comes with the pack, so that graphs run before there is one."""

from comfy_api.latest import InputImpl, io, ui

from ..host.paths import EXAMPLE, input_clip, input_clips
from ..shared.schema import search_words


class LoadClip(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismLoadClip",
            display_name="Load Clip",
            category="video realism/loaders",
            description="A video file of yours, or a small simulated drive that comes with this pack. Like Load Video, "
            "which can stand in its place.",
            inputs=[
                io.Combo.Input(
                    "file",
                    options=input_clips(),
                    default=f"{EXAMPLE}drive",
                    upload=io.UploadType.video,
                    tooltip="A clip in ComfyUI's input folder (press R for new ones to be listed), or an example: a "
                    "drive as a simulator renders it, and what the embedded model made of it.",
                ),
            ],
            outputs=[io.Video.Output(display_name="video", tooltip="The clip, for Get Video Components.")],
            **search_words("load video", "open", "upload", "example", "demo"),
        )

    @classmethod
    def validate_inputs(cls, file):
        known = file is None or file in input_clips()
        return known or f"The clip {file} is not in ComfyUI's input folder."

    @classmethod
    def fingerprint_inputs(cls, file):
        return input_clip(file, "file").stat().st_mtime

    @classmethod
    def execute(cls, file) -> io.NodeOutput:
        video = InputImpl.VideoFromFile(str(input_clip(file, "file")))
        width, height = video.get_dimensions()
        text = f"{width}x{height}, {video.get_duration():.1f} seconds"
        if file.startswith(EXAMPLE):
            text += "\nAn example of this pack. Your own clip: choose it in file."
        return io.NodeOutput(video, ui=ui.PreviewText(text))
