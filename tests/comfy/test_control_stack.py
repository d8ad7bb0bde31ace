"""ControlNet Condition Stack against the rule of the paper, a control known in closed form, and native sampling."""

import copy
import json

import pytest
import torch
from comfy_server import Graph, RunError

STACK = "VideoRealismControlNetStack"
DEFAULTS = {
    "VRTestTinySD15": dict(seed=0, text_dim=32, prediction="eps"),
    "VRTestTinyControlNet": dict(seed=0, text_dim=32),
    "VRTestRandomConditioning": dict(dim=32, tokens=8, text=True),
    "VRTestRandomLatent": dict(channels=4, frames=0, height=8, width=8, seed=0, scale=1.0),
    "VRTestReadControl": dict(size=4, branches=2, percent=0.5, windows=""),
}

STRUCTURE = dict(edge_low=100.0, edge_high=200.0, depth_model="none", segmentation_model="none")


class Scene(Graph):
    """A graph with a tiny SD 1.5 model, three prompts of one length, and the stack node at hand."""

    def __init__(self, frames=2, control="VRTestLinearControl"):
        super().__init__()
        self.frames = frames
        self.model = self.add("VRTestTinySD15")
        self.prompts = [self.add("VRTestRandomConditioning", seed=seed)[0] for seed in range(3)]
        self.control = self.add(control)

    def add(self, class_type, **inputs):
        return super().add(class_type, **{**DEFAULTS.get(class_type, {}), **inputs})

    def map(self, seed=0, frames=None, size=32):
        return self.add("VRTestRandomImages", frames=frames or self.frames, height=size, width=size, seed=seed)

    def stack(self, prompts=None, map=None, weight=1.0, start=0.0, end=1.0, **optional):
        """The new positive, negative and, where there were three, inversion."""
        prompts = prompts or self.prompts[:2]
        named = dict(zip(("positive", "negative", "inversion"), prompts))
        percents = dict(start_percent=start, end_percent=end)
        named.update(control_net=self.control, map=map or self.map())
        self.node = self.add(STACK, weight=weight, **percents, **named, **optional)
        return [self.node[i] for i in range(len(prompts))]

    def native(self, prompts, map, strength, start=0.0, end=1.0):
        inputs = dict(positive=prompts[0], negative=prompts[1], control_net=self.control, image=map, strength=strength)
        node = self.add("ControlNetApplyAdvanced", start_percent=start, end_percent=end, **inputs)
        return [node[0], node[1]]

    def read(self, conditioning, **inputs):
        return self.add("VRTestReadControl", model=self.model, conditioning=conditioning, frames=self.frames, **inputs)

    def sample(self, prompts, model=None, steps=2):
        latent = self.add("VRTestRandomLatent", batch=self.frames)
        plan = dict(seed=1, steps=steps, cfg=3.0, sampler_name="euler", scheduler="normal", denoise=1.0)
        inputs = dict(model=model or self.model, positive=prompts[0], negative=prompts[1], latent_image=latent)
        return self.add("KSampler", **inputs, **plan)


def value(outputs, node):
    return json.loads(outputs[node]["text"][0])


def tensors(outputs, node, window=0):
    """{"input": (B, h, w), "middle": (B, h / 2, w / 2), "output": (B, h, w)} of the control known in closed form."""
    found = value(outputs, node)[window]
    fine, middle, tokens = (torch.tensor(found[key][-1]) for key in ("input", "middle", "output"))
    assert found["output"][0] is None
    return {"input": fine[:, 0], "middle": middle[:, 0], "output": tokens.unflatten(1, fine.shape[-2:])[..., 0]}


def same(found, wanted, factor=1.0):
    return all(torch.allclose(found[key], wanted[key] * factor, atol=1e-6) for key in wanted)


def half_mask(scene, size=32):
    """White on the left half of one frame."""
    black = scene.add("SolidMask", value=0.0, width=size, height=size)
    white = scene.add("SolidMask", value=1.0, width=size // 2, height=size)
    return scene.add("MaskComposite", destination=black, source=white, x=0, y=0, operation="add")


def test_three_weights_follow_the_rule_of_the_paper(server):
    scene, prompts, weights = Scene(), None, (1.0, 0.5, 2.0)
    for seed, weight in enumerate(weights):
        prompts = scene.stack(prompts, scene.map(seed), weight)
    alone = [scene.read(scene.native(scene.prompts, scene.map(seed), 1.0)[0]) for seed in range(3)]
    chain, total = scene.add("VRTestControlObjects", conditioning=prompts[0]), scene.read(prompts[0])
    outputs = server.run(scene)
    effective = [weight / 3.5 for weight in weights]
    assert [c["strength"] for c in value(outputs, chain)] == pytest.approx(effective[::-1])
    parts = [tensors(outputs, node) for node in alone]
    wanted = {key: sum(w * part[key] for w, part in zip(effective, parts)) for key in parts[0]}
    assert same(tensors(outputs, total), wanted)
    text = outputs[scene.node]["text"][0]
    assert "weight 1 -> 0.286" in text and "weight 0.5 -> 0.143" in text and "weight 2 -> 0.571" in text


def test_weights_that_sum_to_less_than_one_stay(server):
    scene = Scene()
    prompts = scene.stack(scene.stack(weight=0.25), scene.map(1), 0.5)
    chain = scene.add("VRTestControlObjects", conditioning=prompts[1])
    assert [c["strength"] for c in value(server.run(scene), chain)] == [0.5, 0.25]


def test_controls_of_other_nodes_keep_their_strength(server):
    scene = Scene()
    below = scene.native(scene.prompts, scene.map(0), 3.0)
    between = scene.native(scene.stack(below, scene.map(1), 1.0), scene.map(2), 5.0)
    prompts = scene.stack(between, scene.map(3), 1.0)
    chains = [scene.add("VRTestControlObjects", conditioning=c[0]) for c in (below, between, prompts)]
    before, middle, after = (value(server.run(scene), node) for node in chains)
    assert [c["strength"] for c in after] == [0.5, 5.0, 0.5, 3.0]
    assert [c["stacked"] for c in after] == [True, False, True, False]
    assert [c["hint"] for c in after[1:]] == [c["hint"] for c in middle] and after[3] == before[0]


def test_masks_weigh_every_output_site(server):
    scene = Scene()
    plain = scene.read(scene.stack()[0])
    masks = {name: scene.add("SolidMask", value=v, width=32, height=32) for name, v in (("ones", 1.0), ("zeros", 0.0))}
    grey = scene.read(scene.stack(weight_mask=scene.add("SolidMask", value=0.25, width=16, height=16))[0])
    reads = {name: scene.read(scene.stack(weight_mask=mask)[0]) for name, mask in masks.items()}
    half = scene.read(scene.stack(weight_mask=half_mask(scene))[0])
    noise = scene.map(7)
    per_frame = scene.read(scene.stack(weight_mask=scene.add("ImageToMask", image=noise, channel="red"))[0])
    red = scene.read(scene.native(scene.prompts, scene.add("MaskToImage", mask=[per_frame_mask(scene), 0]), 1.0)[0])
    outputs = server.run(scene)
    wanted = tensors(outputs, plain)
    assert wanted["input"].shape == (4, 4, 4) and wanted["input"].min() > 0.1
    assert same(tensors(outputs, reads["ones"]), wanted) and value(outputs, reads["zeros"]) == []
    assert same(tensors(outputs, grey), wanted, 0.25)
    found = tensors(outputs, half)
    for key, plane in found.items():
        width = plane.shape[-1] // 2
        assert torch.allclose(plane[..., :width], wanted[key][..., :width], atol=1e-6) and not plane[..., width:].any()
    # Of random masks: the output's own sites are averages of the mask, and each frame of each branch has its own.
    found, mask = tensors(outputs, per_frame), tensors(outputs, red)
    assert same(found, {key: wanted[key] * mask[key] for key in wanted})


def per_frame_mask(scene):
    return next(key for key, node in scene.items() if node["class_type"] == "ImageToMask")


def test_controls_on_two_halves_do_not_share_their_weight(server):
    scene = Scene()
    left = half_mask(scene)
    right = scene.add("InvertMask", mask=left)
    first, second = scene.map(0), scene.map(1)
    prompts = scene.stack(scene.stack(None, first, 1.0, weight_mask=left), second, 1.0, weight_mask=right)
    alone = [scene.read(scene.native(scene.prompts, map, 1.0)[0]) for map in (first, second)]
    both = scene.read(prompts[0])
    outputs = server.run(scene)
    found, (one, two) = tensors(outputs, both), (tensors(outputs, node) for node in alone)
    for key, plane in found.items():
        width = plane.shape[-1] // 2
        wanted = torch.cat([one[key][..., :width], two[key][..., width:]], -1)
        assert torch.allclose(plane, wanted, atol=1e-6)
    assert outputs[scene.node]["text"][0].count("weight 1 -> 1 where highest (0.5 on average)") == 2


def test_a_masked_control_lowers_the_others_only_where_it_acts(server):
    scene = Scene()
    first, second = scene.map(0), scene.map(1)
    prompts = scene.stack(scene.stack(None, first, 1.0), second, 1.0, weight_mask=half_mask(scene))
    alone = [scene.read(scene.native(scene.prompts, map, 1.0)[0]) for map in (first, second)]
    both = scene.read(prompts[0])
    outputs = server.run(scene)
    found, one, two = (tensors(outputs, node)["input"] for node in (both, *alone))
    wanted = torch.cat([(one[..., :2] + two[..., :2]) / 2, one[..., 2:]], -1)
    assert torch.allclose(found, wanted, atol=1e-6)


def test_context_windows_see_their_own_frames_of_map_and_mask(server):
    scene = Scene(frames=5)
    noise = scene.map(7)
    mask = scene.add("ImageToMask", image=noise, channel="red")
    windows = json.dumps([[0, 1, 2], [2, 3, 4], [0, 1, 2], [4]])
    prompts = scene.stack(scene.stack(weight=0.5), scene.map(1), 0.5, weight_mask=mask)
    cut, whole = scene.read(prompts[0], windows=windows), scene.read(prompts[0])
    outputs = server.run(scene)
    wanted = tensors(outputs, whole)
    for number, window in enumerate(json.loads(windows)):
        items = window + [5 + frame for frame in window]
        assert same(tensors(outputs, cut, number), {key: plane[items] for key, plane in wanted.items()})


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


def test_range_of_each_control(server):
    scene = Scene()
    early, late = scene.map(0), scene.map(1)
    prompts = scene.stack(scene.stack(None, early, 0.5, 0.0, 0.4), late, 0.5, 0.6, 1.0)
    reads = [scene.read(prompts[0], percent=percent) for percent in (0.2, 0.5, 0.8)]
    alone = [scene.read(scene.native(scene.prompts, map, 0.5)[0]) for map in (early, late)]
    outputs = server.run(scene)
    assert same(tensors(outputs, reads[0]), tensors(outputs, alone[0]))
    assert value(outputs, reads[1]) == [None]
    assert same(tensors(outputs, reads[2]), tensors(outputs, alone[1]))


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


def test_prompts_with_other_controls_are_said_to_need_more_forwards(server):
    scene = Scene()
    positive, _ = scene.stack()
    scene.read(scene.stack([positive, scene.prompts[1]], scene.map(1), 0.5)[0])
    text = server.run(scene)[scene.node]["text"][0]
    assert "positive: 2 controls" in text and "negative: 1 control" in text and "more than one forward" in text


def test_weight_zero_adds_nothing(server):
    scene = Scene()
    first = scene.stack(weight=2.0)
    chains = [scene.add("VRTestControlObjects", conditioning=c[0]) for c in (first, scene.stack(first, weight=0.0))]
    chains.append(scene.add("VRTestControlObjects", conditioning=scene.stack(weight=0.0)[0]))
    outputs = server.run(scene)
    assert value(outputs, chains[0]) == value(outputs, chains[1]) and value(outputs, chains[2]) == []


def test_an_empty_map_adds_nothing_and_says_so(server):
    scene = Scene()
    first = scene.stack(weight=2.0)
    empty = scene.add("VideoRealismStructureMaps", frames=scene.map(), **STRUCTURE)[1]  # depth, without a model
    chains = [scene.add("VRTestControlObjects", conditioning=c[0]) for c in (first, scene.stack(first, map=empty))]
    outputs = server.run(scene)
    assert value(outputs, chains[0]) == value(outputs, chains[1]) != []
    assert "map is empty" in outputs[scene.node]["text"][0]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda s: s.stack(start=0.6, end=0.5), "start_percent is 0.6 and end_percent 0.5"),
        (lambda s: s.stack(weight_mask=s.add("ImageToMask", image=s.map(1, frames=3), channel="red")),
         "weight_mask has 3 frames and the map 2"),
        (lambda s: s.stack(map=s.add("JoinImageWithAlpha", image=s.map(1), alpha=s.add("SolidMask", value=0.5, width=32,
         height=32))), "The map has 4 channels"),
    ],
)  # fmt: skip
def test_wrong_inputs_are_named_at_the_node(server, build, message):
    scene = Scene()
    prompts = build(scene)
    scene.read(prompts[0])
    with pytest.raises(RunError) as error:
        server.run(scene)
    assert error.value.node_type == STACK and message in error.value.exception_message


def test_a_map_of_another_length_than_the_latent_is_named(server):
    scene = Scene(frames=3, control="VRTestTinyControlNet")
    scene.add("VRTestStatistics", value=scene.sample(scene.stack(map=scene.map(0, frames=2, size=64))))
    with pytest.raises(RunError, match="has 2 frames, but the latent 3: give the map input"):
        server.run(scene)
    scene = Scene(frames=3, control="VRTestTinyControlNet")
    found = scene.add("VRTestStatistics", value=scene.sample(scene.stack(map=scene.map(0, frames=1, size=64))))
    assert value(server.run(scene), found)["finite"]


def test_the_inversion_output_without_its_input_runs_nothing(server):
    scene = Scene()
    positive = scene.read(scene.stack()[0])
    inversion = scene.read(scene.node[2])
    outputs = server.run(scene)
    assert positive in outputs and inversion not in outputs


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
