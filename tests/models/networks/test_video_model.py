"""The model's promises: batching changes nothing, VE and flow states agree, the VAE arithmetic is inverted."""

import pytest
import torch

from pipeline_core.diffusion import FLOW, VE
from pipeline_core.errors import UserError
from pipeline_core.models import cosmos_forward, load_video_model


@pytest.fixture(scope="module")
def model(model_folder):
    return load_video_model(model_folder, precision="fp32")


@pytest.fixture(scope="module")
def parts(model):
    generator = torch.Generator().manual_seed(0)
    x, edge, depth = torch.randn(3, 1, 4, 2, 4, 6, generator=generator)
    names = ["positive", "negative", "inversion"]
    texts = model.encode_text(["a photoreal street", "", "a synthetic street"])
    conditions = {name: texts[i : i + 1] for i, name in enumerate(names)}
    return x, conditions, {"edge": edge, "depth": depth}


def test_batched_branches_equal_one_by_one(model, parts):
    x, conditions, hints = parts
    predict = model.predictor(conditions, hints, {"edge": 0.5, "depth": 0.5}, VE)
    together = predict(x, 2.0, list(conditions))
    for name, x0 in zip(conditions, together):
        assert (predict(x, 2.0, [name])[0] - x0).abs().max() < 1e-5
    assert (together[0] - together[1]).abs().max() > 1e-3


def test_x0_is_flow_matching_on_the_network(model, parts):
    x, conditions, hints = parts
    predict = model.predictor(conditions, hints, {"edge": 1.0}, FLOW)
    controls = [(model.branches["edge"], hints["edge"], 1.0)]
    v = cosmos_forward(model.transformer, controls, x, torch.tensor([0.4]), conditions["positive"])
    assert (predict(x, 0.4, ["positive"])[0] - (x - 0.4 * v)).abs().max() < 1e-6


@pytest.mark.parametrize("sigma", [0.02, 1.0, 80.0])
def test_ve_and_flow_agree_on_the_same_state(model, parts, sigma):
    x0, conditions, hints = parts
    noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(4))
    predictions = []
    for interpolant in (VE, FLOW):
        own = interpolant.from_ve_sigma(sigma)
        predict = model.predictor(conditions, hints, {"edge": 0.5}, interpolant)
        predictions.append(predict(interpolant.add_noise(x0, noise, own), own, ["positive"])[0])
    assert (predictions[0] - predictions[1]).abs().max() < 1e-4


def test_state_dtype_is_kept_and_strength_zero_is_the_base(model, parts):
    x, conditions, hints = parts
    base = model.predictor(conditions, {}, {}, VE)(x.double(), 3.0, ["positive"])[0]
    assert base.dtype == torch.float64
    off = model.predictor(conditions, hints, {"edge": 0.0, "depth": 0.0}, VE)(x.double(), 3.0, ["positive"])[0]
    assert torch.equal(base, off)


def test_a_constant_weight_map_equals_its_number(model, parts):
    x, conditions, hints = parts
    number = model.predictor(conditions, hints, {"edge": 0.25}, VE)(x, 1.0, ["positive"])[0]
    constant = {"edge": torch.full((5, 32, 48), 0.25)}
    as_map = model.predictor(conditions, hints, constant, VE)(x, 1.0, ["positive"])[0]
    assert (number - as_map).abs().max() < 1e-6


def test_a_one_sided_weight_map_reaches_its_tokens_in_order(model):
    weight = torch.zeros(5, 32, 48)
    weight[:, :16] = 1
    tokens = model._token_weights(weight, torch.Size([2, 4, 6])).view(2, 2, 3)
    assert torch.equal(tokens[:, 0], torch.ones(2, 3))
    assert torch.equal(tokens[:, 1], torch.zeros(2, 3))


def test_latents_are_normalised_and_decoded_back(model):
    frames = torch.rand(5, 32, 48, 3, generator=torch.Generator().manual_seed(1))
    latent = model.encode(frames)
    assert latent.shape == (1, 4, 2, 4, 6)
    mean = torch.tensor([0.1, -0.2, 0.3, 0.0]).view(1, 4, 1, 1, 1)
    std = torch.tensor([0.5, 0.6, 0.7, 0.8]).view(1, 4, 1, 1, 1)
    with torch.no_grad():
        raw = model.vae.encode(frames.permute(3, 0, 1, 2)[None] * 2 - 1).latent_dist.mode()
        expected = (model.vae.decode(raw).sample[0].permute(1, 2, 3, 0) / 2 + 0.5).clamp(0, 1)
    assert torch.allclose(latent * std + mean, raw, atol=1e-5)
    assert torch.allclose(model.decode(latent), expected, atol=1e-4)
    grey = frames[..., 0]
    assert torch.equal(model.encode_hint(grey), model.encode(grey[..., None].expand(5, 32, 48, 3)))


def test_padding_of_a_prompt_is_zero_and_any_text_encodes(model):
    text = model.encode_text(["", "Übergröße ☂ 夜 " * 20])
    assert text.shape == (2, 8, 16)
    assert text[0, 1:].abs().max() == 0
    assert text[0, 0].abs().max() > 0
    assert text[1].abs().amax(-1).min() > 0
    assert text.isfinite().all()


def test_bad_calls_are_named(model, parts):
    x, conditions, hints = parts
    with pytest.raises(UserError, match="no pose control"):
        model.predictor(conditions, hints, {"pose": 1.0}, VE)
    with pytest.raises(UserError, match="no map"):
        model.predictor(conditions, {}, {"edge": 1.0}, VE)
    with pytest.raises(UserError, match="'other'"):
        model.predictor(conditions, hints, {}, VE)(x, 1.0, ["other"])
    with pytest.raises(UserError, match="6 frames of 32x48"):
        model.encode(torch.zeros(6, 32, 48, 3))
    with pytest.raises(UserError, match="30x48"):
        model.encode_hint(torch.zeros(5, 30, 48))
