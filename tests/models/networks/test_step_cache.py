"""The first-block cache: diffusers' own rule on one network, off is off, and what it must never skip."""

import pytest
import torch

from pipeline_core.diffusion import VE, guided, invert, karras_sigmas, sample
from pipeline_core.diffusion.guidance import CFG, Only
from pipeline_core.errors import UserError
from pipeline_core.models import cosmos_forward, load_video_model
from pipeline_core.models.networks.step_cache import FirstBlockCache


@pytest.fixture(scope="module")
def model(model_folder):
    return load_video_model(model_folder, precision="fp32")


@pytest.fixture(scope="module")
def parts(model):
    generator = torch.Generator().manual_seed(0)
    x, edge, depth = torch.randn(3, 1, 4, 2, 4, 6, generator=generator)
    names = ["positive", "negative", "inversion"]
    texts = model.encode_text(["a photoreal street", "", "a synthetic street"])
    return x, {name: texts[i : i + 1] for i, name in enumerate(names)}, {"edge": edge, "depth": depth}


def slow_walk(x, steps=8):
    """States and falling times that change little from one to the next."""
    drift = torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
    return [(x + 0.02 * step * drift, torch.tensor([0.9 - 0.02 * step])) for step in range(steps)]


@pytest.mark.parametrize("threshold", [0.005, 0.02, 0.05])
def test_equals_diffusers_hook_on_the_base_network(tiny_networks, parts, threshold):
    from diffusers.hooks import FirstBlockCacheConfig, HookRegistry, apply_first_block_cache
    from diffusers.hooks._helpers import TransformerBlockMetadata, TransformerBlockRegistry
    from diffusers.models.cache_utils import CacheMixin
    from diffusers.models.transformers.transformer_cosmos import CosmosTransformerBlock

    x, texts, _ = parts
    network, text = tiny_networks.transformer, texts["positive"]
    cache = FirstBlockCache(threshold)
    found = [cosmos_forward(network, [], state, time, text, cache=cache) for state, time in slow_walk(x)]
    meta = TransformerBlockMetadata(return_hidden_states_index=0, return_encoder_hidden_states_index=None)
    TransformerBlockRegistry.register(model_class=CosmosTransformerBlock, metadata=meta)
    apply_first_block_cache(network, FirstBlockCacheConfig(threshold))
    try:
        with CacheMixin.cache_context(network, "test"):
            wanted = [cosmos_forward(network, [], state, time, text) for state, time in slow_walk(x)]
    finally:
        for block in network.transformer_blocks:
            registry = HookRegistry.check_if_exists_or_initialize(block)
            for name in list(registry.hooks):
                registry.remove_hook(name, recurse=False)
    for ours, theirs in zip(found, wanted):
        assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()
    assert cache.steps == 8
    assert (cache.skipped > 0) == (threshold > 0.005)


def test_threshold_zero_is_off_bit_for_bit(model, parts):
    x, texts, hints = parts
    off = model.predictor(texts, hints, {"edge": 0.5, "depth": 0.5}, VE)
    zero = model.predictor(texts, hints, {"edge": 0.5, "depth": 0.5}, VE, cache=0.0)
    for sigma in (3.0, 2.9, 2.8):
        assert all(torch.equal(a, b) for a, b in zip(off(x, sigma, list(texts)), zero(x, sigma, list(texts))))


def test_skipped_steps_save_the_branches_too(model, parts):
    x, texts, hints = parts
    ran = []
    handles = [
        block.register_forward_hook(lambda *_: ran.append(1))
        for network in (model.transformer, *model.branches.values())
        for block in (network.transformer_blocks if network is model.transformer else network.control_blocks)
    ]
    predict = model.predictor(texts, hints, {"edge": 0.5, "depth": 0.5}, VE, cache=1.0)
    predict(x, 3.0, ["positive"])
    whole = len(ran)
    predict(x, 2.9, ["positive"])
    for handle in handles:
        handle.remove()
    assert (whole, len(ran) - whole) == (9, 3)  # one block of the base and of each of the two branches


def test_rising_noise_and_other_conditions_start_anew(model, parts):
    x, texts, hints = parts
    plain = model.predictor(texts, hints, {"edge": 1.0}, VE)
    cached = model.predictor(texts, hints, {"edge": 1.0}, VE, cache=1.0)
    cached(x, 3.0, ["positive"])
    for sigma, names in ((3.0, ["positive"]), (4.0, ["positive"]), (2.0, ["negative"]), (1.0, ["inversion"])):
        assert torch.equal(cached(x, sigma, names)[0], plain(x, sigma, names)[0])
    assert not torch.equal(cached(x, 2.0, ["positive"])[0], plain(x, 2.0, ["positive"])[0])


def test_an_inversion_under_the_cache_is_exact(model, parts):
    x0, texts, hints = parts
    predict = model.predictor(texts, hints, {"edge": 1.0}, VE, cache=1.0)
    sigmas = karras_sigmas(6, 0.02, 80.0, 7.0, torch.float32)
    inversion = invert(guided(predict, Only("inversion")), x0, sigmas, VE, "exact")
    back = sample(guided(predict, Only("inversion")), inversion.noise, sigmas, VE, solver=inversion.solver)
    assert (back - x0).abs().max() < 1e-4
    guided_back = sample(guided(predict, CFG(2.0)), inversion.noise, sigmas, VE, solver=inversion.solver)
    assert guided_back.isfinite().all()


def test_conditions_in_smaller_batches_give_the_same(model, parts):
    from dataclasses import replace

    x, texts, hints = parts
    whole = model.predictor(texts, hints, {"edge": 1.0}, VE)(x, 2.0, list(texts))
    for together in (1, 2):
        split = replace(model, together=together).predictor(texts, hints, {"edge": 1.0}, VE)(x, 2.0, list(texts))
        for a, b in zip(whole, split):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


def test_a_threshold_out_of_range_is_named():
    with pytest.raises(UserError, match="cache is 2 but must be"):
        FirstBlockCache(2)
