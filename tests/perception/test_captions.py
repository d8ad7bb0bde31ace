"""A tiny random Qwen2-VL in its real files, against its own processor and forward; the wording of the papers."""

import pytest
import torch
from tiny_perception import CAPTIONERS, save_captioner

from pipeline_core.errors import UserError
from pipeline_core.perception.captions import INSTRUCTION, PROMPT_SETS, compose, file_prompts, load_captioner
from pipeline_core.video.media import read_clip, write_clip
from pipeline_core.world import make_scene
from pipeline_core.world.captions import caption, description


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_captioner(tmp_path_factory.mktemp("qwen"))


@pytest.fixture(scope="module")
def frames():
    return torch.rand(9, 48, 80, 3, generator=torch.Generator().manual_seed(2))


def test_the_answer_is_the_networks_own_greedy_one(folder, frames):
    """The prompt built by hand: three pictures as image tokens, then the instruction; one token after the other."""
    import numpy as np
    from PIL import Image
    from transformers import AutoImageProcessor, AutoTokenizer, Qwen2VLForConditionalGeneration

    said = load_captioner(folder, instruction="what is it", pictures=3, tokens=6)(frames)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    pictures = [Image.fromarray(np.asarray((frames[t] * 255).round().byte())) for t in (0, 4, 8)]
    images = AutoImageProcessor.from_pretrained(folder)(images=pictures, return_tensors="pt")
    counts = (images["image_grid_thw"].prod(-1) // 4).tolist()
    text = "".join(f"<|vision_start|>{'<|image_pad|>' * count}<|vision_end|>" for count in counts)
    text = f"<|im_start|>user\n{text}what is it<|im_end|>\n<|im_start|>assistant\n"
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    network = Qwen2VLForConditionalGeneration.from_pretrained(folder).eval()
    pad = tokenizer.convert_tokens_to_ids("<|image_pad|>")
    made = []
    for _ in range(6):
        with torch.no_grad():
            kinds = (ids == pad).int()
            logits = network(input_ids=ids, mm_token_type_ids=kinds, **images).logits[0, -1]
        made.append(int(logits.argmax()))
        if made[-1] == tokenizer.eos_token_id:
            break
        ids = torch.cat([ids, torch.tensor([[made[-1]]])], 1)
    assert said == " ".join(tokenizer.decode(made, skip_special_tokens=True).split())
    assert len(made) > 1


def test_it_repeats_and_sees_the_pictures(folder, frames):
    caption = load_captioner(folder, tokens=8)
    assert caption(frames) == caption(frames)
    assert isinstance(caption(frames[:1]), str)


@pytest.mark.parametrize("family", [family for family in CAPTIONERS if family != "qwen2_vl"])
def test_other_families_answer_through_their_own_processors(family, frames, tmp_path):
    caption = load_captioner(save_captioner(tmp_path, family), pictures=3, tokens=6)
    said = caption(frames)
    assert said and said == caption(frames) and said != caption(1 - frames)


def test_large_frames_are_shrunk_and_few_are_taken(folder, frames, monkeypatch):
    import pipeline_core.perception.captions as module

    seen = []
    pictures = module._pictures
    monkeypatch.setattr(module, "_pictures", lambda *given: seen.append(pictures(*given)) or seen[-1])
    large = torch.nn.functional.interpolate(frames.movedim(-1, 1), scale_factor=4).movedim(1, -1)
    load_captioner(folder, pictures=4, side=64, tokens=1)(large)
    assert [image.size for image in seen[0]] == [(64, 38)] * 4


def test_a_cancel_is_heard_between_words(folder, frames):
    calls = []

    def check():
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_captioner(folder, tokens=50, each_token=check)(frames)
    assert len(calls) == 3


def test_bad_input(folder, frames, tmp_path, depth_folder):
    for bad in ({"pictures": 0}, {"pictures": 65}, {"tokens": 0}, {"side": 0}, {"instruction": " "}):
        with pytest.raises(UserError):
            load_captioner(folder, **bad)
    with pytest.raises(UserError, match="config.json"):
        load_captioner(tmp_path)
    with pytest.raises(UserError, match="AutoModelForImageTextToText"):
        load_captioner(depth_folder)
    with pytest.raises(UserError, match="empty"):
        load_captioner(folder, tokens=1)(frames[:0])


def test_a_folder_without_its_processor_is_said(folder, tmp_path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).symlink_to(folder / name)
    with pytest.raises(UserError, match="processor"):
        load_captioner(tmp_path)


def test_prompts_of_a_video_file(folder, frames, tmp_path):
    """Of 21 frames the model sees the same eight as of the clip in memory."""
    clip = frames.repeat(3, 1, 1, 1)[:21]
    write_clip(tmp_path / "a.mp4", clip, 10, full_chroma=True)
    made = file_prompts(tmp_path / "a.mp4", "video realism", folder)
    loaded = read_clip(tmp_path / "a.mp4")
    assert made == compose("video realism", load_captioner(folder)(loaded))
    assert file_prompts("no.mp4", "embedded", None, "two lanes") == compose("embedded", "two lanes")


@pytest.mark.parametrize("name", PROMPT_SETS)
def test_prompts_with_and_without_a_caption(name):
    with_caption, without = compose(name, " a red car\n waits "), compose(name)
    assert "a red car waits" in with_caption.inversion and "a red car waits" in with_caption.positive
    for prompts in (with_caption, without):
        assert not any("{" in text or "\n" in text for text in vars(prompts).values())
        assert prompts.inversion and prompts.positive and prompts.inversion != prompts.positive
    assert "city street" in without.inversion and PROMPT_SETS[name].source


def test_the_wording_is_that_of_the_papers():
    """The published defaults of Cosmos-Transfer1 in full, and the style words and tags of the papers."""
    transfer, positive, negative = compose("cosmos transfer1", "x"), [
        "The video captures a stunning, photorealistic scene with remarkable attention to detail, giving it a lifelike",
        "appearance that is almost indistinguishable from reality. It appears to be from a high-budget 4K movie,",
        "showcasing ultra-high-definition quality with impeccable resolution.",
    ], [
        "The video captures a game playing, with bad crappy graphics and cartoonish frames. It represents a recording",
        "of old outdated games. The lighting looks very fake. The textures are very raw and basic. The geometries are",
        "very primitive. The images are very pixelated and of poor CG quality. There are many subtitles in the",
        "footage. Overall, the video is unrealistic at all.",
    ]  # fmt: skip
    assert transfer.inversion == "x" and transfer.positive == "x " + " ".join(positive)
    realism = compose("video realism", "x")
    assert realism.inversion == "x" and realism.negative == transfer.negative == " ".join(negative)
    for words in ("asterpiece", "best quality", "realistic lighting", "photorealistic"):
        assert words in realism.positive
    tagged = compose("synthetic tag", "x")
    assert (tagged.inversion, tagged.positive, tagged.negative) == (
        "synthetic render, x", "a real video, x", "synthetic render, x"
    )  # fmt: skip
    assert "traffic lights" in INSTRUCTION
    with pytest.raises(UserError, match="unknown"):
        compose("shakespeare")


@pytest.mark.parametrize("seed", [1, 2])
def test_the_embedded_models_words_are_the_captions_it_was_trained_with(seed):
    scene = make_scene(seed)
    prompts = compose("embedded", description(scene))
    assert prompts.positive == caption(scene, "photoreal.day") and prompts.inversion == caption(scene, "synthetic")
