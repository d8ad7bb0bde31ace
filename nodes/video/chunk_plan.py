"""Chunk Plan: a long clip as a list of overlapping chunks; ComfyUI then runs every next node once per chunk."""

import json

from comfy_api.latest import io, ui

from ...pipeline_core.longvideo.plan import plan_text, read_plan
from ...pipeline_core.longvideo.stitch import window_clips
from ..shared.clips import clip_input, same_length
from ..shared.long_video import plan_lines
from ..shared.schema import search_words

MAPS = ("edge", "depth", "segmentation")


class ChunkPlan(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismChunkPlan",
            display_name="Chunk Plan",
            category="video realism/video",
            description="Cuts a clip into overlapping chunks that fit a model. Every node after it runs once per "
            "chunk, until Chunk Stitcher joins the results.",
            inputs=[
                io.Image.Input("frames", tooltip="The whole clip."),
                io.Image.Input("edge", optional=True, tooltip="A map of the same clip, cut the same way."),
                io.Image.Input("depth", optional=True, tooltip="A map of the same clip, cut the same way."),
                io.Image.Input("segmentation", optional=True, tooltip="A map of the same clip, cut the same way."),
                io.Int.Input(
                    "window",
                    default=17,
                    min=1,
                    max=4097,
                    tooltip="Frames of one chunk: 1 + a multiple of the temporal ratio, such as 17, 49, 81 or 93.",
                ),
                io.Int.Input(
                    "overlap",
                    default=5,
                    min=0,
                    max=4096,
                    tooltip="Frames that neighbouring chunks share at least; they are crossfaded. More hides seams "
                    "better and costs more.",
                ),
                io.Int.Input(
                    "temporal_ratio",
                    default=4,
                    min=1,
                    max=64,
                    tooltip="Frames per latent frame of the model's VAE: 4 for Wan and Cosmos 2.5, 8 for Cosmos 1 and "
                    "LTX, 1 for image models.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="frames", is_output_list=True, tooltip="The chunks, in order."),
                io.Image.Output(display_name="edge", is_output_list=True, tooltip="Empty if not connected."),
                io.Image.Output(display_name="depth", is_output_list=True, tooltip="Empty if not connected."),
                io.Image.Output(display_name="segmentation", is_output_list=True, tooltip="Empty if not connected."),
                io.Int.Output(display_name="starts", is_output_list=True, tooltip="First frame of every chunk."),
                io.String.Output(display_name="plan", tooltip="For Chunk Stitcher."),
            ],
            is_output_node=True,  # so that the plan can be looked at before anything after it runs
            **search_words("long video", "split", "batch", "window", "context", "sliding window"),
        )

    @classmethod
    def execute(
        cls, frames, window, overlap, temporal_ratio, edge=None, depth=None, segmentation=None
    ) -> io.NodeOutput:
        maps = dict(zip(MAPS, (edge, depth, segmentation)))
        clips = {"frames": clip_input(frames, "frames")}
        clips |= {name: clip_input(values, name) for name, values in maps.items() if values is not None}
        same_length(clips)
        plan = plan_text(len(frames), window, overlap, temporal_ratio)
        windows = read_plan(plan)
        cut = [
            list(window_clips(clips[name], windows)) if name in clips else [None] * len(windows)
            for name in ("frames", *MAPS)
        ]
        return io.NodeOutput(*cut, [w.start for w in windows], plan, ui=ui.PreviewText(plan_report(plan)))


def plan_report(plan: str) -> str:
    """The plan in words: chunks, what they share, padding and cost."""
    frames, windows = json.loads(plan)["frames"], read_plan(plan)
    lines = plan_lines(frames, windows, "chunk")
    if padding := windows[-1].stop - frames:
        lines.append(f"the last frame is repeated {padding} times to fill the chunk and trimmed by Chunk Stitcher")
    return "\n".join(lines)
