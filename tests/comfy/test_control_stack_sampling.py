"""ControlNet Condition Stack in native sampling: acts as native controls do, in one forward, and changes no input."""

import copy

import pytest
from comfy_server import RunError
from stack_scene import Scene, half_mask, value


def test_context_windows_in_native_sampling(server):
    """An image model treats every frame by itself, so windows over a clip must change nothing."""
    scene = Scene(frames=6, control="VRTestTinyControlNet")
    noise = scene.map(7, size=64)
    mask = scene.add("ImageToMask", image=noise, channel="red")
    prompts = scene.stack(scene.stack(map=scene.map(0, size=64)), scene.map(1, size=64), 1.0, weight_mask=mask)
    node = "ContextWindowsManual"
    known = server.object_info(node)[node]["input"]
    inputs = {name: kind[-1].get("default") for group in known.values() for name, kind in group.items()}
    inputs.update(model=scene.model, context_length=4, context_overlap=2, context_schedule="standard_static")
    model = scene.add(node, **{**inputs, "fuse_method": "pyramid", "dim": 0})
    bare = copy.copy(scene)
    bare.add("VRTestStatistics", value=bare.sample(scene.prompts, model, steps=3))
    try:
        server.run(bare)
    except RunError:
        pytest.skip("this ComfyUI cannot window an image batch, with or without controls")
    found = [scene.sample(prompts, model, steps=3), scene.sample(prompts, steps=3)]
    compared = scene.add("VRTestCompareLatents", latent=found[0], reference=found[1])
    assert float(server.run(scene)[compared]["text"][0]) < 1e-5


def test_native_sampling_sees_the_stack_as_native_controls(server):
    """Two controls of weight 0.5 are two native ones of strength 0.5; one of 3 is one of 1; start and end alike."""
    scene = Scene(control="VRTestTinyControlNet")
    first, second = scene.map(0, size=64), scene.map(1, size=64)
    ranges = [(0.0, 1.0), (0.0, 0.4), (0.5, 1.0)]
    pairs = []
    for start, end in ranges:
        ours = scene.stack(scene.stack(None, first, 0.5, start, end), second, 0.5)
        native = scene.native(scene.native(scene.prompts, first, 0.5, start, end), second, 0.5)
        pairs.append((scene.sample(ours, steps=4), scene.sample(native, steps=4)))
    pairs.append((scene.sample(scene.stack(None, first, 3.0)), scene.sample(scene.native(scene.prompts, first, 1.0))))
    errors = [scene.add("VRTestCompareLatents", latent=ours, reference=native) for ours, native in pairs]
    differences = [
        scene.add("VRTestCompareLatents", latent=a[0], reference=b[0])
        for a, b in ((pairs[0], pairs[1]), (pairs[1], pairs[2]))
    ]
    outputs = server.run(scene)
    assert max(float(outputs[node]["text"][0]) for node in errors) < 1e-6
    assert min(float(outputs[node]["text"][0]) for node in differences) > 1e-4


def test_masks_in_native_sampling(server):
    scene = Scene(control="VRTestTinyControlNet")
    image = scene.map(0, size=64)
    masks = [scene.add("SolidMask", value=v, width=64, height=64) for v in (1.0, 0.0, 0.5)]
    ones, zeros, grey = (scene.sample(scene.stack(map=image, weight_mask=mask)) for mask in masks)
    half = scene.sample(scene.stack(map=image, weight_mask=half_mask(scene, 64)))
    on, off = (scene.sample(prompts) for prompts in (scene.native(scene.prompts, image, 1.0), scene.prompts))
    weak = scene.sample(scene.native(scene.prompts, image, 0.5))
    pairs = [(ones, on), (zeros, off), (grey, weak), (half, on), (half, off)]
    compared = [scene.add("VRTestCompareLatents", latent=a, reference=b) for a, b in pairs]
    outputs = server.run(scene)
    same_one, same_off, same_weak, unlike_on, unlike_off = (float(outputs[node]["text"][0]) for node in compared)
    assert max(same_one, same_off, same_weak) < 1e-6 and min(unlike_on, unlike_off) > 1e-4


def test_inputs_stay_as_they_were_and_a_second_run_gives_the_same(server):
    scene = Scene(control="VRTestTinyControlNet")
    image, mask = scene.map(0, size=64), half_mask(scene, 64)
    first = scene.stack(None, image, 1.0, weight_mask=mask)
    before = scene.add("VRTestControlObjects", conditioning=first[0])
    bare = scene.add("VRTestControlObjects", conditioning=scene.prompts[0])
    low = scene.sample(first)
    outputs = server.run(scene)
    chain, statistics = value(outputs, before), []
    for round in range(2):
        again = copy.copy(scene)
        second = again.stack(first, again.map(1 + round, size=64), 1.0)
        sampled = again.sample(second)
        after = again.add("VRTestControlObjects", conditioning=first[0], after=sampled)
        own = again.add("VRTestControlObjects", conditioning=second[0], after=sampled)
        relow = again.add("VRTestRandomLatent", batch=2)
        redone = again.add("KSampler", **{**again[low]["inputs"], "latent_image": relow[0]})
        statistics.append(again.add("VRTestCompareLatents", latent=redone, reference=low))
        outputs = server.run(again)
        assert value(outputs, after) == chain and value(outputs, bare) == []
        made = value(outputs, own)
        assert [c["strength"] for c in made] == [1.0, 0.5] and not {c["inner"] for c in made} & {chain[0]["inner"]}
        assert made[1]["hint"] == chain[0]["hint"] and not any(c["left_over"] for c in made)
        assert float(outputs[statistics[-1]]["text"][0]) < 1e-6


def test_all_prompts_run_in_one_forward(server):
    scene = Scene(control="VRTestTinyControlNet")
    mask = half_mask(scene, 64)
    first = scene.stack(scene.prompts, scene.map(0, size=64), 1.0, weight_mask=mask)
    prompts = scene.stack(first, scene.map(1, size=64), 0.5)
    logs = [scene.add("VRTestBatchSizes", model=scene.model) for _ in range(2)]
    two = scene.add("VRTestReadBatchSizes", log=logs[0][1], after=scene.sample(prompts, logs[0][0], steps=3))
    cfg = dict(cfg_conds=3.0, cfg_cond2_negative=2.0)
    conds = dict(cond1=prompts[0], cond2=prompts[2], negative=prompts[1])
    guider = scene.add("DualCFGGuider", model=logs[1][0], **conds, **cfg, style="regular")
    noise, sampler = scene.add("RandomNoise", noise_seed=1), scene.add("KSamplerSelect", sampler_name="euler")
    sigmas = scene.add("BasicScheduler", model=scene.model, scheduler="normal", steps=3, denoise=1.0)
    latent = scene.add("VRTestRandomLatent", batch=2)
    inputs = dict(noise=noise, guider=guider, sampler=sampler, sigmas=sigmas, latent_image=latent)
    sampled = scene.add("SamplerCustomAdvanced", **inputs)
    three = scene.add("VRTestReadBatchSizes", log=logs[1][1], after=sampled)
    outputs = server.run(scene)
    assert value(outputs, two) == [4] * 3 and value(outputs, three) == [6] * 3  # two frames for each prompt


def test_a_map_of_another_length_than_the_latent_is_named(server):
    scene = Scene(frames=3, control="VRTestTinyControlNet")
    scene.add("VRTestStatistics", value=scene.sample(scene.stack(map=scene.map(0, frames=2, size=64))))
    with pytest.raises(RunError, match="has 2 frames, but the latent 3: give the map input"):
        server.run(scene)
    scene = Scene(frames=3, control="VRTestTinyControlNet")
    found = scene.add("VRTestStatistics", value=scene.sample(scene.stack(map=scene.map(0, frames=1, size=64))))
    assert value(server.run(scene), found)["finite"]


def test_branches_of_the_embedded_model(server):
    """They weigh by their own mask, token by token, under the same rule and in one forward."""
    scene = Scene(frames=5)
    loaded = scene.add("VideoRealismLoadVideoModel", model="embedded", precision="fp32")
    branches = [scene.add("VideoRealismLoadControlBranch", model="embedded", modality=m) for m in ("edge", "depth")]
    maps = [scene.map(seed, size=64) for seed in (0, 1)]
    prompts = [scene.add("CLIPTextEncode", clip=loaded[1], text=text)[0] for text in ("a street", "a game")]
    latent = scene.add("VAEEncode", pixels=scene.map(2, size=64), vae=loaded[2])

    def sampled(prompts, model=loaded[0]):
        plan = dict(seed=1, steps=2, cfg=3.0, sampler_name="euler", scheduler="karras", denoise=0.5)
        inputs = dict(model=model, positive=prompts[0], negative=prompts[1], latent_image=latent)
        return scene.add("KSampler", **inputs, **plan)

    def apply(kind, weights, **optional):
        carried = prompts
        for scene.control, map, weight in zip(branches, maps, weights):
            carried = kind(carried, map, weight, **optional)
        return carried

    noise = scene.map(7, size=64)
    masks = [scene.add("SolidMask", value=v, width=64, height=64) for v in (1.0, 0.0)]
    masks += [half_mask(scene, 64), scene.add("ImageToMask", image=noise, channel="red")]
    on, off = sampled(apply(scene.native, [0.5, 0.5])), sampled(prompts)
    ones, zeros, half, grey = (sampled(apply(scene.stack, [1.0, 1.0], weight_mask=mask)) for mask in masks)
    log = scene.add("VRTestBatchSizes", model=loaded[0])
    last = apply(scene.stack, [1.0, 1.0], weight_mask=masks[3])
    sizes = scene.add("VRTestReadBatchSizes", log=log[1], after=sampled(last, log[0]))
    pairs = [(sampled(apply(scene.stack, [1.0, 1.0])), on), (ones, on), (zeros, off)]
    pairs += [(on, off), (half, on), (half, off), (grey, half), (grey, off)]
    compared = [scene.add("VRTestCompareLatents", latent=a, reference=b) for a, b in pairs]
    outputs = server.run(scene)
    errors = [float(outputs[node]["text"][0]) for node in compared]
    assert max(errors[:3]) < 1e-6 and min(errors[3:]) > 1e-4
    assert value(outputs, sizes) == [2, 2]
    scene.stack(prompts, scene.map(0, frames=4, size=64))
    scene.add("VRTestStatistics", value=sampled([scene.node[0], scene.node[1]]))
    with pytest.raises(RunError, match="map has 4 frames"):
        server.run(scene)
