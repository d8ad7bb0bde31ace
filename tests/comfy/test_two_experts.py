"""Two-Expert Model on tiny Wan networks: each noise level to its own, as two native samplers in a row would do it."""

import json

import pytest
from comfy_server import Graph, RunError

BOUNDARY = 0.875
STEPS = 20


class Scene(Graph):
    """Two networks of one kind, joined and watched."""

    def __init__(self, boundary=BOUNDARY):
        super().__init__()
        self.high, self.low = (self.add("VRTestTinyWan", seed=seed, text_dim=32) for seed in (1, 2))
        pair = self.add("VideoRealismTwoExperts", high_noise=self.high, low_noise=self.low, boundary=boundary)
        self.watched = self.add("VRTestWatchNetwork", model=pair)
        self.model = self.watched[0]
        text = dict(dim=32, tokens=8, text=True)
        self.prompts = [self.add("VRTestRandomConditioning", **text, seed=seed)[0] for seed in (1, 2)]
        size = dict(channels=16, frames=3, height=8, width=8, batch=1)
        self.latent = self.add("VRTestRandomLatent", **size, seed=7, scale=1.0)
        self.sigmas = self.add("BasicScheduler", model=self.low, scheduler="simple", steps=STEPS, denoise=1.0)

    def guider(self, model):
        return self.add("CFGGuider", model=model, positive=self.prompts[0], negative=self.prompts[1], cfg=3.0)

    def euler(self, model, noise, sigmas, latent):
        inputs = dict(noise=noise, sigmas=sigmas, latent_image=latent, guider=self.guider(model))
        return self.add("SamplerCustomAdvanced", sampler=self.add("KSamplerSelect", sampler_name="euler"), **inputs)

    def seen(self, after):
        return self.add("VRTestReadSeen", log=self.watched[1], after=after)

    def error(self, found, wanted):
        return self.add("VRTestCompareLatents", latent=found, reference=wanted)


def value(outputs, node):
    return json.loads(outputs[node]["text"][0])


def test_each_level_goes_to_its_own_network_and_patches_reach_both(server):
    scene = Scene()
    log = scene.seen(scene.euler(scene.model, scene.add("RandomNoise", noise_seed=5), scene.sigmas, scene.latent))
    calls = value(server.run(scene), log)
    weights = [call["weights"] for call in calls]
    high = [call["sigma"] >= BOUNDARY for call in calls]
    assert len(calls) == STEPS and high == sorted(high, reverse=True) and True in high and False in high
    assert len(set(weights)) == 2
    assert [weight == weights[0] for weight in weights] == high
    assert all(call["shape"][0] == 2 for call in calls)  # both prompts in one forward


def test_one_pass_is_what_two_native_samplers_in_a_row_give(server):
    scene = Scene()
    noise = scene.add("RandomNoise", noise_seed=5)
    whole = scene.euler(scene.model, noise, scene.sigmas, scene.latent)
    log = scene.seen(whole)
    outputs = server.run(scene)
    count = sum(call["sigma"] >= BOUNDARY for call in value(outputs, log))
    again = Scene()
    noise = again.add("RandomNoise", noise_seed=5)
    split = again.add("SplitSigmas", sigmas=again.sigmas, step=count)
    first = again.euler(again.high, noise, split[0], again.latent)
    second = again.euler(again.low, again.add("DisableNoise"), split[1], first)
    whole = again.euler(again.model, noise, again.sigmas, again.latent)
    alone = again.euler(again.low, noise, again.sigmas, again.latent)
    errors = [again.error(whole, second), again.error(whole, alone)]
    outputs = server.run(again)
    same, other = (float(outputs[node]["text"][0]) for node in errors)
    assert same < 1e-4 and other > 1e-2


@pytest.mark.parametrize("measure", [False, True])
def test_inversion_walks_through_both_and_comes_back(server, measure):
    scene = Scene()
    wires = dict(model=scene.model, inversion=scene.prompts[0], latent=scene.latent, sigmas=scene.sigmas)
    inverted = scene.add("VideoRealismDDIMInvert", **wires, method="exact", measure_round_trip=measure)
    guider = scene.add("BasicGuider", model=scene.model, conditioning=scene.prompts[0])
    back = dict(noise=inverted[0], guider=guider, sampler=inverted[1], sigmas=inverted[2], latent_image=scene.latent)
    result = scene.add("SamplerCustomAdvanced", **back)
    error, log = scene.error(result, scene.latent), scene.seen(result)
    outputs = server.run(scene)
    assert float(outputs[error]["text"][0]) < 1e-4
    calls = value(outputs, log)
    assert len({call["weights"] for call in calls}) == 2
    assert all((call["weights"] == calls[-1]["weights"]) == (call["sigma"] < BOUNDARY) for call in calls)


def test_calibration_above_the_boundary_asks_the_high_noise_network(server):
    scene = Scene()
    inputs = dict(noise=scene.add("RandomNoise", noise_seed=5), guider=scene.guider(scene.model), latent=scene.latent)
    plan = dict(rounds=1, nu=0.5, low=0.0, filter="box", max_std=0.0)
    calibrated = scene.add(
        "VideoRealismNoiseCalibrate",
        sigmas=scene.add("SplitSigmasDenoise", sigmas=scene.sigmas, denoise=0.95)[1],
        **inputs,
        **plan,
    )
    log = scene.seen(calibrated[1])
    shown = scene.add("PreviewAny", source=calibrated[1])
    outputs = server.run(scene)
    calls = value(outputs, log)
    alone = Scene(boundary=0.0)
    reference = alone.seen(alone.euler(alone.model, alone.add("RandomNoise", noise_seed=5), alone.sigmas, alone.latent))
    high = value(server.run(alone), reference)[0]["weights"]
    assert outputs[shown] and {call["weights"] for call in calls} == {high}


def test_windows_over_the_joined_model_reach_both_networks(server):
    """Windowed Model after joining: every window of every level goes to the network of that level."""
    scene = Scene()
    size = dict(channels=16, frames=7, height=8, width=8, batch=1)
    latent = scene.add("VRTestRandomLatent", **size, seed=7, scale=1.0)
    plan = dict(window=13, overlap=4, temporal_ratio=4, handover="fused", flow_model="none")
    model = scene.add("VideoRealismWindowedModel", model=scene.model, **plan)
    log = scene.seen(scene.euler(model, scene.add("RandomNoise", noise_seed=5), scene.sigmas, latent))
    calls = value(server.run(scene), log)
    assert {call["shape"][2] for call in calls} == {4} and len(calls) > STEPS
    weights = {call["sigma"] >= BOUNDARY: call["weights"] for call in calls}
    assert len(weights) == len(set(weights.values())) == 2
    assert all(call["weights"] == weights[call["sigma"] >= BOUNDARY] for call in calls)


def simdrop(graph, model, prompts, reference_model, reference=None):
    inputs = dict(model=model, positive=prompts[0], negative=prompts[1], reference_model=reference_model)
    inputs |= {"cfg": 2.0, "weight": 0.5, "cap": 0.2, "start_percent": 0.0, "end_percent": 1.0}
    return graph.add("VideoRealismSimDropGuider", **inputs, **({"reference": reference} if reference else {}))


@pytest.mark.parametrize("main", ["one", "pair"])
def test_a_joined_reference_answers_each_level_with_its_own_network(server, main):
    """SimDrop's reference is a pair, beside one network or beside another pair."""
    scene = Scene()
    model = scene.add("VRTestTinyWan", seed=3, text_dim=32)
    if main == "pair":
        second = scene.add("VRTestTinyWan", seed=4, text_dim=32)
        model = scene.add("VideoRealismTwoExperts", high_noise=second, low_noise=model, boundary=BOUNDARY)
    guider = simdrop(scene, model, scene.prompts, scene.model)
    inputs = dict(noise=scene.add("RandomNoise", noise_seed=5), sigmas=scene.sigmas, latent_image=scene.latent)
    euler = scene.add("KSamplerSelect", sampler_name="euler")
    log = scene.seen(scene.add("SamplerCustomAdvanced", guider=guider, sampler=euler, **inputs))
    calls = value(server.run(scene), log)
    weights = {call["sigma"] >= BOUNDARY: call["weights"] for call in calls}
    assert len(calls) == STEPS and len(set(weights.values())) == len(weights) == 2
    assert all(call["weights"] == weights[call["sigma"] >= BOUNDARY] for call in calls)


@pytest.mark.parametrize("place", ["model", "reference", "high noise"])
def test_windows_prepare_their_maps_once_a_run_whichever_model_asks(server, place):
    graph = Graph()
    one, other = (graph.add("VRTestTinySD15", seed=seed, text_dim=32, prediction="eps") for seed in (1, 2))
    text = dict(dim=32, tokens=8, text=True)
    prompts = [graph.add("VRTestRandomConditioning", **text, seed=seed)[0] for seed in (1, 2)]
    size = dict(channels=4, frames=0, height=8, width=8, batch=9)
    latent = graph.add("VRTestRandomLatent", **size, seed=7, scale=1.0)
    hint = graph.add("VRTestRandomImages", frames=9, height=64, width=64, seed=4)
    net = graph.add("VRTestLinearControl")
    told = graph.add(
        "ControlNetApplyAdvanced", positive=prompts[0], negative=prompts[1], control_net=net, image=hint,
        strength=1.0, start_percent=0.0, end_percent=1.0,
    )  # fmt: skip
    model = one
    if place == "high noise":
        model = graph.add("VideoRealismTwoExperts", high_noise=other, low_noise=one, boundary=0.0)
    plan = dict(window=4, overlap=1, temporal_ratio=4, handover="fused", flow_model="none")
    model = graph.add("VideoRealismWindowedModel", model=model, **plan)
    if place == "reference":
        guider = simdrop(graph, model, prompts, other, told[0])
    else:
        guider = graph.add("CFGGuider", model=model, positive=told[0], negative=told[0], cfg=2.0)
    sigmas = graph.add("BasicScheduler", model=one, scheduler="simple", steps=3, denoise=1.0)
    inputs = dict(noise=graph.add("RandomNoise", noise_seed=5), sigmas=sigmas, latent_image=latent)
    euler = graph.add("KSamplerSelect", sampler_name="euler")
    done = graph.add("SamplerCustomAdvanced", guider=guider, sampler=euler, **inputs)
    prepared = graph.add("VRTestPreparedMaps", control_net=net, after=done)
    assert value(server.run(graph), prepared) == [4, 4, 4]  # three windows, three steps


def test_networks_of_two_kinds_and_pairs_of_pairs_are_refused(server):
    scene = Scene()
    other = scene.add("VRTestTinyWanVACE", seed=1, text_dim=32)
    node = scene.add("VideoRealismTwoExperts", high_noise=other, low_noise=scene.low, boundary=BOUNDARY)
    scene.add("PreviewAny", source=node)
    with pytest.raises(RunError, match=r"different kinds \(WAN21_Vace with 16 .* and WAN21 with 16"):
        server.run(scene)
    scene = Scene()
    node = scene.add("VideoRealismTwoExperts", high_noise=scene.model, low_noise=scene.low, boundary=BOUNDARY)
    scene.add("PreviewAny", source=node)
    with pytest.raises(RunError, match="holds two experts already"):
        server.run(scene)
