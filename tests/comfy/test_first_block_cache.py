"""The `cache` of the guiders: the core's own first-block cache, call for call, by windows, or refused."""

import re

import pytest
from comfy_server import RunError
from embedded_scene import MAPS, PROMPTS, Scene, clip, values
from tiny_graphs import dual_prompt, sample, start

from pipeline_core.diffusion import VE, karras_sigmas
from pipeline_core.job.latent import enhance_latent
from pipeline_core.job.settings import EnhanceSettings
from pipeline_core.models import load_video_model
from pipeline_core.models.networks import video_model
from pipeline_core.models.networks.step_cache import FirstBlockCache

STEPS, CFG = 16, 2.0
SAVED = re.compile(r"First-block cache [\d.]+: (\d+) of (\d+) calls")


def saved(server, since):
    """(skipped, all) calls of every run that the log tells of since then."""
    return [tuple(map(int, counts)) for counts in SAVED.findall(server.log()[since:])]


def core(threshold):
    """(latent, (skipped, all) calls) of the core on the same clip, prompts, map and levels."""
    model, caches = load_video_model(precision="fp32"), []

    class Counted(FirstBlockCache):
        def __init__(self, threshold):
            super().__init__(threshold)
            caches.append(self)

    texts = dict(zip(("positive", "negative"), model.encode_text(PROMPTS).split(1)))
    texts["inversion"] = model.encode_text(["a simulator"])
    hints = {"edge": model.encode_hint(MAPS["edge"])}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(video_model, "FirstBlockCache", Counted)
        predict = model.predictor(texts, hints, {"edge": 1.0}, VE, threshold)
        settings = EnhanceSettings(start="inversion", method="exact", cfg=CFG, cache=threshold)
        sigmas = karras_sigmas(STEPS, 0.02, 80.0, 7.0)
        latent, _ = enhance_latent(predict, model.encode(clip(7)), sigmas, settings, VE, 0, lambda *_: None)
    counts = tuple(sum(getattr(cache, name) for cache in caches) for name in ("skipped", "steps"))
    return latent, [counts] if caches else []


@pytest.mark.parametrize("threshold", [0.0, 0.5])
def test_the_sampler_with_a_cache_is_the_core_with_it(server, threshold):
    scene = Scene(server)
    scene.control("edge")
    positive, negative = scene.prompts
    inversion = scene.add("CLIPTextEncode", clip=scene.clip, text="a simulator")
    branch = scene.add("VideoRealismLoadControlBranch", modality="edge", model="embedded")
    shown = dict(control_net=branch, image=scene.tensor(MAPS["edge"]), strength=1.0, start_percent=0.0, end_percent=1.0)
    both = scene.add("ControlNetApplyAdvanced", positive=inversion, negative=inversion, **shown)
    latent = scene.add("VAEEncode", vae=scene.vae, pixels=scene.tensor(clip(7)))
    levels = scene.add("KarrasScheduler", steps=STEPS + 1, sigma_max=80.0, sigma_min=0.02, rho=7.0)
    options = dict(cfg=CFG, start="inversion", method="exact", solver="dpmpp_2m", calibration_rounds=1)
    options |= dict(calibration_nu=0.5, seed=0, cache=threshold)
    wires = dict(model=scene.model, inversion=both[0], positive=positive, negative=negative, latent=latent)
    result = scene.add("VideoRealismDualPromptSampler", **wires, sigmas=levels, **options)
    kept = scene.add("VRTestSaveTensor", value=result[0])
    since = len(server.log())
    found = values(server.run(scene), kept)
    wanted, counts = core(threshold)
    assert saved(server, since) == counts
    assert counts == [] if threshold == 0 else counts[0][0] > 0
    assert (found - wanted).norm() < 1e-4 * wanted.norm()


def test_every_window_has_a_cache_of_its_own(server):
    """Two windows one after the other at every step: as many calls each, and each saves some. In a cache that they
    shared a call would be compared with the other window's."""
    counts = []
    for windows in (False, True):
        scene = Scene(server)
        model = scene.model
        if windows:
            plan = dict(window=9, overlap=5, temporal_ratio=4, handover="fused")
            model = scene.add("VideoRealismWindowedModel", model=model, **plan)
        positive, negative = scene.prompts
        guider = dual_prompt(scene, model, positive, negative, cfg=CFG, cache=0.5)
        noise = scene.add("RandomNoise", noise_seed=5)
        latent = scene.add("VAEEncode", vae=scene.vae, pixels=scene.tensor(clip(7, 13 if windows else 9)))
        levels = scene.add("KarrasScheduler", steps=STEPS + 1, sigma_max=80.0, sigma_min=0.02, rho=7.0)
        euler = scene.add("KSamplerSelect", sampler_name="euler")
        done = sample(scene, noise, guider, euler, levels, latent)
        scene.add("VRTestStatistics", value=done)
        since = len(server.log())
        server.run(scene)
        counts += saved(server, since)
    (alone, calls), (both, twice) = counts
    assert twice == 2 * calls
    assert alone > calls / 2 and both > calls  # nearly all of a slow walk, and of either window's


def test_a_model_of_comfyuis_own_is_refused(server):
    graph, model, (one, two, _), latent, sigmas = start("wan")
    guider = dual_prompt(graph, model, one, two, cfg=2.0, cache=0.1)
    noise, euler = graph.add("RandomNoise", noise_seed=5), graph.add("KSamplerSelect", sampler_name="euler")
    graph.add("VRTestStatistics", value=sample(graph, noise, guider, euler, sigmas, latent))
    with pytest.raises(RunError, match="set cache to 0 and put EasyCache before this node"):
        server.run(graph)
