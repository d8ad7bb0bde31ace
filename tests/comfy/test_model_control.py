"""Model Control on tiny Wan VACE, Fun-Control and LTX-Video, against native conditioning; frame numbers are hints."""

import json

import pytest
from comfy_server import Graph, RunError

from pipeline_core.longvideo.plan import latent_frames, plan_windows

STACK = "VideoRealismControlNetStack"
FRAMES, LATENT = 53, 14  # of the clip and of its latent: windows of 4, 4, 4 and 2
WINDOWS = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13]]
KINDS = {
    "vace": ("VRTestTinyWanVACE", {}, {"channels": 16, "frames": 3}, {}),
    "fun-2.1": ("VRTestTinyWanFun", {"version": "2.1"}, {"channels": 16, "frames": 3}, {}),
    "fun-2.2": ("VRTestTinyWanFun", {"version": "2.2"}, {"channels": 16, "frames": 3}, {}),
    "ltxv": ("VRTestTinyLTXV", {}, {"channels": 128, "frames": 3}, dict(channels=128, temporal=8, spatial=32)),
}


class Scene(Graph):
    """A tiny model, its watcher, its own control, two prompts and a VAE whose latents can be read."""

    def __init__(self, kind, frames=3):
        super().__init__()
        class_type, options, size, vae = KINDS[kind]
        self.ratio = vae.get("temporal", 4)
        self.pixels, self.clip = (frames - 1) * self.ratio + 1, 8 * vae.get("spatial", 8)
        self.watched = self.add("VRTestWatchNetwork", model=self.add(class_type, seed=1, text_dim=32, **options))
        self.model = self.watched[0]
        self.control = self.add("VideoRealismModelControl", model=self.model)
        self.vae = self.add("VRTestFrameVAE", **{**dict(channels=16, temporal=4, spatial=8, number=0), **vae})
        text = dict(dim=32, tokens=8, text=True)
        self.prompts = [self.add("VRTestRandomConditioning", **text, seed=seed)[0] for seed in (1, 2)]
        if kind == "ltxv":
            self.prompts = [self.add("VRTestPaddedText", conditioning=prompt)[0] for prompt in self.prompts]
        shape = {**size, "frames": frames, "height": 8, "width": 8}
        self.latent = self.add("VRTestRandomLatent", batch=1, seed=7, scale=1.0, **shape)

    def map(self, offset=0.0, frames=None):
        return self.add("VRTestFrameNumbers", frames=frames or self.pixels, size=self.clip, offset=offset)

    def stack(self, map, prompts=None, weight=1.0, start=0.0, end=1.0, **optional):
        prompts = prompts or self.prompts
        named = dict(positive=prompts[0], negative=prompts[1], control_net=self.control, map=map, vae=self.vae)
        node = self.add(STACK, weight=weight, start_percent=start, end_percent=end, **named, **optional)
        return [node[0], node[1]]

    def sampled(self, prompts, model=None, steps=2):
        plan = dict(seed=3, steps=steps, cfg=4.0, sampler_name="euler", scheduler="simple", denoise=1.0)
        inputs = dict(model=model or self.model, positive=prompts[0], negative=prompts[1], latent_image=self.latent)
        return self.add("KSampler", **inputs, **plan)

    def windowed(self, length=4, overlap=0, schedule="batched", lead_in=False):
        known = self.info["input"]
        inputs = {name: kind[-1].get("default") for group in known.values() for name, kind in group.items()}
        inputs.update(model=self.model, context_length=length, context_overlap=overlap, context_schedule=schedule)
        if "causal_window_fix" in inputs:
            inputs["causal_window_fix"] = lead_in
        return self.add("ContextWindowsManual", **{**inputs, "fuse_method": "flat", "dim": 2})

    def seen(self, after):
        return self.add("VRTestReadSeen", log=self.watched[1], after=after)

    def compare(self, found, wanted):
        return self.add("VRTestCompareLatents", latent=found, reference=wanted)


def scene_with_windows(server, kind):
    scene = Scene(kind, LATENT)
    scene.info = server.object_info("ContextWindowsManual")["ContextWindowsManual"]
    return scene


def value(outputs, node):
    return json.loads(outputs[node]["text"][0])


def levels(numbers, ratio=4, offset=0.0):
    """Brightness of the pixel frames that these latent frames end with."""
    return pytest.approx([number * ratio / 100 + offset for number in numbers], abs=1e-4)


def wan_vace(scene, map, prompts, strength):
    size = dict(width=scene.clip, height=scene.clip, length=scene.pixels, batch_size=1)
    named = dict(positive=prompts[0], negative=prompts[1], vae=scene.vae, control_video=map)
    node = scene.add("WanVaceToVideo", **named, **size, strength=strength)
    return [node[0], node[1]]


def test_three_maps_in_one_graph_are_three_native_vace_contexts(server):
    scene = Scene("vace")
    maps = [scene.map(offset) for offset in (0.0, 0.2, 0.4)]
    ours, native = None, scene.prompts
    for map, weight in zip(maps, (0.5, 0.2, 0.3)):
        ours, native = scene.stack(map, ours, weight), wan_vace(scene, map, native, weight)
    found, wanted, bare = (scene.sampled(prompts) for prompts in (ours, native, scene.prompts))
    errors = [scene.compare(found, wanted), scene.compare(found, bare)]
    outputs = server.run(scene)
    same, other = (float(outputs[node]["text"][0]) for node in errors)
    assert same < 1e-5 and other > 1e-3


def test_what_the_network_sees_of_two_maps_with_weights_that_sum_to_more_than_one(server):
    scene = Scene("vace")
    prompts = scene.stack(scene.map(0.5), scene.stack(scene.map(), weight=3.0), 1.0)
    outputs = server.run(seen_by(scene, prompts))
    for call in value(outputs, scene.log):
        assert call["shape"][0] == 2  # both prompts in one forward
        assert call["contexts"] == [levels(range(3)), levels(range(3), offset=0.5)]
        assert call["grey"] == [levels([0] * 3, offset=0.5)] * 2 and call["masks"] == [1.0, 1.0]
        assert call["strengths"] == pytest.approx([0.75, 0.25])


def seen_by(scene, prompts, model=None):
    scene.log = scene.seen(scene.sampled(prompts, model))
    return scene


def test_native_vace_contexts_keep_their_place_and_strength(server):
    scene = Scene("vace")
    prompts = scene.stack(scene.map(0.5), wan_vace(scene, scene.map(), scene.prompts, 0.9), 1.0)
    call = value(server.run(seen_by(scene, prompts)), scene.log)[0]
    assert call["contexts"] == [levels(range(3)), levels(range(3), offset=0.5)]
    assert call["strengths"] == pytest.approx([0.9, 1.0])


@pytest.mark.parametrize("schedule, overlap", [("batched", 0), ("standard_static", 2)])
def test_context_windows_see_their_own_frames_of_every_vace_context(server, schedule, overlap):
    """Three windows and a short last one; in the overlapping schedule the last one is moved back instead."""
    scene = scene_with_windows(server, "vace")
    noise = scene.add("VRTestRandomImages", frames=scene.pixels, height=64, width=64, seed=5)
    mask = scene.add("ImageToMask", image=noise, channel="red")
    prompts = scene.stack(scene.map(0.5), scene.stack(scene.map(), weight=0.5), 0.5, weight_mask=mask)
    scene.windows = WINDOWS if schedule == "batched" else [list(range(k, k + 4)) for k in range(0, 12, 2)][:6]
    outputs = server.run(seen_by(scene, prompts, scene.windowed(4, overlap, schedule)))
    whole = Scene("vace", LATENT)
    again = whole.add("VRTestRandomImages", frames=whole.pixels, height=64, width=64, seed=5)
    mask = whole.add("ImageToMask", image=again, channel="red")
    prompts = whole.stack(whole.map(0.5), whole.stack(whole.map(), weight=0.5), 0.5, weight_mask=mask)
    full = value(server.run(seen_by(whole, prompts)), whole.log)[0]["strengths"][1]
    tokens = len(full) // LATENT
    calls = value(outputs, scene.log)
    assert len(calls) == 2 * len(scene.windows)
    for call, window in zip(calls, 2 * scene.windows):
        assert call["shape"][2] == len(window)
        assert call["contexts"] == [levels(window), levels(window, offset=0.5)]
        cut = [full[frame * tokens + site] for frame in window for site in range(tokens)]
        assert call["strengths"][1] == pytest.approx(cut, abs=1e-6)


def test_a_lead_in_frame_of_newer_windows_has_its_own_hint(server):
    scene = scene_with_windows(server, "vace")
    if "causal_window_fix" not in json.dumps(scene.info):
        pytest.skip("this ComfyUI's windows have no lead-in")
    calls = value(server.run(seen_by(scene, scene.stack(scene.map()), scene.windowed(lead_in=True))), scene.log)
    led = [WINDOWS[0], *([window[0] - 1, *window] for window in WINDOWS[1:])]
    assert [call["contexts"][0] for call in calls] == [levels(window) for window in 2 * led]


@pytest.mark.parametrize("kind", ["vace", "fun-2.2", "ltxv"])
def test_windowed_model_shows_each_window_its_own_frames(server, kind):
    """The pack's own windows, which cut a clip of any length at both supported ends."""
    scene = Scene(kind, LATENT)
    plan = dict(window=3 * scene.ratio + 1, overlap=scene.ratio, temporal_ratio=scene.ratio)
    wires = dict(model=scene.model, handover="fused", flow_model="none")
    prompts = scene.stack(scene.map())
    outputs = server.run(seen_by(scene, prompts, scene.add("VideoRealismWindowedModel", **wires, **plan)))
    spans = [list(latent_frames(window, scene.ratio)) for window in plan_windows(scene.pixels, *plan.values())]
    calls = value(outputs, scene.log)
    assert len(spans) > 3 and len(calls) == 2 * len(spans)
    for call, span in zip(calls, 2 * spans):
        if kind == "vace":
            assert call["contexts"] == [levels(span)]
        elif kind == "ltxv":
            assert call["frames"][len(span) :] == levels(span, 8)
        else:
            assert call["concat"][0] == levels(span)


@pytest.mark.parametrize("version", ["fun-2.1", "fun-2.2"])
def test_fun_control_gets_the_map_as_the_native_node_gives_it(server, version):
    scene = Scene(version)
    node = "WanFunControlToVideo" if version == "fun-2.1" else "Wan22FunControlToVideo"
    size = dict(width=64, height=64, length=scene.pixels, batch_size=1)
    named = dict(positive=scene.prompts[0], negative=scene.prompts[1], vae=scene.vae, control_video=scene.map())
    native = scene.add(node, **named, **size)
    ours = scene.stack(scene.map(), weight=2.0)
    found, wanted, bare = (scene.sampled(p) for p in (ours, [native[0], native[1]], scene.prompts))
    errors = [scene.compare(found, wanted), scene.compare(found, bare)]
    outputs = server.run(scene)
    same, other = (float(outputs[node]["text"][0]) for node in errors)
    assert same < 1e-5 and other > 1e-3


def test_fun_control_blends_maps_by_weight_and_cuts_them_to_windows(server):
    scene = scene_with_windows(server, "fun-2.2")
    prompts = scene.stack(scene.map(0.4), scene.stack(scene.map(), weight=3.0), 1.0)
    calls = value(server.run(seen_by(scene, prompts, scene.windowed())), scene.log)
    assert len(calls) == 2 * len(WINDOWS)
    for call, window in zip(calls, 2 * WINDOWS):
        # Wan's latent zero is not its neutral one: weights that sum to 1 blend values.
        assert call["concat"][0] == levels(window, offset=0.1) and call["rest"] == 0


def test_guide_frames_stand_beside_the_clip_clean_and_leave_no_trace_in_its_shape(server):
    scene = scene_with_windows(server, "ltxv")
    prompts = scene.stack(scene.map(0.1), scene.stack(scene.map(), weight=0.5), 0.25)
    sampled = scene.sampled(prompts, scene.windowed())
    scene.log = scene.seen(sampled)
    shape = scene.add("VRTestStatistics", value=sampled)
    outputs = server.run(scene)
    assert value(outputs, shape)["shape"] == [1, 128, LATENT, 8, 8] and value(outputs, shape)["finite"]
    for call, window in zip(value(outputs, scene.log), 2 * WINDOWS):
        count, sites = len(window), 64
        assert call["shape"][2] == count and len(call["frames"]) == 3 * count
        assert call["frames"][count : 2 * count] == levels(window, 8)
        assert call["frames"][2 * count :] == levels(window, 8, 0.1)
        shares = [call["levels"][frame * sites] / call["sigma"] for frame in range(3 * count)]
        assert shares == pytest.approx([1.0] * count + [0.5] * count + [0.75] * count, abs=1e-4)


def test_native_guides_at_full_length_are_what_the_control_gives(server):
    """The newer LTXVAddGuide appends a whole clip; the older one keeps two frames of it and overwrites the clip."""
    calls = {}
    for name in ("ours", "native"):
        scene = Scene("ltxv")
        prompts, latent = scene.prompts, scene.latent
        if name == "ours":
            prompts = scene.stack(scene.map(), weight=0.75)
        else:
            guide = dict(positive=prompts[0], negative=prompts[1], vae=scene.vae, latent=latent, image=scene.map())
            native = scene.add("LTXVAddGuide", frame_idx=0, strength=0.75, **guide)
            prompts, latent = [native[0], native[1]], native[2]
            length = scene.add("VRTestStatistics", value=latent)
        guider = scene.add("CFGGuider", model=scene.model, positive=prompts[0], negative=prompts[1], cfg=3.0)
        sigmas = scene.add("BasicScheduler", model=scene.model, scheduler="simple", steps=2, denoise=1.0)
        inputs = dict(noise=scene.add("RandomNoise", noise_seed=5), guider=guider, sigmas=sigmas, latent_image=latent)
        log = scene.seen(scene.add("SamplerCustomAdvanced", sampler=ask_euler(scene), **inputs))
        outputs = server.run(scene)
        calls[name] = value(outputs, log)[0]
    if value(outputs, length)["shape"][2] != 6:
        pytest.skip("this ComfyUI's LTXVAddGuide cannot append a clip")
    assert calls["ours"]["levels"] == pytest.approx(calls["native"]["levels"], abs=1e-6)
    assert len(calls["ours"]["places"]) == 1 and calls["ours"]["places"] == calls["native"]["places"]
    assert calls["ours"]["frames"][3:] == levels(range(3), 8)


def ask_euler(scene):
    return scene.add("KSamplerSelect", sampler_name="euler")


@pytest.mark.parametrize("kind", KINDS)
def test_range_mask_and_weight_zero(server, kind):
    scene = Scene(kind)
    mask = scene.add("SolidMask", value=0.0, width=scene.clip, height=scene.clip)
    left = scene.add("MaskComposite", destination=mask, source=half(scene), x=0, y=0, operation="add")
    bare, full = scene.sampled(scene.prompts), scene.sampled(scene.stack(scene.map()))
    off = scene.sampled(scene.stack(scene.map(), weight_mask=mask))
    late = scene.sampled(scene.stack(scene.map(), start=0.0, end=0.0))
    halved = scene.sampled(scene.stack(scene.map(), weight_mask=left))
    errors = [scene.compare(a, b) for a, b in ((off, bare), (full, bare), (halved, bare), (halved, full), (late, full))]
    outputs = server.run(scene)
    same, *differ = (float(outputs[node]["text"][0]) for node in errors)
    assert same < 1e-6 and min(differ) > 1e-6


def half(scene):
    return scene.add("SolidMask", value=1.0, width=scene.clip // 2, height=scene.clip)


def test_a_control_out_of_its_range_counts_nothing(server):
    """As strong as a weight of 0: the network's own blocks alone."""
    scene = Scene("vace")
    rest = seen_by(scene, scene.stack(scene.map(), start=0.9, end=1.0))
    assert [call["strengths"] for call in value(server.run(rest), scene.log)] == [[0.0], [0.0]]


@pytest.mark.parametrize("kind", KINDS)
def test_the_native_apply_node_takes_it_too(server, kind):
    scene = Scene(kind)
    prompts = scene.prompts
    named = dict(positive=prompts[0], negative=prompts[1], control_net=scene.control, image=scene.map(), vae=scene.vae)
    native = scene.add("ControlNetApplyAdvanced", **named, strength=0.5, start_percent=0.0, end_percent=1.0)
    found, wanted = scene.sampled([native[0], native[1]]), scene.sampled(scene.stack(scene.map(), weight=0.5))
    error = scene.compare(found, wanted)
    assert float(server.run(scene)[error]["text"][0]) < 1e-6


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


def test_a_model_without_a_control_input_is_named(server):
    graph = Graph()
    model = graph.add("VRTestTinyWan", seed=1, text_dim=32)
    graph.add("PreviewAny", source=graph.add("VideoRealismModelControl", model=model))
    with pytest.raises(RunError, match=r"This model \(WAN21\) has no control input of its own: connect a Wan VACE"):
        server.run(graph)


def test_the_control_of_another_model_and_a_missing_vae_are_named(server):
    scene = Scene("vace")
    wan = scene.add("VRTestTinyWan", seed=1, text_dim=32)
    scene.sampled(scene.stack(scene.map()), model=wan)
    scene.add("VRTestStatistics", value=scene.sampled(scene.stack(scene.map()), model=wan))
    with pytest.raises(RunError, match="the model that samples has no control input of its own"):
        server.run(scene)
    scene = Scene("vace")
    named = dict(positive=scene.prompts[0], negative=scene.prompts[1], control_net=scene.control, map=scene.map())
    node = scene.add(STACK, weight=1.0, start_percent=0.0, end_percent=1.0, **named)
    scene.add("VRTestStatistics", value=scene.sampled([node[0], node[1]]))
    with pytest.raises(RunError, match="connect the model's VAE to the vae input"):
        server.run(scene)


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_frame_stands_for_all_of_them_in_windows_and_in_clips_of_two_lengths(server, kind):
    scene = scene_with_windows(server, kind)
    still = scene.add("VRTestFlatImages", frames=1, height=scene.clip, width=scene.clip, channels=3, value=0.25)
    whole = scene.add("RepeatImageBatch", image=still, amount=scene.pixels)
    windowed, one, all_of_it = scene.windowed(), scene.stack(still), scene.stack(whole)
    pairs = [(scene.sampled(one, model), scene.sampled(all_of_it, model)) for model in (windowed, None)]
    shape = {**KINDS[kind][2], "frames": 2, "height": 8, "width": 8, "batch": 1}
    long, scene.latent = scene.latent, scene.add("VRTestRandomLatent", seed=7, scale=1.0, **shape)
    short = scene.sampled(one)
    pairs.append(
        (short, scene.sampled(scene.stack(scene.add("RepeatImageBatch", image=still, amount=scene.ratio + 1))))
    )
    errors = [scene.compare(found, wanted) for found, wanted in pairs]
    outputs = server.run(scene, timeout=300)
    assert long != scene.latent and max(float(outputs[node]["text"][0]) for node in errors) < 1e-6


@pytest.mark.parametrize("kind", ["vace", "fun-2.1"])
def test_map_and_mask_of_another_shape_are_cut_alike(server, kind):
    """Both twice as wide as the clip: the middle is taken, so a mask white outside of it leaves nothing."""
    scene = Scene(kind)
    wide = dict(width=2 * scene.clip, height=scene.clip)
    image = scene.add("VRTestRandomImages", frames=scene.pixels, seed=4, **wide)
    white = scene.add("SolidMask", value=1.0, **wide)
    middle = scene.add("SolidMask", value=0.0, width=scene.clip, height=scene.clip)
    placed = dict(destination=white, source=middle, x=scene.clip // 2, y=0, operation="multiply")
    outside = scene.add("MaskComposite", **placed)
    off = scene.sampled(scene.stack(image, weight_mask=outside))
    error = scene.compare(off, scene.sampled(scene.prompts))
    shown = scene.compare(scene.sampled(scene.stack(image)), off)
    outputs = server.run(scene)
    if kind == "fun-2.1":
        assert float(outputs[error]["text"][0]) < 1e-6
    assert float(outputs[shown]["text"][0]) > 1e-4


def test_a_map_of_another_length_is_named(server):
    scene = Scene("vace")
    scene.add("VRTestStatistics", value=scene.sampled(scene.stack(scene.map(frames=5))))
    with pytest.raises(RunError, match="map has 5 frames and the latent stands for 9"):
        server.run(scene)
