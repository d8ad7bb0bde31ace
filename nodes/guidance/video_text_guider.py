"""Video+Text Guider: InsV2V's three-term guidance, with a dial for the video and one for the text."""

from comfy_api.latest import io

from ...pipeline_core.diffusion import VideoText
from ..host.guiders import BranchGuider
from ..shared.schema import search_words


def _scale(name: str, default: float, tooltip: str) -> io.Float.Input:
    return io.Float.Input(name, default=default, min=0.0, max=30.0, step=0.1, round=0.01, tooltip=tooltip)


class VideoTextGuider(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismVideoTextGuider",
            display_name="Video+Text Guider",
            category="video realism/guidance",
            description="Two separate strengths: how much to follow the source video and how much the prompt (the "
            "three-term guidance of InsV2V).",
            inputs=[
                io.Model.Input("model", tooltip="The model that samples."),
                io.Conditioning.Input("video_text", tooltip="Your prompt, with the video's controls applied."),
                io.Conditioning.Input("video", tooltip="Empty text, with the same controls applied."),
                io.Conditioning.Input("uncond", tooltip="Empty text, without controls."),
                _scale("video_scale", 1.2, "How strongly to follow the video; 1 is neutral."),
                _scale("text_scale", 7.5, "How strongly to follow the prompt; 1 is neutral."),
            ],
            outputs=[io.Guider.Output(display_name="guider", tooltip="For SamplerCustomAdvanced or Noise Calibrate.")],
            **search_words("insv2v", "three-term guidance", "video guidance", "guider"),
        )

    @classmethod
    def execute(cls, model, video_text, video, uncond, video_scale, text_scale) -> io.NodeOutput:
        branches = {"video_text": video_text, "video": video, "uncond": uncond}
        return io.NodeOutput(BranchGuider(model, branches, VideoText(video_scale, text_scale), text_scale))
