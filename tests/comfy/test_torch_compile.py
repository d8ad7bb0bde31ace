"""A compiled MODEL under this pack's guiders: the same latents, and a network that is one graph a batch."""

import json

import pytest
from comfy_server import RunError
from embedded_scene import Scene, clip
from tiny_graphs import dual_prompt, sample, text_of

STEPS = 4


def sampled(scene, model, **options):
    """A guided sampling of a clip under an edge map."""
    positive, negative = scene.prompts
    guider = dual_prompt(scene, model, positive, negative, cfg=2.0, **options)
    noise, euler = scene.add("RandomNoise", noise_seed=5), scene.add("KSamplerSelect", sampler_name="euler")
    levels = scene.add("KarrasScheduler", steps=STEPS, sigma_max=80.0, sigma_min=0.02, rho=7.0)
    latent = scene.add("VAEEncode", vae=scene.vae, pixels=scene.tensor(clip(7)))
    return sample(scene, noise, guider, euler, levels, latent)


def test_a_compiled_model_gives_the_same_and_is_one_graph(server):
    scene = Scene(server)
    scene.control("edge")
    compiled = scene.add("VRTestCompiled", model=scene.model)
    found, wanted = sampled(scene, compiled[0]), sampled(scene, scene.model)
    error = scene.add("VRTestCompareLatents", latent=found, reference=wanted)
    graphs = scene.add("VRTestReadBatchSizes", log=compiled[1], after=error)
    outputs = server.run(scene, timeout=300)
    assert float(text_of(outputs, error)) < 1e-5
    (operations,) = json.loads(text_of(outputs, graphs))
    assert operations > 100  # all blocks, and the control's


def test_with_a_cache_it_is_refused(server):
    scene = Scene(server)
    scene.add("VRTestStatistics", value=sampled(scene, scene.add("VRTestCompiled", model=scene.model)[0], cache=0.1))
    with pytest.raises(RunError, match="cache is 0.1, but the model is compiled"):
        server.run(scene)
