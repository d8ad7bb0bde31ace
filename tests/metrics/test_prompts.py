"""Oracles: transformers' own CLIP forward on a tiny folder in the real layout, and known angles in closed form."""

import math

import pytest
import torch
from tiny_metrics import save_clip

from pipeline_core.errors import UserError
from pipeline_core.metrics.compare import compare_frames
from pipeline_core.metrics.extras import Extras
from pipeline_core.metrics.prompts import PAIRS, ClipQuality, PickScore
from pipeline_core.perception.text_image import TextImage, load_text_image


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_clip(tmp_path_factory.mktemp("clip"))


def frames(count=5, size=(28, 28)):
    return torch.rand(count, *size, 3, generator=torch.Generator().manual_seed(1))


def logits(folder, images, texts):
    """scale * cosine as CLIPModel's forward gives it."""
    from transformers import AutoTokenizer, CLIPModel

    told = AutoTokenizer.from_pretrained(folder)(list(texts), padding=True, return_tensors="pt")
    mean, std = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
    planes = (images.permute(0, 3, 1, 2) - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    with torch.no_grad():
        given = {"input_ids": told["input_ids"], "attention_mask": told["attention_mask"]}
        return CLIPModel.from_pretrained(folder).eval()(pixel_values=planes, **given).logits_per_image


def test_clip_iqa_and_pickscore_are_the_network_s_own_logits(folder):
    network, clip = load_text_image(folder), frames()
    quality, pick = ClipQuality(network), PickScore(network, "a photo at night")
    for part in clip.split(2):
        quality.update(part)
        pick.update(part)
    for name, pair in PAIRS.items():
        expected = logits(folder, clip, pair).softmax(1)[:, 0]
        assert quality.series[name] == pytest.approx(expected.tolist(), abs=1e-4)
        assert quality.compute()[name].value == pytest.approx(float(expected.mean()), abs=1e-4)
    expected = logits(folder, clip, ["a photo at night"])[:, 0]
    assert pick.compute()["pickscore"].value == pytest.approx(float(expected.mean()), abs=1e-3)
    assert expected.std() > 1e-3


def test_known_angles():
    """Image along x, the good text at 60 degrees, the bad one at 90: scale 2 makes a logit of 1 against 0."""
    texts = {"Good photo.": (0.5, 3**0.5 / 2), "Bad photo.": (0.0, 2.0)}
    network = TextImage(
        lambda f: torch.tensor([[3.0, 0.0]]).expand(len(f), 2),
        lambda prompts: torch.tensor([texts.get(prompt, (1.0, 0.0)) for prompt in prompts]),
        2.0,
    )
    quality, pick = ClipQuality(network), PickScore(network, "a street")
    for metric in (quality, pick):
        metric.update(frames())
    assert quality.compute()["clip_iqa"].value == pytest.approx(math.e / (math.e + 1), abs=1e-6)
    assert quality.compute()["clip_natural"].value == pytest.approx(0.5)
    assert pick.compute()["pickscore"].value == pytest.approx(2.0)


def test_in_the_report_and_what_is_missing_is_said(folder):
    clip, network = frames(3, (40, 30)), load_text_image(folder)
    extras = Extras(only=("realism",), text_image=network, pick=network, prompt="a street")
    figures = compare_frames(clip, clip, extras=extras)["figures"]["realism"]
    assert 0 < figures["clip_iqa"]["value"] < 1 and figures["pickscore"]["value"] is not None
    figures = compare_frames(clip, clip, extras=Extras(only=("realism",)))["figures"]["realism"]
    for name in ("clip_iqa", "clip_natural", "pickscore", "fvd", "real_cmmd", "dover", "preference", "critic"):
        assert figures[name]["value"] is None and "not measured: give" in figures[name]["note"], name
    with pytest.raises(UserError, match="prompt"):
        compare_frames(clip, clip, extras=Extras(pick=network))


def test_folders_that_will_not_do(folder, tmp_path, segmentation_folder):
    with pytest.raises(UserError, match="CLIP folder with its text half"):
        load_text_image(segmentation_folder)
    for file in folder.glob("*"):
        if not file.name.startswith("token"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(UserError, match="tokenizer.json"):
        load_text_image(tmp_path)
