"""Model Control on tiny Wan VACE, Fun-Control and LTX-Video, against native conditioning; frame numbers are hints."""

import json

import pytest
from control_scene import KINDS, LATENT, WINDOWS, Scene, levels, scene_with_windows, seen_by, value

from pipeline_core.longvideo.plan import latent_frames, plan_windows


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
