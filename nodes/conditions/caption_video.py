"""Caption Video: the three prompts of a job, from what the clip shows."""

from comfy_api.latest import io, ui

from ...pipeline_core.errors import UserError
from ..host.jobs import compute_device, make_room, progress_bar
from ..host.paths import NONE, chosen_folder, folder_menu
from ..shared.clips import clip_input
from ..shared.packages import require_packages
from ..shared.schema import search_words

MODELS = "vision_language"


class CaptionVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        from ...pipeline_core.perception.captions import INSTRUCTION, PROMPT_SETS

        return io.Schema(
            node_id="VideoRealismCaptionVideo",
            display_name="Caption Video",
            category="video realism/conditions",
            description="Writes the prompts of a job: one that says what the clip is, to invert it, one that says how "
            "it should look, and one for what to avoid. A local vision-language model describes the clip; without "
            "one the simulator's own description, or the chosen wording alone, does.",
            inputs=[
                io.Image.Input("frames", optional=True, tooltip="The clip, for a model to look at."),
                io.String.Input(
                    "description",
                    optional=True,
                    force_input=True,
                    tooltip="What is in the clip, such as the description of Simulator Buffers or Demo Drive. Taken "
                    "where no model is chosen.",
                ),
                io.Combo.Input(
                    "prompt_set",
                    options=list(PROMPT_SETS),
                    default="embedded",
                    tooltip="Wording around the description. embedded: the small model's own; video realism: the "
                    "method's paper; cosmos transfer1 and cosmos carla: their published texts; synthetic tag: a word "
                    "for synthetic data, to be guided away from.",
                ),
                io.String.Input(
                    "look",
                    default="",
                    multiline=True,
                    tooltip="Added to the positive prompt: weather, light, place, such as at night, in heavy rain.",
                ),
                io.Combo.Input(
                    "model",
                    options=folder_menu(MODELS),
                    default=NONE,
                    tooltip="A transformers folder in models/vision_language: Qwen2-VL, Qwen2.5-VL, Qwen3-VL, "
                    "VideoLLaMA 3, SmolVLM, LLaVA-OneVision or the like.",
                ),
                io.String.Input(
                    "instruction",
                    default=INSTRUCTION,
                    multiline=True,
                    tooltip="What the model is asked about the pictures.",
                ),
                io.Int.Input(
                    "pictures",
                    default=8,
                    min=1,
                    max=64,
                    tooltip="How many frames the model sees, evenly spread over the clip.",
                ),
                io.Int.Input("tokens", default=192, min=1, max=2048, tooltip="The longest answer, in tokens."),
            ],
            outputs=[
                io.String.Output(display_name="inversion", tooltip="What the clip is, for DDIM Invert."),
                io.String.Output(display_name="positive", tooltip="How it should look."),
                io.String.Output(display_name="negative", tooltip="What to avoid."),
                io.String.Output(display_name="caption", tooltip="The description alone."),
            ],
            **search_words("caption", "prompt", "qwen", "vlm", "vision language", "describe", "videollama"),
        )

    @classmethod
    def execute(
        cls, prompt_set, look, model, instruction, pictures, tokens, frames=None, description=None
    ) -> io.NodeOutput:
        from ...pipeline_core.perception.captions import compose, load_captioner

        caption = description or ""
        if model != NONE:
            if frames is None:
                raise UserError("A model is chosen but no clip came: connect frames, or set model to none.")
            require_packages("transformers")
            frames, progress, words = clip_input(frames, "frames"), progress_bar(), 0

            def each_token() -> None:
                nonlocal words
                words += 1
                progress(min(words, tokens), tokens)

            progress(0, tokens)
            make_room()
            caption = load_captioner(
                chosen_folder(MODELS, model, "model"), str(compute_device()), instruction, pictures, tokens=tokens,
                each_token=each_token,
            )(frames)  # fmt: skip
        prompts, look = compose(prompt_set, caption), " ".join(look.split())
        between = " " if prompts.positive.endswith(".") else ", "
        positive = prompts.positive + between + look if look else prompts.positive
        shown = "\n".join(
            [f"inversion: {prompts.inversion}", f"positive: {positive}", f"negative: {prompts.negative or '-'}"]
        )
        return io.NodeOutput(
            prompts.inversion, positive, prompts.negative, " ".join(caption.split()), ui=ui.PreviewText(shown)
        )
