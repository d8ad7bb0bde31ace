"""Chunk Stitcher: the chunks of Chunk Plan, after whatever was done to them, as one clip again."""

import torch
from comfy_api.latest import io, ui

from ...pipeline_core.errors import UserError
from ...pipeline_core.job.settings import EnhanceSettings
from ...pipeline_core.job.table import STITCHES
from ...pipeline_core.longvideo import blend_windows
from ...pipeline_core.longvideo.plan import read_plan
from ...pipeline_core.longvideo.stitch import crossfade, flow_aligned
from ..host.jobs import progress_bar
from ..host.paths import NONE
from ..shared.clips import clip_input
from ..shared.long_video import flow_estimator, flow_input
from ..shared.schema import search_words


class ChunkStitcher(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismChunkStitcher",
            display_name="Chunk Stitcher",
            category="video realism/video",
            description="Joins the chunks of Chunk Plan into one clip of the original length: the shared frames are "
            "crossfaded, aligned first where wished, and the padding of the last chunk is cut off.",
            inputs=[
                io.Image.Input("chunks", tooltip="The chunks in order, of any size, each as long as it was planned."),
                io.String.Input("plan", force_input=True, tooltip="The plan output of the same Chunk Plan."),
                io.Combo.Input(
                    "stitch",
                    options=list(STITCHES),
                    default=EnhanceSettings.stitch,
                    optional=True,
                    tooltip="How frames that two chunks share become one. flow: both are moved to where their mixture "
                    "has its edges, so that none is shown twice; slower.",
                ),
                flow_input("For stitching by flow"),
            ],
            outputs=[io.Image.Output(display_name="frames", tooltip="The whole clip.")],
            is_input_list=True,
            **search_words("long video", "join", "merge", "blend", "crossfade", "overlap"),
        )

    @classmethod
    def execute(cls, chunks, plan, stitch=(EnhanceSettings.stitch,), flow_model=(NONE,)) -> io.NodeOutput:
        windows = read_plan(plan[0])
        if len(chunks) != len(windows):
            raise UserError(
                f"{len(chunks)} chunks came and the plan has {len(windows)}: connect chunks and plan to the same "
                "Chunk Plan."
            )
        clips = [clip_input(chunk, f"chunk {i + 1} of chunks") for i, chunk in enumerate(chunks)]
        for i, (clip, window) in enumerate(zip(clips, windows)):
            if len(clip) != window.length:
                raise UserError(
                    f"Chunk {i + 1} has {len(clip)} frames and the plan {window.length}: change the nodes before "
                    "chunks so that they keep the number of frames."
                )
            if clip.shape[1:] != clips[0].shape[1:]:
                raise UserError(
                    f"Chunk {i + 1} is {clip.shape[2]}x{clip.shape[1]} and the first {clips[0].shape[2]}x"
                    f"{clips[0].shape[1]}: change the nodes before chunks so that all have one size."
                )
        frames = torch.empty(windows[-1].keep.stop, *clips[0].shape[1:])
        mix = flow_aligned(flow_estimator(flow_model[0])) if stitch[0] == "flow" else crossfade
        progress = progress_bar()
        for i, frame in enumerate(blend_windows(clips, windows, mix)):
            progress(i, len(frames))
            frames[i] = frame
        return io.NodeOutput(frames, ui=ui.PreviewText(f"{len(clips)} chunks joined to {len(frames)} frames"))
