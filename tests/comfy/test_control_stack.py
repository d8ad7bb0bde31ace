"""ControlNet Condition Stack against the rule of the paper, a control known in closed form, and native sampling."""

import json

import pytest
import torch
from comfy_server import RunError
from stack_scene import STACK, STRUCTURE, Scene, half_mask, same, tensors, value


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


def test_the_inversion_output_without_its_input_runs_nothing(server):
    scene = Scene()
    positive = scene.read(scene.stack()[0])
    inversion = scene.read(scene.node[2])
    outputs = server.run(scene)
    assert positive in outputs and inversion not in outputs
