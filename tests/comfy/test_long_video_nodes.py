"""Long Video Sampler and Windowed Model in the server: what every window sees, and what the core computes the same way.

The oracles: an image model's frames do not know of each other, so windows must change nothing; hints that are frame
numbers say which frames a window was given; the core's own hand-over on the embedded model; ComfyUI's own windows.
"""

import json
import time

import pytest
import torch
from comfy_server import Graph, RunError
from embedded_scene import Scene, draw, values
from long_video_graphs import (
    FRAMES,
    IMAGES,
    LATENTS,
    SPANS,
    WINDOWS,
    compared,
    euler_and_noise,
    long_sampler,
    numbered,
    resized,
    windowed,
)
from shipped_graphs import pattern
from tiny_graphs import dual_prompt, text_of
from tiny_graphs import sample as custom
from tiny_graphs import start as tiny

from pipeline_core.diffusion import VE
from pipeline_core.enhance import EnhanceSettings
from pipeline_core.job.latent import enhance_handed
from pipeline_core.longvideo.fused import fused_predict, join_latents
from pipeline_core.longvideo.handover import HandOver
from pipeline_core.longvideo.motion import latent_flow
from pipeline_core.models import load_video_model
from pipeline_core.perception.flow import estimated_flow
from pipeline_core.video.overlaps import window_weights


@pytest.mark.parametrize("handover", ["none", "fused"])
def test_windows_change_nothing_for_frames_that_do_not_know_of_each_other(server, handover):
    """SD 1.5 with a ControlNet and another map for every frame: the same as without windows, map for map."""
    graph, model, (one, two, _), latent, sigmas = tiny("sd15-eps")
    latent = resized(graph, latent, 9, 0)
    net = graph.add("VRTestTinyControlNet", seed=1, text_dim=32)
    hint = graph.add("VRTestRandomImages", frames=9, height=64, width=64, seed=4)
    percents = dict(strength=1.0, start_percent=0.0, end_percent=1.0)
    told = graph.add("ControlNetApplyAdvanced", positive=one, negative=two, control_net=net, image=hint, **percents)
    guider = graph.add("CFGGuider", model=model, positive=told[0], negative=told[1], cfg=3.0)
    noise, euler = euler_and_noise(graph)
    plain = custom(graph, noise, guider, euler, sigmas, latent)
    long = long_sampler(graph, guider, latent, sigmas, handover, noise=noise, sampler=euler, **IMAGES)
    error = compared(graph, long[0], plain)
    outputs = server.run(graph)
    assert float(text_of(outputs, error)) < 1e-5
    assert "3 windows of 4" in text_of(outputs, long) and "cost: 1.33 x" in text_of(outputs, long)


@pytest.mark.parametrize("kind", ["VRTestLinearControl", "VRTestT2IAdapter"])
@pytest.mark.parametrize("form", ["none", "fused", "model"])
def test_a_native_control_gives_every_window_its_own_frames(server, form, kind):
    graph, model, (one, two, _), latent, sigmas = tiny("sd15-eps")
    latent = resized(graph, latent, 9, 0)
    hint = numbered(server, graph, 9)
    percents = dict(strength=1.0, start_percent=0.0, end_percent=1.0)
    net = graph.add(kind)
    told = graph.add("ControlNetApplyAdvanced", positive=one, negative=two, control_net=net, image=hint, **percents)
    seen = graph.add("VRTestSeenFrames", model=model)
    network = windowed(graph, seen, **IMAGES) if form == "model" else seen
    guider = graph.add("CFGGuider", model=network, positive=told[0], negative=told[1], cfg=3.0)
    noise, euler = euler_and_noise(graph)
    if form == "model":
        done = custom(graph, noise, guider, euler, sigmas, latent)
    else:
        done = long_sampler(graph, guider, latent, sigmas, form, noise=noise, sampler=euler, **IMAGES)
    read = graph.add("VRTestReadBatchSizes", log=seen[1], after=done[0])
    calls = json.loads(text_of(server.run(graph), read))
    assert len(calls) == 3 * 20
    spans = [list(range(start, start + 4)) for start in (0, 2, 5)]
    order = spans * 20 if form != "none" else [span for span in spans for _ in range(20)]
    assert [call["window"] for call in calls] == order
    for call in calls:  # two branches in one forward, each with the window's own pictures
        assert call["shape"][0] == 8
        assert call["control"] == pytest.approx([number / 100 for number in call["window"] * 2], abs=1e-5)


@pytest.mark.parametrize("form", ["none", "fused"])
def test_vace_maps_are_cut_along(server, form):
    """What each window sees of the VACE context is that part of what the whole clip's context holds."""
    graph, model, (one, two, _), latent, sigmas = tiny("vace")
    latent = resized(graph, latent, LATENTS, 2)
    vae = graph.add("VRTestTinyVAE", seed=1, kind="wan")
    shape = {"width": 64, "height": 64, "length": FRAMES, "batch_size": 1, "strength": 1.0}
    video = numbered(server, graph, FRAMES)
    told = graph.add("WanVaceToVideo", positive=one, negative=two, vae=vae, control_video=video, **shape)
    seen = graph.add("VRTestSeenFrames", model=model)
    guider = dual_prompt(graph, seen, told[0], told[1], cfg=2.0)
    noise, euler = euler_and_noise(graph)
    few = graph.add("SplitSigmas", sigmas=sigmas, step=1)[0]
    whole = custom(graph, noise, guider, euler, few, latent)
    long = long_sampler(graph, guider, latent, few, form, noise=noise, sampler=euler)
    graph[str(long)]["inputs"]["noise"] = graph.add("RandomNoise", noise_seed=6)[0]
    done = compared(graph, long[0], whole)
    read = graph.add("VRTestReadBatchSizes", log=seen[1], after=done[0])
    calls = json.loads(text_of(server.run(graph), read))
    (all_at_once,) = [call for call in calls if call["window"] is None]
    cut = [call for call in calls if call["window"] is not None]
    assert [call["window"] for call in cut] == [list(span) for span in SPANS]
    numbers = all_at_once["vace"]
    assert len(numbers) == LATENTS == len({round(number, 5) for number in numbers})
    for call in cut:
        assert call["vace"] == pytest.approx([numbers[frame] for frame in call["window"]], abs=1e-6)


def test_the_packs_own_controls_are_cut_along(server):
    scene = Scene(server)
    scene.control("depth", map=torch.arange(FRAMES)[:, None, None, None].expand(-1, 32, 48, 3) / 40)
    seen = scene.add("VRTestSeenFrames", model=scene.model)
    guider = scene.add("CFGGuider", model=seen, positive=scene.prompts[0], negative=scene.prompts[1], cfg=2.0)
    latent = scene.tensor(draw(1, 1, 48, LATENTS, 4, 6))[1]
    sigmas = scene.tensor(torch.tensor([5.0, 1.0]))[3]
    noise, euler = euler_and_noise(scene)
    whole = custom(scene, noise, guider, euler, sigmas, latent)
    long = long_sampler(scene, guider, latent, sigmas, "none", noise=noise, sampler=euler)
    done = compared(scene, long[0], whole)
    read = scene.add("VRTestReadBatchSizes", log=seen[1], after=done[0])
    calls = json.loads(text_of(server.run(scene), read))
    (numbers,) = next(call["hints"] for call in calls if call["window"] is None)
    cut = [call for call in calls if call["window"] is not None]
    assert [call["window"] for call in cut] == [list(span) for span in SPANS]
    for call in cut:
        assert call["hints"][0] == pytest.approx([numbers[frame] for frame in call["window"]], abs=1e-5)


@pytest.fixture(scope="module")
def core():
    return load_video_model(precision="fp32")


def core_windows(core, predict_of, x0, sigmas, settings, handover, source):
    """The windows by the core alone: each on its slice, handed over by enhance_handed, joined."""
    if handover == "fused":
        predict = fused_predict([predict_of(span) for span in SPANS], SPANS, 1)
        return enhance_handed(predict, x0, sigmas, settings, VE, 0, lambda *_: None).latent
    parts = []
    for index, span in enumerate(SPANS):
        given, flow = None, None
        if index and handover in ("mean", "motion"):
            start = span.start + 1 - SPANS[index - 1].start
            before, own_shared = parts[-1], slice(1, 1 + SPANS[index - 1].stop - span.start - 1)
            if handover == "motion":
                seen = source[4 * span.start : 4 * span.stop - 3]
                flow = latent_flow(estimated_flow(seen), 4, (4, 6), own_shared)
            latent, noise = before.latent[:, :, start:], before.noise[:, :, start:]
            given = HandOver(latent, noise, 1, flow, settings.anchor)
        own = x0[:, :, span.start : span.stop]
        parts.append(enhance_handed(predict_of(span), own, sigmas, settings, VE, 0, lambda *_: None, given))
    return join_latents([part.latent for part in parts], SPANS, window_weights(SPANS, 1))


@pytest.mark.parametrize("handover", ["none", "mean", "motion", "fused"])
def test_inverted_windows_are_what_the_core_computes(server, core, handover):
    """One graph node against enhance_handed on the same slices, with a control, under two prompts, CFG 2."""
    depth = torch.rand(FRAMES, 32, 48, 3, generator=torch.Generator().manual_seed(3))
    x0 = 0.5 * draw(1, 1, 48, LATENTS, 4, 6)
    sigmas = torch.tensor([40.0, 20.0, 10.0, 5.0, 2.0, 1.0, 0.4, 0.1])
    scene = Scene(server)
    scene.control("depth", map=depth)
    guider = scene.add("CFGGuider", model=scene.model, positive=scene.prompts[0], negative=scene.prompts[1], cfg=2.0)
    levels, latent = scene.tensor(sigmas)[3], scene.tensor(x0)[1]
    long = long_sampler(scene, guider, latent, levels, handover, inversion=scene.prompts[1])
    source = torch.from_numpy(pattern(FRAMES, 32, 48)).float() / 255
    if handover == "motion":
        scene[str(long)]["inputs"]["source"] = scene.tensor(source)[0]
    saved = scene.add("VRTestSaveTensor", value=long[0])
    try:
        outputs = server.run(scene)
    except RunError as refused:
        if handover == "motion" and "scikit-image" in refused.exception_message:
            pytest.skip("ComfyUI's Python has no scikit-image, and the node said so")
        raise
    found = values(outputs, saved)

    texts = core.encode_text(["a photorealistic dashcam video", "flat shading"])
    texts = {"positive": texts[:1], "negative": texts[1:], "inversion": texts[1:]}
    hint = core.encode_hint(depth)

    def predict_of(span):
        return core.predictor(texts, {"depth": hint[:, :, span.start : span.stop]}, {"depth": 1.0}, VE)

    settings = EnhanceSettings(start="inversion", cfg=2.0)
    wanted = core_windows(core, predict_of, x0, sigmas.double(), settings, handover, source)
    assert float((found - wanted).norm() / wanted.norm()) < 1e-4
    assert float((found - x0).norm() / x0.norm()) > 0.05  # the prompt did something
    assert "3 windows of 17: 0-16, 8-24, 20-36" in text_of(outputs, long)


def test_a_hand_over_leaves_the_shared_frames_to_the_window_before(server):
    """Random noise, native euler, a random network: with mean, windows end equal where they overlap; with none not."""
    found = {}
    for handover in ("none", "mean"):
        graph, model, (one, two, _), latent, sigmas = tiny("wan", scale=0.0)
        latent = resized(graph, latent, LATENTS, 2)
        guider = dual_prompt(graph, model, one, two, cfg=3.0)
        noise, euler = euler_and_noise(graph)
        long = long_sampler(graph, guider, latent, sigmas, handover, noise=noise, sampler=euler)
        first = graph.add("VRTestCutLatent", latent=latent, start=0, length=5)
        alone = custom(
            graph, graph.add("VRTestCutNoise", noise=noise, start=0, length=5, of=latent), guider, euler, sigmas, first
        )
        overlap = graph.add("VRTestCutLatent", latent=long[0], start=3, length=2)
        own = graph.add("VRTestCutLatent", latent=alone, start=3, length=2)
        error = compared(graph, overlap, own)
        found[handover] = float(text_of(server.run(graph), error))
    assert found["mean"] < 1e-5 < 1e-2 < found["none"]


@pytest.mark.parametrize("name", ["wan", "vace", "cosmos-flow", "cosmos-edm", "sd15-eps"])
@pytest.mark.parametrize("handover", ["none", "fused"])
def test_inverted_under_the_prompt_that_samples_the_clip_comes_back(server, name, handover):
    graph, model, (text, *_), latent, sigmas = tiny(name)
    dim = 0 if name.startswith("sd15") else 2
    latent = resized(graph, latent, LATENTS if dim else 9, dim)
    guider = graph.add("BasicGuider", model=model, conditioning=text)
    cut = IMAGES if dim == 0 else {}
    long = long_sampler(graph, guider, latent, sigmas, handover, inversion=text, **cut)
    error = compared(graph, long[0], latent)
    shown = graph.add("PreviewAny", source=long[1])
    outputs = server.run(graph)
    assert float(text_of(outputs, error)) < 1e-4
    report = json.loads(text_of(outputs, shown))
    assert len(report["inversion"]) == (1 if handover == "fused" else 3)
    assert report["latent_windows"] == ([[0, 4], [2, 6], [5, 9]] if dim == 0 else [[0, 5], [2, 7], [5, 10]])


def test_one_window_is_sampler_custom_advanced(server):
    graph, model, (one, two, _), latent, sigmas = tiny("wan")
    guider = dual_prompt(graph, model, one, two, cfg=2.0)
    noise, euler = euler_and_noise(graph)
    plain = custom(graph, noise, guider, euler, sigmas, latent)
    errors = [
        compared(graph, long_sampler(graph, guider, latent, sigmas, kind, noise=noise, sampler=euler)[0], plain)
        for kind in ("none", "mean", "fused")
    ]
    outputs = server.run(graph)
    assert [float(text_of(outputs, node)) for node in errors] == [0.0, 0.0, 0.0]


def wrong_starts(graph, model, one, two, latent, sigmas):
    noise, euler = euler_and_noise(graph)
    guider = dual_prompt(graph, model, one, two)
    own = graph.add("BasicGuider", model=windowed(graph, model), conditioning=one)
    double = windowed(graph, windowed(graph, model))
    sampler = {"noise": noise, "sampler": euler}
    eight = graph.add("VRTestRandomLatent", channels=8, frames=9, height=8, width=8, batch=1, seed=0, scale=1.0)
    return {
        "connect noise and sampler, or connect inversion": lambda: long_sampler(graph, guider, latent, sigmas),
        "disconnect sampler, or inversion": lambda: long_sampler(
            graph, guider, latent, sigmas, inversion=one, sampler=euler
        ),
        "window is 12 but must be 1 [+] k x 4": lambda: long_sampler(
            graph, guider, latent, sigmas, **sampler, window=12
        ),
        "overlap is 14 but must be from 0 to 13": lambda: long_sampler(
            graph, guider, latent, sigmas, **sampler, overlap=14
        ),
        "connect its frames to source": lambda: long_sampler(graph, guider, latent, sigmas, "motion", **sampler),
        "has context windows already": lambda: long_sampler(graph, own, latent, sigmas, **sampler),
        "connect the model from before that node": lambda: dual_prompt(graph, double, one, two),
        "A latent with 8 channels came": lambda: long_sampler(graph, guider, eight, sigmas, **sampler),
    }


@pytest.mark.parametrize("sentence", list(wrong_starts(Graph(), ["1", 0], ["1", 0], ["1", 0], "1", ["1", 0])))
def test_what_cannot_be_is_said_in_a_sentence(server, sentence):
    graph, model, (one, two, _), latent, sigmas = tiny("wan")
    latent = resized(graph, latent, LATENTS, 2)
    node = wrong_starts(graph, model, one, two, latent, sigmas)[sentence]()
    sink = node if graph[str(node)]["class_type"].endswith("LongVideoSampler") else None
    if sink is None:
        noise, euler = euler_and_noise(graph)
        sink = custom(graph, noise, node, euler, sigmas, latent)
    graph.add("VRTestStatistics", value=sink[0])
    with pytest.raises(RunError, match=sentence) as refused:
        server.run(graph)
    assert "\n" not in refused.value.exception_message


def test_stitching_by_flow_gives_unchanged_chunks_back(server):
    graph = Graph()
    frames = graph.add("VRTestRandomImages", frames=21, height=32, width=48, seed=4)
    plan = graph.add("VideoRealismChunkPlan", frames=frames, **{**WINDOWS, "window": 9})
    joined = graph.add("VideoRealismChunkStitcher", chunks=plan[0], plan=plan[5], stitch="flow", flow_model="none")
    saved = [graph.add("VRTestImageFile", image=clip) for clip in (frames, joined)]
    try:
        outputs = server.run(graph)
    except RunError as refused:
        assert "scikit-image" in refused.exception_message
        pytest.skip("ComfyUI's Python has no scikit-image, and the node said so")
    before, after = (values(outputs, node) for node in saved)
    assert torch.allclose(before, after, atol=1e-4)
    assert "cost: " in text_of(outputs, plan)


@pytest.mark.parametrize("handover", ["mean", "fused"])
def test_cancel_is_heard_between_windows(server, handover):
    graph, model, (one, two, _), latent, _ = tiny("wan")
    latent = resized(graph, latent, LATENTS, 2)
    sigmas = graph.add("BasicScheduler", model=model, scheduler="simple", steps=1000, denoise=1.0)
    noise, euler = euler_and_noise(graph)
    guider = dual_prompt(graph, model, one, two)
    long = long_sampler(graph, guider, latent, sigmas, handover, noise=noise, sampler=euler)
    shown = graph.add("VRTestStatistics", value=long[0])
    prompt = server.queue(graph)
    while not server.get("/queue")["queue_running"]:
        pass
    time.sleep(1)
    server.interrupt()
    messages = dict(server.wait(prompt)["status"]["messages"])
    assert messages["execution_interrupted"]["node_type"] == "VideoRealismLongVideoSampler"
    graph[str(sigmas)]["inputs"]["steps"] = 3
    assert json.loads(text_of(server.run(graph), shown))["finite"]
