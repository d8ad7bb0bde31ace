"""Settings that save work: what they must leave alone, and that they save what they say."""

from dataclasses import replace

import pytest
import torch

from pipeline_core.enhance import enhance
from pipeline_core.errors import UserError
from pipeline_core.job.settings import EnhanceSettings
from pipeline_core.job.starts import inversion_levels
from pipeline_core.models.folders.loading import load_video_model

STEPS = 10


@pytest.fixture(scope="module")
def model(model_folder):
    return load_video_model(model_folder, precision="fp32")


@pytest.fixture(scope="module")
def frames():
    return torch.rand(5, 32, 48, 3, generator=torch.Generator().manual_seed(0))


def run(frames, model, **changes):
    """(result, network calls, progress) of one window; a batch of conditions is as many calls."""
    calls, seen = [], []
    block = model.transformer.transformer_blocks[0]
    handle = block.register_forward_hook(lambda _module, inputs, _out: calls.append(len(inputs[0])))
    settings = EnhanceSettings(**{"steps": STEPS, "cfg": 2.0, **changes})
    result, _ = enhance(frames, model, settings, progress=lambda *counts: seen.append(counts))
    handle.remove()
    assert seen[-1][0] == seen[-1][1] == len(seen)
    return result, sum(calls), len(seen)


def test_a_range_of_all_levels_is_none_and_one_of_no_level_is_no_guidance(model, frames):
    whole, calls, _ = run(frames, model)
    assert torch.equal(run(frames, model, cfg_range=(0.0, 1e9))[0], whole)
    off, fewer, _ = run(frames, model, cfg_range=(0.0, 0.0))
    assert torch.equal(off, run(frames, model, cfg=1.0)[0]) and not torch.equal(off, whole)
    part, between, _ = run(frames, model, cfg_range=(0.0, 1.5))
    assert fewer < between < calls and not torch.equal(part, whole) and not torch.equal(part, off)


def test_a_range_means_the_same_levels_to_a_flow_sampler(model, frames):
    flow = replace(model, preset=replace(model.preset, interpolant="flow"))
    settings = {"start": "sdedit", "solver": "ddim", "strength": 0.8, "cfg_range": (0.1, 1.5)}
    one, two = (run(frames, each, **settings) for each in (model, flow))
    assert one[1] == two[1] and float((one[0] - two[0]).abs().max()) < 1e-3


def test_fewer_inversion_steps_are_fewer_calls_and_all_of_them_are_the_exact_way(model, frames):
    whole, calls, steps = run(frames, model, cfg=1.0)
    assert torch.equal(run(frames, model, cfg=1.0, inversion_steps=STEPS)[0], whole)
    few, fewer, shorter = run(frames, model, cfg=1.0, inversion_steps=5)
    assert (steps, shorter) == (2 * STEPS, STEPS + 5) and not torch.equal(few, whole)
    assert (calls, fewer) == (2 * STEPS - 1, STEPS + 5)  # the way back has one state from the inversion already
    levels = torch.linspace(80, 0.02, 21)
    for count in (1, 5, 7, 10):
        taken = inversion_levels(levels, count)
        assert len(taken) == count + 1 and taken[0] == levels[0] and taken[-1] == levels[-1]
    assert torch.equal(inversion_levels(levels, 10), levels[::2])


def test_the_cache_reaches_the_sampling_and_only_that(model, frames):
    ran = []
    handle = model.transformer.transformer_blocks[1].register_forward_hook(lambda *_: ran.append(1))
    run(frames, model, cfg=1.0)
    whole = len(ran)
    cached = run(frames, model, cfg=1.0, cache=1.0)[0]
    handle.remove()
    assert len(ran) - whole < whole and cached.isfinite().all()
    # All of the inversion, and of the sampling the first step at least.
    assert len(ran) - whole > whole // 2


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"cfg_range": (2.0, 1.0)}, "cfg_range is .2.0, 1.0. but must be two numbers, the lower first"),
        ({"cfg_range": (-1.0, 1.0)}, "cfg_range is .-1.0, 1.0. but"),
        ({"inversion_steps": 0}, "inversion_steps is 0"),
        ({"cache": 1.5}, "cache is 1.5"),
    ],
)
def test_values_out_of_range_are_named(model, frames, wrong, sentence):
    with pytest.raises(UserError, match=sentence):
        enhance(frames, model, EnhanceSettings(**wrong))
