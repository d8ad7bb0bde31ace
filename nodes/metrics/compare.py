"""Compare: clips side by side under their labels, and a contact sheet of them."""

from comfy_api.latest import io, ui

from ...pipeline_core.video.frames import resize
from ...pipeline_core.video.sheet import contact_sheet, labelled_side_by_side, to_frames
from ..shared.clips import clip_input, same_length
from ..shared.schema import search_words

SHEET_WIDTH = 1600  # pixels, about: what fits on a screen


class Compare(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismCompare",
            display_name="Compare",
            category="video realism/metrics",
            description="Puts up to three clips side by side under their labels, and on a contact sheet.",
            inputs=[
                io.Image.Input("clip_1", tooltip="The first clip; the others are shown at its size."),
                io.Image.Input("clip_2", optional=True, tooltip="A clip with as many frames as the first."),
                io.Image.Input("clip_3", optional=True, tooltip="A clip with as many frames as the first."),
                io.String.Input("label_1", default="source", tooltip="What is written over the first clip."),
                io.String.Input("label_2", default="enhanced", tooltip="What is written over the second clip."),
                io.String.Input("label_3", default="reference", tooltip="What is written over the third clip."),
                io.Int.Input("columns", default=5, min=1, max=32, tooltip="Frames of each clip on the contact sheet."),
            ],
            outputs=[
                io.Image.Output(display_name="side by side", tooltip="One clip, for Create Video or Save Image."),
                io.Image.Output(display_name="contact sheet", tooltip="One picture: a row of frames per clip."),
            ],
            **search_words("side by side", "comparison", "before after", "contact sheet", "grid", "label"),
        )

    @classmethod
    def execute(cls, clip_1, label_1, label_2, label_3, columns, clip_2=None, clip_3=None) -> io.NodeOutput:
        inputs = {"clip_1": clip_1, "clip_2": clip_2, "clip_3": clip_3}
        clips = {name: clip_input(clip, name) for name, clip in inputs.items() if clip is not None}
        same_length(clips)
        frames, height, width, _ = clips["clip_1"].shape
        notes = [f"{len(clips)} clips of {frames} frames, {width}x{height}"]
        rows = {}
        labels = {"clip_1": label_1, "clip_2": label_2, "clip_3": label_3}
        for name, clip in clips.items():
            if tuple(clip.shape[1:3]) != (height, width):
                notes.append(f"{name} was resized from {clip.shape[2]}x{clip.shape[1]} to {width}x{height}")
            label = labels[name].strip()
            rows[label if label not in rows else f"{label} ({name})"] = resize(clip, (height, width))
        shown = min(columns, frames)
        sheet = contact_sheet(rows, shown, min(2.0, SHEET_WIDTH / (shown * width)))
        return io.NodeOutput(labelled_side_by_side(rows), to_frames(sheet), ui=ui.PreviewText("\n".join(notes)))
