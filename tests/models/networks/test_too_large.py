"""What is too large for the device: batches are split, the VAE works by tiles, and nothing is converted twice."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline_core.diffusion import VE
from pipeline_core.models import load_video_model
from pipeline_core.models.networks import video_model
from pipeline_core.models.networks.vae import decode_latents, encode_clips

NAMES = ["positive", "negative", "inversion"]


@pytest.fixture(scope="module")
def model(model_folder):
    return load_video_model(model_folder, precision="fp32")


@pytest.fixture(scope="module")
def inputs(model):
    generator = torch.Generator().manual_seed(0)
    x, edge = torch.randn(2, 1, 4, 2, 4, 6, generator=generator)
    texts = model.encode_text(["a photoreal street", "", "a synthetic street"])
    return x, {name: texts[i : i + 1] for i, name in enumerate(NAMES)}, {"edge": edge}


def test_a_batch_that_does_not_fit_goes_one_by_one_from_then_on(model, inputs, monkeypatch):
    x, conditions, hints = inputs
    expected = model.predictor(conditions, hints, {"edge": 0.5}, VE)(x, 2.0, NAMES)
    batches, forward = [], video_model.cosmos_forward

    def small_device(transformer, controls, state, *args, **kwargs):
        batches.append(len(state))
        if len(state) > 1:
            raise torch.OutOfMemoryError("out of memory")
        return forward(transformer, controls, state, *args, **kwargs)

    monkeypatch.setattr(video_model, "cosmos_forward", small_device)
    predict = model.predictor(conditions, hints, {"edge": 0.5}, VE)
    for _ in range(2):
        for found, answer in zip(predict(x, 2.0, NAMES), expected):
            assert (found - answer).abs().max() < 1e-5
    assert batches == [3, 1, 1, 1, 1, 1, 1]


def test_one_condition_that_does_not_fit_is_the_devices_own_error(model, inputs, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(video_model, "cosmos_forward", full)
    with pytest.raises(torch.OutOfMemoryError):
        model.predictor(inputs[1], {}, {}, VE)(inputs[0], 2.0, NAMES)


class Conversions(TorchDispatchMode):
    """Counts copies of tensors of a shape into another type."""

    def __init__(self, shape):
        super().__init__()
        self.shape, self.count = shape, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._to_copy.default and tuple(args[0].shape) == self.shape:
            self.count += 1
        return func(*args, **(kwargs or {}))


def test_texts_and_hints_are_converted_once_a_pass(model, inputs):
    x, conditions, hints = inputs
    wide = {name: text.double() for name, text in conditions.items()}
    wide_hints = {"edge": hints["edge"].double()}
    with Conversions(tuple(wide["positive"].shape)) as texts, Conversions(tuple(hints["edge"].shape)) as maps:
        predict = model.predictor(wide, wide_hints, {"edge": 0.5}, VE)
        assert (texts.count, maps.count) == (3, 1)
        for sigma in (3.0, 2.0):
            predict(x, sigma, ["positive"])
    assert (texts.count, maps.count) == (3, 1)


def test_coding_in_place_leaves_what_it_was_handed(model):
    frames = torch.rand(1, 5, 32, 48, 3, generator=torch.Generator().manual_seed(2))
    before = frames.clone()
    latent = encode_clips(model.vae, frames)
    assert torch.equal(frames, before)
    kept = latent.clone()
    decode_latents(model.vae, latent)
    assert torch.equal(latent, kept)
