"""The LoRA of renders that comes with the pack: small, of the embedded model, and it explains renders better."""

import json

import pytest
import torch

from benchmarks import simdrop_mix
from pipeline_core.diffusion import VE
from pipeline_core.doors import load_tensors
from pipeline_core.models.folders.loading import SIMDROP_REFERENCE, load_video_model
from pipeline_core.models.folders.lora import NAME, Lora
from pipeline_core.models.networks.video_model import REFERENCE
from pipeline_core.world import make_scene, render

FILE = SIMDROP_REFERENCE / NAME


def test_it_is_small_in_halves_and_its_seeds_are_of_training_alone():
    assert FILE.stat().st_size < 0.6e6
    assert {tensor.dtype for tensor in load_tensors(FILE).values()} == {torch.float16}
    about = json.loads((SIMDROP_REFERENCE / "training.json").read_text())
    seeds = {seed for first, last in about["seeds"].values() for seed in range(first, last + 1)}
    assert max(seeds) < 600_000 and simdrop_mix.TRAINING + 1000 < min(seeds)
    assert about["loss_after"] < about["loss_before"] and about["captions"] == "brief"


def test_it_explains_renders_better_than_the_model_does_and_photographs_worse():
    pytest.importorskip("peft", reason="peft is not installed: no LoRA can be read")
    model = load_video_model(precision="fp32", reference=Lora(FILE))
    errors = {}
    for style in ("synthetic", "photoreal"):
        clip = render(make_scene(800_020), 5, (96, 160), style)
        x0 = model.encode(clip.rgb)
        text = model.encode_text([f"{model.preset.prompt}, {clip.scene['description']}"])
        predict = model.predictor({"positive": text, REFERENCE: text}, {}, {}, VE)
        noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(0))
        answers = predict(x0 + 3.0 * noise, 3.0, ["positive", REFERENCE])
        errors[style] = [float((answer - x0).square().mean()) for answer in answers]
    assert errors["synthetic"][1] < errors["synthetic"][0]
    assert errors["photoreal"][1] > errors["photoreal"][0]
