"""ComfyUI's own EasyCache between the MODEL and this pack's guiders: it skips steps, and at 0 it changes nothing."""

import json
import re

import pytest
from embedded_scene import Scene, clip

GUIDERS = {
    "VideoRealismDualPromptGuider": dict(
        cfg=2.0, conflict_damping=0.5, rescale=0.0, start_percent=0.0, end_percent=1.0
    ),
    "VideoRealismSimDropGuider": dict(cfg=2.0, weight=0.5, cap=0.1, start_percent=0.0, end_percent=1.0),
    "CFGGuider": dict(cfg=2.0),
}


def enhanced(server, guider, threshold):
    """(statistics of the sampled latent, steps that EasyCache skipped) of an inverted clip under three conditions."""
    scene = Scene(server)
    scene.control("edge")
    positive, negative = scene.prompts
    third = scene.add("CLIPTextEncode", clip=scene.clip, text="a simulator")[0]
    latent = scene.add("VAEEncode", vae=scene.vae, pixels=scene.tensor(clip(7)))
    levels = scene.add("KarrasScheduler", steps=16, sigma_max=80.0, sigma_min=0.02, rho=7.0)
    told = dict(inversion=third, latent=latent, sigmas=levels, method="exact", measure_round_trip=False)
    found = scene.add("VideoRealismDDIMInvert", model=scene.model, **told)
    model = scene.model
    if threshold is not None:
        options = dict(reuse_threshold=threshold, start_percent=0.0, end_percent=1.0, verbose=False)
        model = scene.add("EasyCache", model=model, **options)[0]
    extra = {"VideoRealismDualPromptGuider": {"inversion": third}, "VideoRealismSimDropGuider": {"reference": third}}
    wires = dict(model=model, positive=positive, negative=negative, **extra.get(guider, {}), **GUIDERS[guider])
    guide = scene.add(guider, **wires)
    result = scene.add(
        "SamplerCustomAdvanced", noise=found[0], guider=guide, sampler=found[1], sigmas=found[2], latent_image=latent
    )
    shown = scene.add("VRTestStatistics", value=result)
    start = len(server.log())
    statistics = json.loads(server.run(scene)[shown]["text"][0])
    skipped = re.findall(r"EasyCache - skipped (\d+)/", server.log()[start:])
    return statistics, int(skipped[-1]) if skipped else None


@pytest.mark.parametrize("guider", GUIDERS)
def test_easycache_under_a_guider(server, guider):
    plain, _ = enhanced(server, guider, None)
    off, none = enhanced(server, guider, 0.0)
    cached, some = enhanced(server, guider, 0.5)
    assert off["sha256"] == plain["sha256"] and not none
    assert cached["finite"] and cached["shape"] == plain["shape"] and cached["sha256"] != plain["sha256"]
    assert some is None or some > 0  # what the log says, once it is written
