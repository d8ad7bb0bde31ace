"""DDIM Invert, Noise Calibrate and the guiders on native models: round trips, batches, repeats, one-sentence errors.

The oracle of a round trip is the latent itself: inverted and retraced under the same conditioning it must come back.
"""

import json

import pytest
from comfy_server import RunError
from tiny_graphs import MODELS, STEPS, dual_prompt, invert, sample, start, text_of


@pytest.mark.parametrize(
    "name, method", [*((name, "exact") for name in MODELS), ("wan", "fixed_point"), ("cosmos-flow", "fixed_point")]
)
def test_inversion_and_retracing_give_the_latent_back_on_every_kind_of_model(server, name, method):
    graph, model, (text, *_), latent, sigmas = start(name)
    inverted = invert(graph, model, text, latent, sigmas, method)
    guider = graph.add("BasicGuider", model=model, conditioning=text)
    back = sample(graph, inverted[0], guider, inverted[1], inverted[2], latent)
    error = graph.add("VRTestCompareLatents", latent=back, reference=latent)
    # A native sampler in the same run is what it always was.
    random = graph.add("RandomNoise", noise_seed=3)
    euler = graph.add("KSamplerSelect", sampler_name="euler")
    native = graph.add("VRTestStatistics", value=sample(graph, random, guider, euler, sigmas, latent))
    alone, model_2, (text_2, *_), latent_2, sigmas_2 = start(name)
    guider_2 = alone.add("BasicGuider", model=model_2, conditioning=text_2)
    noise_2, euler_2 = alone.add("RandomNoise", noise_seed=3), alone.add("KSamplerSelect", sampler_name="euler")
    native_2 = alone.add("VRTestStatistics", value=sample(alone, noise_2, guider_2, euler_2, sigmas_2, latent_2))
    outputs = server.run(graph)
    # A random network is far rougher than a trained one: the fixed point need not converge on it.
    assert float(text_of(outputs, error)) < (1e-4 if method == "exact" else 0.3)
    assert text_of(outputs, native) == text_of(server.run(alone), native_2)


@pytest.mark.parametrize("name", ["wan", "cosmos-edm", "sd15-eps"])
def test_the_report_is_measured_and_the_noise_feeds_native_samplers(server, name):
    graph, model, (text, *_), latent, sigmas = start(name)
    inverted = invert(graph, model, text, latent, sigmas, "exact", round_trip=True)
    guider = graph.add("BasicGuider", model=model, conditioning=text)
    euler = graph.add("KSamplerSelect", sampler_name="euler")
    statistics = graph.add("VRTestStatistics", value=sample(graph, inverted[0], guider, euler, inverted[2], latent))
    shown = graph.add("PreviewAny", source=inverted[3])
    outputs = server.run(graph)
    report = json.loads(text_of(outputs, shown))
    assert report["round_trip"] < 1e-5
    assert report["calls"] == report["steps"]
    assert "round-trip error" in text_of(outputs, inverted)
    assert json.loads(text_of(outputs, statistics))["finite"]


@pytest.mark.parametrize("name", ["wan", "sd15-eps", "cosmos-flow"])
def test_plain_cfg_of_our_guider_equals_the_native_one_in_one_forward_of_two(server, name):
    graph, model, (one, two, _), latent, sigmas = start(name)
    noise = graph.add("RandomNoise", noise_seed=5)
    euler = graph.add("KSamplerSelect", sampler_name="euler")
    native = graph.add("CFGGuider", model=model, positive=one, negative=two, cfg=4.0)
    ours = dual_prompt(graph, model, one, two, cfg=4.0)
    outs = [sample(graph, noise, guider, euler, sigmas, latent) for guider in (native, ours)]
    error = graph.add("VRTestCompareLatents", latent=outs[1], reference=outs[0])
    sizes = graph.add("VRTestReadBatchSizes", log=model[1], after=error)
    outputs = server.run(graph)
    assert float(text_of(outputs, error)) < 1e-5
    assert json.loads(text_of(outputs, sizes)) == [2] * (2 * STEPS)


def test_damping_simdrop_and_video_text_compute_all_their_branches_in_one_forward(server):
    for build, wanted in (
        (lambda g, m, t: dual_prompt(g, m, t[0], t[1], cfg=3.0, inversion=t[2], conflict_damping=1.0), 3),
        (lambda g, m, t: dual_prompt(g, m, t[0], t[1], cfg=3.0, rescale=0.7), 2),
        (lambda g, m, t: dual_prompt(g, m, t[0], t[1], cfg=1.0), 1),
        (
            lambda g, m, t: g.add(
                "VideoRealismSimDropGuider",
                model=m,
                positive=t[0],
                negative=t[1],
                reference=t[2],
                cfg=3.0,
                weight=0.5,
                cap=0.1,
                start_percent=0.0,
                end_percent=1.0,
            ),
            3,
        ),
        (
            lambda g, m, t: g.add(
                "VideoRealismVideoTextGuider",
                model=m,
                video_text=t[0],
                video=t[1],
                uncond=t[2],
                video_scale=1.2,
                text_scale=7.5,
            ),
            3,
        ),
    ):
        graph, model, texts, latent, sigmas = start("wan")
        noise = graph.add("RandomNoise", noise_seed=5)
        euler = graph.add("KSamplerSelect", sampler_name="euler")
        done = sample(graph, noise, build(graph, model, texts), euler, sigmas, latent)
        sizes = graph.add("VRTestReadBatchSizes", log=model[1], after=done)
        finite = graph.add("VRTestStatistics", value=done)
        outputs = server.run(graph)
        assert json.loads(text_of(outputs, sizes)) == [wanted] * STEPS
        assert json.loads(text_of(outputs, finite))["finite"]


def test_an_interval_guides_only_inside(server):
    graph, model, (one, two, _), latent, sigmas = start("wan")
    noise, euler = graph.add("RandomNoise", noise_seed=5), graph.add("KSamplerSelect", sampler_name="euler")
    guider = dual_prompt(graph, model, one, two, cfg=3.0, start_percent=0.0, end_percent=0.5)
    done = sample(graph, noise, guider, euler, sigmas, latent)
    sizes = graph.add("VRTestReadBatchSizes", log=model[1], after=done)
    found = json.loads(text_of(server.run(graph), sizes))
    assert found == sorted(found, reverse=True) and set(found) == {1, 2}


def test_simdrop_with_the_model_itself_as_reference_equals_the_prompt_form(server):
    graph, model, (one, two, three), latent, sigmas = start("wan")
    noise, euler = graph.add("RandomNoise", noise_seed=5), graph.add("KSamplerSelect", sampler_name="euler")
    twin = graph.add("VRTestTinyWan", seed=1, text_dim=32)
    values = dict(model=model, positive=one, negative=two, reference=three, cfg=2.0, weight=0.5, cap=0.2)
    values |= {"start_percent": 0.0, "end_percent": 1.0}
    guiders = [
        graph.add("VideoRealismSimDropGuider", **values),
        graph.add("VideoRealismSimDropGuider", reference_model=twin, **values),
    ]
    outs = [sample(graph, noise, guider, euler, sigmas, latent) for guider in guiders]
    error = graph.add("VRTestCompareLatents", latent=outs[1], reference=outs[0])
    plain = sample(graph, noise, dual_prompt(graph, model, one, two, cfg=2.0), euler, sigmas, latent)
    moved = graph.add("VRTestCompareLatents", latent=outs[0], reference=plain)
    outputs = server.run(graph)
    assert float(text_of(outputs, error)) < 1e-5
    assert float(text_of(outputs, moved)) > 1e-3


@pytest.mark.parametrize("name", ["wan", "cosmos-edm", "sd15-eps"])
def test_calibration_lowers_its_residual_and_feeds_native_samplers(server, name):
    graph, model, (text, *_), latent, sigmas = start(name)
    low = graph.add("SplitSigmasDenoise", sigmas=sigmas, denoise=0.5)[1]
    guider = graph.add("BasicGuider", model=model, conditioning=text)
    calibrated = graph.add(
        "VideoRealismNoiseCalibrate",
        noise=graph.add("RandomNoise", noise_seed=5),
        guider=guider,
        latent=latent,
        sigmas=low,
        rounds=3,
        nu=1.0,
        low=0.0,
        filter="box",
        max_std=0.0,
    )
    euler = graph.add("KSamplerSelect", sampler_name="euler")
    statistics = graph.add("VRTestStatistics", value=sample(graph, calibrated[0], guider, euler, low, latent))
    shown = graph.add("PreviewAny", source=calibrated[1])
    outputs = server.run(graph)
    report = json.loads(text_of(outputs, shown))
    assert report["calls"] == 4 and len(report["residuals"]) == 4
    assert report["residuals"][-1] < 0.9 * report["residuals"][0], report["residuals"]
    assert json.loads(text_of(outputs, statistics))["finite"]


def one_node(graph, model, prompts, latent, sigmas, **settings):
    settings = {"cfg": 2.0, "start": "inversion", "method": "exact", "solver": "dpmpp_2m", "seed": 0, **settings}
    settings |= {"calibration_rounds": 1, "calibration_nu": 0.5}
    wires = dict(zip(("positive", "negative", "inversion"), prompts), latent=latent, sigmas=sigmas)
    return graph.add("VideoRealismDualPromptSampler", model=model, **wires, **settings)


PATCHES = ["post_cfg", "cfg", "pre_cfg", "predict_noise"]


@pytest.mark.parametrize("kind", PATCHES)
def test_patches_around_cfg_act_as_they_do_on_the_native_guider(server, kind):
    graph, model, (one, two, _), latent, sigmas = start("wan")
    patched = graph.add("VRTestPatchedCFG", model=model, kind=kind, factor=0.9)
    noise, euler = graph.add("RandomNoise", noise_seed=5), graph.add("KSamplerSelect", sampler_name="euler")
    native = graph.add("CFGGuider", model=patched, positive=one, negative=two, cfg=3.0)
    guiders = [native, *(dual_prompt(graph, kept, one, two, cfg=3.0) for kept in (patched, model))]
    outs = [sample(graph, noise, guider, euler, sigmas, latent) for guider in guiders]
    error, moved = (graph.add("VRTestCompareLatents", latent=out, reference=outs[0]) for out in outs[1:])
    outputs = server.run(graph)
    assert float(text_of(outputs, error)) < 1e-5 and float(text_of(outputs, moved)) > 1e-2


@pytest.mark.parametrize("start_from", ["inversion", "sdedit", "calibration"])
@pytest.mark.parametrize("kind", PATCHES)
def test_patches_on_the_model_act_in_the_one_node_sampler(server, kind, start_from):
    graph, model, (one, two, three), latent, sigmas = start("wan")
    low = graph.add("SplitSigmasDenoise", sigmas=sigmas, denoise=0.5)[1]
    patched = graph.add("VRTestPatchedCFG", model=model, kind=kind, factor=0.9)
    given = dict(start=start_from, solver="ddim")
    outs = [one_node(graph, kept, (one, two, three), latent, low, **given) for kept in (patched, model)]
    moved = graph.add("VRTestCompareLatents", latent=outs[0], reference=outs[1])
    same = None
    if start_from == "inversion":
        inverted = invert(graph, patched, three, latent, low)
        guider = dual_prompt(graph, patched, one, two, cfg=2.0)
        parts = sample(graph, inverted[0], guider, inverted[1], inverted[2], latent)
        same = graph.add("VRTestCompareLatents", latent=outs[0], reference=parts)
    outputs = server.run(graph)
    assert float(text_of(outputs, moved)) > 1e-3
    assert same is None or float(text_of(outputs, same)) < 1e-5


def test_one_node_sampler_equals_invert_guider_and_native_sampler(server):
    graph, model, (one, two, three), latent, sigmas = start("wan")
    inverted = invert(graph, model, three, latent, sigmas)
    parts = sample(graph, inverted[0], dual_prompt(graph, model, one, two, cfg=2.0), inverted[1], inverted[2], latent)
    whole = one_node(graph, model, (one, two, three), latent, sigmas)
    error = graph.add("VRTestCompareLatents", latent=parts, reference=whole)
    assert float(text_of(server.run(graph), error)) < 1e-5


def test_two_runs_agree_to_the_bit(server):
    found = []
    for _ in range(2):
        graph, model, (one, two, three), latent, sigmas = start("wan")
        inverted = invert(graph, model, three, latent, sigmas)
        guider = dual_prompt(graph, model, one, two, cfg=2.0)
        done = sample(graph, inverted[0], guider, inverted[1], inverted[2], latent)
        node = graph.add("VRTestStatistics", value=done)
        found.append(text_of(server.run(graph), node))
    assert found[0] == found[1]  # the batch log keeps both from the cache


def failing(server, graph, node):
    """The sentence of a graph that must fail at or before `node`."""
    graph.add("PreviewAny", source=node)
    with pytest.raises(RunError) as raised:
        server.run(graph)
    message = raised.value.exception_message.strip()
    assert "\n" not in message
    return message


def test_wrong_wiring_gives_one_sentence_and_the_server_goes_on(server):
    graph, model, (text, *_), _, sigmas = start("wan")
    image = graph.add("VRTestRandomLatent", channels=16, frames=0, height=8, width=8, batch=1, seed=1, scale=1.0)
    node = invert(graph, model, text, image, sigmas)
    assert "needs 5 dimensions" in failing(server, graph, node)

    graph, model, (text, *_), _, sigmas = start("wan")
    other = graph.add("VRTestRandomLatent", channels=4, frames=3, height=8, width=8, batch=1, seed=1, scale=1.0)
    node = invert(graph, model, text, other, sigmas)
    assert "4 channels" in failing(server, graph, node)

    graph, model, (text, *_), latent, sigmas = start("wan", scale=0.0)
    node = invert(graph, model, text, latent, sigmas)
    assert "empty latent" in failing(server, graph, node)

    graph, model, (text, *_), latent, sigmas = start("wan")
    node = flipped = graph.add("FlipSigmas", sigmas=sigmas)
    node = invert(graph, model, text, latent, flipped)
    assert "do not flip" in failing(server, graph, node)

    graph, model, _, latent, sigmas = start("wan")
    silent = graph.add("VRTestRandomConditioning", dim=32, tokens=8, seed=1, text=False)
    node = invert(graph, model, silent, latent, sigmas)
    assert "inversion conditioning" in failing(server, graph, node)

    graph, model, (text, *_), latent, sigmas = start("wan")
    inverted = invert(graph, model, text, latent, sigmas)
    longer = graph.add("VRTestRandomLatent", channels=16, frames=5, height=8, width=8, batch=1, seed=1, scale=1.0)
    guider = graph.add("BasicGuider", model=model, conditioning=text)
    node = sample(graph, inverted[0], guider, inverted[1], inverted[2], longer)
    assert "This noise belongs to a latent of shape (1, 16, 3, 8, 8)" in failing(server, graph, node)

    test_two_runs_agree_to_the_bit(server)
