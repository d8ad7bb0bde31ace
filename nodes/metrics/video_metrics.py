"""Video Metrics: what an enhanced clip kept of its source, and how near it came to a reference."""

import json

from comfy_api.latest import io, ui

from ...pipeline_core.metrics.compare import compare_frames
from ...pipeline_core.metrics.critic import load_critic
from ..host.before_after import before_after
from ..host.jobs import compute_device, progress_bar
from ..shared.clips import clip_input
from ..shared.figures import main_number, node_text
from ..shared.packages import require_packages
from ..shared.schema import search_words

# Output name -> (section, figure) of the report.
MAIN = {
    "psnr": ("to the reference", "psnr"),
    "ssim": ("to the reference", "ssim"),
    "temporal_error": ("to the reference", "tde"),
    "edge_f1": ("to the source", "edge_f1"),
    "realism": ("realism", "critic"),
}


class VideoMetrics(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismVideoMetrics",
            display_name="Video Metrics",
            category="video realism/metrics",
            description="Measures an enhanced clip: whether the source's edges are still there, how near it is to a "
            "reference, whether it moves as steadily, and how photoreal it looks to a small critic.",
            inputs=[
                io.Image.Input("source", tooltip="The clip before."),
                io.Image.Input("output", tooltip="The clip after, of the same number and size of frames."),
                io.Image.Input(
                    "reference",
                    optional=True,
                    tooltip="What the output should look like, such as Demo Drive's photoreal twin.",
                ),
                io.Boolean.Input(
                    "critic",
                    default=True,
                    tooltip="Let the embedded critic judge realism, 0 to 1. It knows this pack's own renders only: "
                    "it is no measure for real footage.",
                ),
            ],
            outputs=[
                io.Float.Output(display_name="psnr", tooltip="dB to the reference, higher is nearer; inf if equal."),
                io.Float.Output(display_name="ssim", tooltip="To the reference, 1 is identical."),
                io.Float.Output(
                    display_name="temporal error",
                    tooltip="Mean difference between the output's and the reference's change from frame to frame; 0 is "
                    "best.",
                ),
                io.Float.Output(display_name="edge F1", tooltip="Share of edges kept from the source, 1 is all."),
                io.Float.Output(display_name="realism", tooltip="The critic's probability of photoreal, 0 to 1."),
                io.String.Output(display_name="report", tooltip="Every figure with unit and remark, as JSON."),
            ],
            is_output_node=True,
            **search_words("psnr", "ssim", "quality", "evaluate", "score", "measure", "benchmark"),
        )

    @classmethod
    def execute(cls, source, output, critic, reference=None) -> io.NodeOutput:
        require_packages("kornia")
        clips = [clip_input(source, "source"), clip_input(output, "output")]
        clips.append(None if reference is None else clip_input(reference, "reference"))
        report = compare_frames(*clips, load_critic(device=compute_device()) if critic else None, progress_bar())
        shown = ui.PreviewText(node_text(report)).as_dict() | before_after(*clips[:2])
        numbers = [main_number(report["figures"][section][name]) for section, name in MAIN.values()]
        return io.NodeOutput(*numbers, json.dumps(report), ui=shown)
