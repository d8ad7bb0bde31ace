"""Inversion and calibration with a model's own control: the latent comes back, maps are encoded once."""

import pytest
from control_scene import KINDS, Scene, scene_with_windows, value


@pytest.mark.parametrize("kind", KINDS)
def test_inversion_and_retracing_give_the_latent_back(server, kind):
    scene = Scene(kind)
    prompts = scene.stack(scene.map(0.3), scene.stack(scene.map(), weight=0.5), 0.5)
    sigmas = scene.add("BasicScheduler", model=scene.model, scheduler="simple", steps=20, denoise=1.0)
    wires = dict(model=scene.model, inversion=prompts[0], latent=scene.latent, sigmas=sigmas)
    inverted = scene.add("VideoRealismDDIMInvert", **wires, method="exact", measure_round_trip=False)
    guider = scene.add("BasicGuider", model=scene.model, conditioning=prompts[0])
    back = dict(noise=inverted[0], guider=guider, sampler=inverted[1], sigmas=inverted[2], latent_image=scene.latent)
    error = scene.compare(scene.add("SamplerCustomAdvanced", **back), scene.latent)
    assert float(server.run(scene)[error]["text"][0]) < 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_inversion_and_retracing_through_context_windows(server, kind):
    scene = scene_with_windows(server, kind)
    prompts, model = scene.stack(scene.map()), scene.windowed(4, 2, "standard_static")
    sigmas = scene.add("BasicScheduler", model=scene.model, scheduler="simple", steps=20, denoise=1.0)
    wires = dict(model=model, inversion=prompts[0], latent=scene.latent, sigmas=sigmas)
    inverted = scene.add("VideoRealismDDIMInvert", **wires, method="exact", measure_round_trip=False)
    guider = scene.add("BasicGuider", model=model, conditioning=prompts[0])
    back = dict(noise=inverted[0], guider=guider, sampler=inverted[1], sigmas=inverted[2], latent_image=scene.latent)
    error = scene.compare(scene.add("SamplerCustomAdvanced", **back), scene.latent)
    assert float(server.run(scene)[error]["text"][0]) < 1e-4


@pytest.mark.parametrize("shift", [3.0, 8.0, 16.0])
def test_inversion_and_calibration_on_flow_with_shift(server, shift):
    """The levels of Model Preset under the release's own shift, on a model that ModelSamplingSD3 has shifted."""
    scene = Scene("vace")
    model = scene.add("ModelSamplingSD3", model=scene.model, shift=shift)
    prompts = scene.stack(scene.map())
    levels = scene.add("VideoRealismModelPreset", model=model, steps=0, strength=1.0, shift=shift)
    wires = dict(model=model, inversion=prompts[0], latent=scene.latent, sigmas=levels)
    inverted = scene.add("VideoRealismDDIMInvert", **wires, method="exact", measure_round_trip=True)
    guider = scene.add("BasicGuider", model=model, conditioning=prompts[0])
    back = dict(noise=inverted[0], guider=guider, sampler=inverted[1], sigmas=inverted[2], latent_image=scene.latent)
    error = scene.compare(scene.add("SamplerCustomAdvanced", **back), scene.latent)
    part = scene.add("VideoRealismModelPreset", model=model, steps=0, strength=0.7, shift=shift)
    inputs = dict(noise=scene.add("RandomNoise", noise_seed=5), guider=guider, latent=scene.latent, sigmas=part)
    plan = dict(rounds=1, nu=1.0, low=0.0, filter="symmetric", max_std=0.0)
    calibrated = scene.add("VideoRealismNoiseCalibrate", **inputs, **plan)
    reports = [scene.add("PreviewAny", source=node) for node in (inverted[3], calibrated[1])]
    outputs = server.run(scene)
    first, second = (value(outputs, node) for node in reports)
    assert float(outputs[error]["text"][0]) < 1e-4 and first["round_trip"] < 1e-4
    assert first["sigma_max"] == 1 and abs(first["sigma_min"] - 0.02) < 1e-6 and first["steps"] == 20
    assert abs(second["sigma"] - 0.7) < 1e-6 and second["calls"] == 2 and all(second["residuals"])


def test_maps_are_encoded_once_for_inversion_and_sampling(server):
    """And the grey clip of VACE once for all maps."""
    scene = Scene("vace")
    scene.vae = scene.add("VRTestFrameVAE", channels=16, temporal=4, spatial=8, number=1)
    prompts = scene.stack(scene.map(0.3), scene.stack(scene.map(), weight=0.5), 0.5)
    sigmas = scene.add("BasicScheduler", model=scene.model, scheduler="simple", steps=20, denoise=1.0)
    wires = dict(model=scene.model, inversion=prompts[0], latent=scene.latent, sigmas=sigmas)
    inverted = scene.add("VideoRealismDDIMInvert", **wires, method="exact", measure_round_trip=False)
    guider = scene.add("CFGGuider", model=scene.model, positive=prompts[0], negative=prompts[1], cfg=2.0)
    back = dict(noise=inverted[0], guider=guider, sampler=inverted[1], sigmas=inverted[2], latent_image=scene.latent)
    calls = scene.add("VRTestEncodeCalls", vae=scene.vae, after=scene.add("SamplerCustomAdvanced", **back))
    assert server.run(scene)[calls]["text"] == ["3"]
