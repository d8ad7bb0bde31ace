"""Detail Transfer: a result made small, at the size of its source and with the source's detail."""

import torch
from comfy_api.latest import io, ui

from ...pipeline_core.errors import UserError
from ...pipeline_core.video.detail import with_detail
from ...pipeline_core.video.frames import resize
from ..host.jobs import progress_bar
from ..shared.clips import clip_input, same_length
from ..shared.schema import search_words
from ..shared.widgets import detail_input


class DetailTransfer(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoRealismDetailTransfer",
            display_name="Detail Transfer",
            category="video realism/video",
            description="Brings a result back to the size of its source with the source's own edges and texture: how "
            "the model changed the colours around every pixel is fitted small and applied at full size. Where it drew "
            "something else, its own pixels stay.",
            inputs=[
                io.Image.Input("source", tooltip="The clip at its own size, before it was made small for the model."),
                io.Image.Input("result", tooltip="What the model made of it, as many frames, at the model's size."),
                detail_input(),
                io.Image.Input(
                    "small_source",
                    optional=True,
                    tooltip="What the model was given, at the size of the result. Not connected: the source, resized.",
                ),
            ],
            outputs=[io.Image.Output(display_name="frames", tooltip="The result at the size of the source.")],
            **search_words("upscale", "full resolution", "guided filter", "sharpen", "relight", "color transfer"),
        )

    @classmethod
    def execute(cls, source, result, detail, small_source=None) -> io.NodeOutput:
        source, result = clip_input(source, "source"), clip_input(result, "result")
        clips = {"source": source, "result": result}
        if small_source is not None:
            clips["small_source"] = small_source = clip_input(small_source, "small_source")
        same_length(clips)
        check_sizes(result, small_source)
        frames, progress = torch.empty_like(source), progress_bar()
        size = tuple(result.shape[1:3])
        for index, (full, small_result) in enumerate(zip(source, result)):
            progress(index, len(source))
            small = resize(full[None], size)[0] if small_source is None else small_source[index]
            frames[index] = with_detail(full, small, small_result, detail)
        text = f"{len(frames)} frames from {size[1]}x{size[0]} to {source.shape[2]}x{source.shape[1]}"
        return io.NodeOutput(frames, ui=ui.PreviewText(text))


def check_sizes(result, small_source) -> None:
    """UserError for a small source of another size than the result."""
    size = result.shape[1:3]
    if small_source is not None and small_source.shape[1:3] != size:
        raise UserError(
            f"small_source is {small_source.shape[2]}x{small_source.shape[1]} but must have the size of result, "
            f"{size[1]}x{size[0]}: connect what the model was given, or nothing, to small_source."
        )
