"""Prompts for a clip: what it shows, by a local vision-language model, inside the wording of the papers.

Nothing is downloaded and no code of a model's folder runs: the networks are those that transformers itself has, such as
Qwen2-VL, Qwen2.5-VL, Qwen3-VL, VideoLLaMA 3, SmolVLM and LLaVA-OneVision. Without one, the buffers' own description of
the scene takes its place, or the wording stands alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..devices import chosen_device
from ..errors import UserError
from ..models.folders.preset import Preset
from .estimators import load_network

INSTRUCTION = (
    "These pictures are frames of one driving video, in order. Describe in one paragraph what is to be seen: the road, "
    "buildings and plants, vehicles with their colours, people, traffic lights with their state, signs, the weather "
    "and the time of day. Do not say how the video was made."
)
PICTURES = 8  # frames that a model sees, where nothing else is said
_COSMOS_NEGATIVE = (
    "The video captures a game playing, with bad crappy graphics and cartoonish frames. It represents a recording of "
    "old outdated games. The lighting looks very fake. The textures are very raw and basic. The geometries are very "
    "primitive. The images are very pixelated and of poor CG quality. There are many subtitles in the footage. "
    "Overall, the video is unrealistic at all."
)


@dataclass(frozen=True)
class PromptSet:
    """Wording around a caption: `{caption}` is where it goes; `plain` is the caption of a clip of which none is known.

    source: where the wording is from. by_look: `positive` where a look is named, with `{look}` where its tag goes;
    None: the look's sentence follows the caption.
    """

    inversion: str
    positive: str
    negative: str
    source: str
    plain: str = "a drive through a city street"
    by_look: str | None = None


class LookWords(NamedTuple):
    """A light or weather in the words that the embedded model was trained with, and as a sentence for larger ones."""

    tag: str
    sentence: str


LOOKS = {
    "day": LookWords("on a clear sunny day", "It is a clear, sunny day."),
    "dusk": LookWords("at dusk, warm sky", "It is dusk, under a warm evening sky."),
    "night": LookWords("at night, street lights", "It is night, lit by street lamps and headlights."),
    "rain": LookWords("in the rain, wet road", "It is raining, and the wet road reflects an overcast sky."),
    "fog": LookWords("in thick fog", "Thick fog lies over the street and hides what is far away."),
    "snow": LookWords("in winter, snow on the ground", "It is winter, and snow covers the ground."),
}
_SUNNY = "sun from "  # how the embedded world's description says where the sun stands


PROMPT_SETS = {
    "embedded": PromptSet(
        f"{Preset().inversion_prompt}, {{caption}}",
        f"{Preset().prompt}, {{caption}}",
        Preset().negative_prompt,
        "the words that the embedded model was trained with",
        by_look="a photorealistic dashcam video, {look}, {caption}",
    ),
    "video realism": PromptSet(
        "{caption}",
        "{caption} Masterpiece, best quality, realistic lighting, photorealistic.",
        _COSMOS_NEGATIVE,
        "arXiv 2511.14719: the caption as it is to invert, and with style words to generate",
        "A drive through a city street.",
    ),
    "cosmos transfer1": PromptSet(
        "{caption}",
        "{caption} The video captures a stunning, photorealistic scene with remarkable attention to detail, giving it "
        "a lifelike appearance that is almost indistinguishable from reality. It appears to be from a high-budget 4K "
        "movie, showcasing ultra-high-definition quality with impeccable resolution.",
        _COSMOS_NEGATIVE,
        "the default texts of Cosmos-Transfer1",
        "A drive through a city street.",
    ),
    "cosmos carla": PromptSet(
        "{caption}",
        "Captured from a roof-mounted vehicle camera, a photorealistic city street; cinematic, ultra high quality. "
        "{caption}",
        "low resolution graphics, cartoon, CG, flat scene, unrealistic colors.",
        "the example texts of CARLA's Cosmos-Transfer 2.5 integration",
        "A drive through a city street.",
    ),
    "synthetic tag": PromptSet(
        "synthetic render, {caption}",
        "a real video, {caption}",
        "synthetic render, {caption}",
        "arXiv 2503.20822: a tag for synthetic data, which guidance then pushes away from",
    ),
}


@dataclass(frozen=True)
class Prompts:
    """What a job needs: inversion (the clip as it is), positive (as it should look), negative."""

    inversion: str
    positive: str
    negative: str


def compose(prompt_set: str, caption: str = "", look: str | None = None) -> Prompts:
    """The prompts of a named set around a caption; without one, around the set's own plain words.

    look: one of `LOOKS`, for the positive prompt alone; None is as the set has it. UserError for an unknown set or
    look.
    """
    if prompt_set not in PROMPT_SETS:
        raise UserError(f"The prompt set {prompt_set!r} is unknown: choose one of {', '.join(PROMPT_SETS)}.")
    if look is not None and look not in LOOKS:
        raise UserError(f"The look {look!r} is unknown: choose one of {', '.join(LOOKS)}.")
    templates = PROMPT_SETS[prompt_set]
    caption = " ".join(caption.split()) or templates.plain
    inversion, positive, negative = (
        text.replace("{caption}", caption) for text in (templates.inversion, templates.positive, templates.negative)
    )
    if look is not None:
        positive = _with_look(templates, caption, look)
    return Prompts(inversion, positive, negative)


def _with_look(templates: PromptSet, caption: str, look: str) -> str:
    if templates.by_look is None:
        return templates.positive.replace("{caption}", f"{caption.rstrip('.')}. {LOOKS[look].sentence}")
    if look != "day":
        caption = ", ".join(part for part in caption.split(", ") if not part.startswith(_SUNNY))
    return templates.by_look.replace("{look}", LOOKS[look].tag).replace("{caption}", caption)


def file_prompts(
    clip: str | Path,
    prompt_set: str,
    folder: str | Path | None = None,
    description: str = "",
    device: str | torch.device | None = None,
) -> Prompts:
    """`compose` for a video file: the model of `folder` looks at frames of it; without one, the description counts."""
    if folder is None:
        return compose(prompt_set, description)
    return compose(prompt_set, clip_caption(load_captioner(folder, device), clip))


Captioner = Callable[[Tensor], str]


def clip_caption(captioner: Captioner, clip: str | Path) -> str:
    """What a captioner says of a video file, from PICTURES frames spread evenly over it."""
    from ..video import media

    total = media.probe(clip).frames
    wanted = {round(i * (total - 1) / max(1, PICTURES - 1)) for i in range(PICTURES)}
    frames = [frame.float() / 255 for i, frame in enumerate(media.read_frames(clip)) if i in wanted]
    return captioner(torch.stack(frames))


def load_captioner(
    folder: str | Path,
    device: str | torch.device | None = None,
    instruction: str = INSTRUCTION,
    pictures: int = PICTURES,
    side: int = 448,
    tokens: int = 192,
    each_token: Callable[[], None] = lambda: None,
) -> Captioner:
    """Callable frames (T, H, W, 3) in [0, 1] -> one paragraph, from a local transformers folder.

    pictures: how many frames the model sees, evenly spread over the clip, 1 to 64; side: their longer side in pixels at
    most; tokens: the longest answer, 1 to 2048. The answer is the likeliest at each word, so it repeats. each_token is
    called before each word and may raise, to cancel. device: None is the best there is. UserError for numbers out of
    range, and for a folder without a model that takes pictures and words.
    """
    folder, device = Path(folder), chosen_device(device)
    for name, value, most in (("pictures", pictures, 64), ("side", side, 4096), ("tokens", tokens, 2048)):
        if not 1 <= value <= most:
            raise UserError(f"{name} is {value} but must be from 1 to {most}: change {name}.")
    if not instruction.strip():
        raise UserError("The instruction is empty: write what the model should describe.")
    model = load_network(folder, "AutoModelForImageTextToText", device)
    if model.dtype == torch.float16 and device.type == "cpu":
        model = model.float()  # half precision is a hundred times slower there
    processor = _processor(folder, getattr(model.config, "model_type", None))

    def caption(frames: Tensor) -> str:
        content = [{"type": "image", "image": image} for image in _pictures(frames, pictures, side)]
        messages = [{"role": "user", "content": [*content, {"type": "text", "text": instruction}]}]
        inputs = processor.apply_chat_template(
            messages, tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )
        inputs = {name: _moved(value, device, model.dtype) for name, value in inputs.items()}

        def proceed(*_, **__) -> torch.Tensor:
            each_token()
            return torch.zeros(1, dtype=torch.bool, device=device)

        with torch.no_grad():
            answer = model.generate(**inputs, max_new_tokens=tokens, do_sample=False, stopping_criteria=[proceed])
        words = processor.batch_decode(answer[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)[0]
        return " ".join(words.split())

    return caption


def _moved(value, device: torch.device, dtype: torch.dtype):
    if not isinstance(value, Tensor):
        return value
    return value.to(device, dtype) if value.is_floating_point() else value.to(device)


def _pictures(frames: Tensor, pictures: int, side: int) -> list:
    """Frames evenly spread over the clip as Pillow pictures, shrunk to `side` at most."""
    from PIL import Image

    if len(frames) == 0:
        raise UserError("An empty clip came to describe: give at least one frame.")
    count = min(pictures, len(frames))
    chosen = frames[torch.linspace(0, len(frames) - 1, count).round().long()].float().cpu()
    scale = side / max(chosen.shape[1:3])
    if scale < 1:
        size = tuple(max(1, round(value * scale)) for value in chosen.shape[1:3])
        chosen = F.interpolate(chosen.movedim(-1, 1), size=size, mode="area").movedim(1, -1)
    return [Image.fromarray(image) for image in (chosen.clamp(0, 1) * 255).round().byte().numpy()]


def _processor(folder: Path, kind: str | None):
    """The folder's processor; where torchvision is missing, without its part for videos, which is not used."""
    from transformers import AutoProcessor

    try:
        return AutoProcessor.from_pretrained(str(folder), local_files_only=True)
    except (ImportError, ValueError, OSError, KeyError) as error:  # which of them a missing torchvision is, varies
        try:
            return _picture_processor(folder, kind)
        except (ImportError, ValueError, OSError, KeyError, TypeError, AttributeError):
            line = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise UserError(
                f"The processor of {folder} (a {kind} model) could not be loaded ({line}): give a whole folder."
            ) from error


def _picture_processor(folder: Path, kind: str | None):
    import transformers
    from transformers import AutoImageProcessor, AutoTokenizer
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

    tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    images = AutoImageProcessor.from_pretrained(str(folder), local_files_only=True)

    class Pictures(getattr(transformers, PROCESSOR_MAPPING_NAMES[kind])):
        def check_argument_for_proper_class(self, name, argument):
            return None if argument is None else super().check_argument_for_proper_class(name, argument)

    return Pictures(image_processor=images, tokenizer=tokenizer, chat_template=tokenizer.chat_template)
