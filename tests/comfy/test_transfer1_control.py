"""Cosmos-Transfer1 in a real ComfyUI on tiny random weights in the released names, against a plain transcription of it.

The .pt files go through the shipped converter; the base runs in ComfyUI's own Cosmos class.
"""

import json
import math

import pytest
import torch
from embedded_scene import SIGMAS, draw, values
from shipped_graphs import api_graph, missing_models, node_of, put_input_files
from stand_ins import tiny_transfer1
from transfer1_plain import (
    base_weights,
    branch_hints,
    control_weights,
    denoised,
    normalised,
    token_map,
    wide,
)
from transfer1_scene import (
    BASE,
    CELLS,
    FRAMES,
    SEEDS,
    SIZE,
    STRENGTHS,
    Transfer1,
    answers,
    install,
    soft_mask,
    transcribed,
    worst,
)


@pytest.fixture(scope="module", autouse=True)
def files(server, tmp_path_factory):
    install(server, tmp_path_factory.mktemp("released"))


def test_the_hints_of_a_branch_are_the_published_ones(server):
    scene = Transfer1(server)
    x, hint = draw(5, 2, 17, *CELLS), 0.5 * draw(6, 1, 16, *CELLS)
    latents = {"x": scene.tensor(x)[1], "hint": scene.tensor(hint)[1]}
    node = scene.add(
        "VRTestTransfer1Hints", control_net=scene.branch("edge"), text=scene.prompts[0], time=-0.7, fps=10.0, **latents
    )
    outputs = server.run(scene)
    text = values(outputs, scene.texts[0]).double().expand(2, -1, -1)
    time = torch.full((2,), -0.7, dtype=torch.float64)
    wanted = branch_hints(wide(control_weights(SEEDS["edge"])), x.double(), time, text, hint.double(), fps=10.0)
    found = values(outputs, node).permute(0, 4, 1, 2, 3, 5)
    assert found.shape == (3, 2, 3, 2, 3, 24)
    assert worst(found, wanted) < 1e-5
    assert all(float(value.std()) > 0.1 for value in wanted)


@pytest.mark.parametrize("cfg", [1.0, 3.0])
@pytest.mark.parametrize("names", [("edge",), ("edge", "depth", "seg")])
def test_controlled_predictions_are_the_published_ones(server, names, cfg):
    scene = Transfer1(server)
    for name in names:
        scene.apply(name, STRENGTHS[name])
    found, sizes, texts, hints = answers(scene, cfg, names)
    assert sizes == [1 if cfg == 1 else 2] * len(SIGMAS)  # both prompts, all controls in one forward
    weights = normalised([torch.tensor(STRENGTHS[name], dtype=torch.float64) for name in names])
    controls = [(name, hints[name], weight) for name, weight in zip(names, weights)]
    assert worst(found, transcribed(controls, texts, cfg)) < 1e-5
    # Far from what the base says alone, and from what the strengths would do without the rule.
    assert worst(found, transcribed([], texts, cfg)) > 0.02
    if len(names) > 1:
        given = [(name, hints[name], STRENGTHS[name]) for name in names]
        assert worst(found, transcribed(given, texts, cfg)) > 0.02


@pytest.mark.parametrize("cfg", [1.0, 3.0])
def test_space_time_weights_are_normalised_at_every_site(server, cfg):
    masks = {"edge": soft_mask(21), "depth": None, "seg": soft_mask(22)}
    scene = Transfer1(server)
    for name, mask in masks.items():
        scene.stack(name, STRENGTHS[name], mask)
    found, sizes, texts, hints = answers(scene, cfg, masks)
    assert sizes == [1 if cfg == 1 else 2] * len(SIGMAS)
    maps = [STRENGTHS[n] * (torch.ones(FRAMES, *SIZE) if m is None else m).double() for n, m in masks.items()]
    weights = [token_map(weight, *CELLS) for weight in normalised(maps)]
    controls = [(name, hints[name], weight) for name, weight in zip(masks, weights)]
    assert worst(found, transcribed(controls, texts, cfg)) < 1e-5
    evened = [(name, hint, float(weight.mean())) for name, hint, weight in controls]
    assert worst(found, transcribed(evened, texts, cfg)) > 1e-3


def test_a_stack_without_masks_is_the_native_chain(server):
    native, ours = Transfer1(server), Transfer1(server)
    for name, strength in STRENGTHS.items():
        native.apply(name, strength)
        ours.stack(name, strength)
    assert worst(answers(ours, 3.0)[0], answers(native, 3.0)[0]) < 1e-6


def test_frames_per_second_reach_base_and_branch(server):
    scene = Transfer1(server)
    scene.apply("edge", 1.0)
    told = scene.add("LTXVConditioning", positive=scene.prompts[0], negative=scene.prompts[1], frame_rate=12.0)
    scene.prompts = [told[0], told[1]]
    found, _, texts, hints = answers(scene, 3.0, ["edge"])
    assert worst(found, transcribed([("edge", hints["edge"], 1.0)], texts, 3.0, fps=12)) < 1e-5
    assert worst(found, transcribed([("edge", hints["edge"], 1.0)], texts, 3.0)) > 1e-4


def test_strength_zero_is_the_base_bit_for_bit(server):
    plain = answers(Transfer1(server), 3.0)[0]
    off, outside, zeroed = Transfer1(server), Transfer1(server), Transfer1(server)
    off.apply("edge", 0.0)
    outside.apply("edge", 1.0, start_percent=0.999, end_percent=1.0)
    zeroed.stack("edge", 0.0)
    for scene in (off, outside, zeroed):
        assert all(torch.equal(a, b) for a, b in zip(answers(scene, 3.0)[0], plain, strict=True))


@pytest.mark.parametrize("dtype, weight_dtype, limit", [("bf16", "default", 0.1), ("fp8", "fp8_e4m3fn", 0.4)])
def test_smaller_weights_stay_near_the_exact_ones(server, dtype, weight_dtype, limit):
    exact, small = Transfer1(server), Transfer1(server, dtype)
    exact.apply("edge", 1.0)
    small.branch = lambda name: Transfer1.branch(small, name, weight_dtype)
    small.apply("edge", 1.0)
    (found, *_), (wanted, *_) = answers(small, 1.0), answers(exact, 1.0)
    assert all(bool(value.isfinite().all()) for value in found)
    assert 1e-4 < worst(found, wanted) < limit


def test_inversion_with_three_controls_comes_back(server):
    scene = Transfer1(server)
    bare = scene.prompts[0]
    for name, strength in STRENGTHS.items():
        scene.stack(name, strength, soft_mask(30) if name == "depth" else None)
    sigmas = scene.add("KarrasScheduler", steps=21, sigma_max=70.0, sigma_min=0.002, rho=7.0)
    latent = scene.tensor(0.5 * draw(9, 1, 16, *CELLS))[1]
    wires = {"model": scene.model, "inversion": scene.prompts[0], "latent": latent, "sigmas": sigmas}
    made = scene.add("VideoRealismDDIMInvert", method="exact", measure_round_trip=True, **wires)
    errors = []
    for text in (scene.prompts[0], bare):
        guider = scene.add("BasicGuider", model=scene.model, conditioning=text)
        wires = {"noise": made[0], "guider": guider, "sampler": made[1], "sigmas": made[2], "latent_image": latent}
        back = scene.add("SamplerCustomAdvanced", **wires)
        errors.append(scene.add("VRTestCompareLatents", latent=back, reference=latent))
    outputs = server.run(scene)
    controlled, uncontrolled = (float(outputs[node]["text"][0]) for node in errors)
    assert controlled < 1e-4
    assert uncontrolled > 1e-2  # the controls were on, both ways


def two_ab(predict, x, sigmas):
    """The release's solver on falling sigmas, and its last call at the last of them."""
    before = step_before = None
    for sigma, target in zip(sigmas, sigmas[1:]):
        clean, h = predict(x, sigma), math.log(sigma / target)
        phi1 = (math.exp(-h) - 1) / -h
        b2 = 0.0 if before is None else (phi1 - 1) / -h / (-step_before / h)
        x = math.exp(-h) * x + h * ((phi1 - b2) * clean + (0 if before is None else b2 * before))
        before, step_before = clean, h
    return predict(x, sigmas[-1])


def test_sampling_as_released_from_noise_to_latent(server):
    """EDM levels, RES 2ab, guidance and three controls through native nodes, against the whole release in float64."""
    scene, steps, cfg = Transfer1(server), 6, 3.0
    for name, strength in STRENGTHS.items():
        scene.apply(name, strength)
    hints = {name: scene.hint(name) for name in STRENGTHS}
    levels = scene.add("KarrasScheduler", steps=steps + 1, sigma_max=70.0, sigma_min=0.002, rho=7.0)
    sampler = scene.add("KSamplerSelect", sampler_name="res_multistep")
    noise = draw(2, 1, 16, *CELLS)
    empty = scene.tensor(torch.zeros(1, 16, *CELLS))[1]
    saved = scene.add("VRTestSaveTensor", value=scene.custom(empty, scene.tensor(noise)[2], levels, sampler, cfg))
    outputs = scene.run(scene)
    texts = [values(outputs, node).double() for node in scene.texts]
    weights = normalised([torch.tensor(value, dtype=torch.float64) for value in STRENGTHS.values()])
    base = wide(base_weights(BASE))
    controls = [
        (wide(control_weights(SEEDS[name])), values(outputs, hints[name]).double(), weight)
        for name, weight in zip(STRENGTHS, weights)
    ]

    def predict(x, sigma):
        conditioned, unconditioned = (denoised(base, controls, x, sigma, text) for text in texts)
        return unconditioned + cfg * (conditioned - unconditioned)

    ends = 70.0 ** (1 / 7), 0.002 ** (1 / 7)
    sigmas = [(ends[0] + i / steps * (ends[1] - ends[0])) ** 7 for i in range(steps + 1)]
    assert worst([values(outputs, saved)], [two_ab(predict, 70 * noise.double(), sigmas)]) < 1e-4


def on_tiny_files(server, graph, frames):
    """Small files under the names in a shipped graph, and its first frames, small; the wires stay."""
    put_input_files(server, graph)
    assert len(missing_models(server, graph)) == 6
    tiny_transfer1(graph, frames)
    graph["result"] = {"class_type": "VRTestStatistics", "inputs": {"value": [node_of(graph, "VAEDecode"), 0]}}
    outputs = server.run(graph, timeout=300)
    result = json.loads(outputs["result"]["text"][0])
    assert result["shape"] == [frames, 64, 96, 3] and result["finite"] and result["std"] > 0
    return outputs


def test_the_shipped_graph_on_tiny_files(server):
    """Maps, stack, inversion, guider, sampler, decode: the shipped wires, with small files under the names in it."""
    graph = api_graph("cosmos_transfer1", quick=True)
    outputs = on_tiny_files(server, graph, FRAMES)
    stacks = [outputs[i]["text"][0] for i, n in graph.items() if n["class_type"] == "VideoRealismControlNetStack"]
    assert "3 controls" in max(stacks, key=len) and "weight 0.5 -> 0.333" in max(stacks, key=len)
    assert "4 steps, sigma 70 to" in outputs[node_of(graph, "VideoRealismDDIMInvert")]["text"][0]


def test_the_shipped_graph_of_a_long_clip_on_tiny_files(server):
    """Three windows of one clip, each inverted with its own part of the maps and handed over to the next."""
    graph = api_graph("cosmos_transfer1_long", quick=True)
    sampler = graph[node_of(graph, "VideoRealismLongVideoSampler")]["inputs"]
    assert (sampler["window"], sampler["overlap"], sampler["temporal_ratio"]) == (121, 9, 8)
    assert graph[node_of(graph, "ImageFromBatch")]["inputs"]["length"] == 3 * 121 - 2 * 9
    sampler.update(window=17, overlap=9)
    taken = graph[node_of(graph, "ImageFromBatch")]["inputs"]
    twice = {"image": taken["image"], "amount": 2}  # the file here has 17 frames
    graph["twice"] = {"class_type": "RepeatImageBatch", "inputs": twice, "_meta": {"title": "twice"}}
    taken["image"] = ["twice", 0]
    report = {"source": [node_of(graph, "VideoRealismLongVideoSampler"), 1]}
    graph["report"] = {"class_type": "PreviewAny", "inputs": report}
    outputs = on_tiny_files(server, graph, 33)
    report = json.loads(outputs["report"]["text"][0])
    assert report["windows"] == [[0, 17], [8, 25], [16, 33]] and report["handover"] == "mean"
    assert [entry["steps"] for entry in report["inversion"]] == [4, 4, 4]


def test_a_control_leaves_no_trace_on_the_model(server):
    """The same MODEL object, first with a control, then without: the second is what it always was."""
    plain = answers(Transfer1(server), 3.0)[0]
    scene = Transfer1(server)
    bare = list(scene.prompts)
    scene.apply("edge", 1.0)
    first = scene.custom(
        scene.tensor(draw(1, 1, 16, *CELLS))[1],
        scene.tensor(draw(2, 1, 16, *CELLS))[2],
        scene.tensor(torch.tensor([1.0, 0.0]))[3],
        scene.add("VRTestAskAtSigmas"),
        3.0,
    )
    scene.add("VRTestStatistics", value=first)
    server.run(scene)
    scene.prompts = bare
    assert all(torch.equal(a, b) for a, b in zip(answers(scene, 3.0)[0], plain, strict=True))


def test_context_windows_get_their_part_of_map_and_mask(server):
    frames, cells = 33, (5, 4, 6)
    map, mask = torch.rand(frames, *SIZE, 3), torch.linspace(0, 1, frames)[:, None, None].expand(-1, *SIZE).contiguous()
    scene = Transfer1(server)
    options = {"vae": scene.vae, "weight": 1.0, "start_percent": 0.0, "end_percent": 1.0}
    wires = dict(zip(("positive", "negative"), scene.prompts), map=scene.tensor(map), weight_mask=scene.mask(mask))
    stack = scene.add("VideoRealismControlNetStack", control_net=scene.branch("edge"), **wires, **options)
    scene.prompts = [stack[0], stack[1]]
    windows = {"context_length": 3, "context_overlap": 1, "context_schedule": "standard_static", "context_stride": 1}
    windows |= {"closed_loop": False, "fuse_method": "flat", "dim": 2}
    newer = {"freenoise": False, "cond_retain_index_list": "", "latent_retain_index_list": ""}
    newer |= {"split_conds_to_windows": False, "causal_window_fix": False}
    known = server.object_info("ContextWindowsManual")["ContextWindowsManual"]["input"]["required"]
    if "split_conds_to_windows" not in known:
        pytest.skip("this ComfyUI cannot cut the base's own condition mask into windows")
    windows |= {name: value for name, value in newer.items() if name in known}
    scene.model = scene.add("ContextWindowsManual", model=scene.model, **windows)[0]
    hint_node = scene.add("VRTestSaveTensor", value=scene.add("VAEEncode", pixels=scene.tensor(map), vae=scene.vae))
    x0, noise = draw(1, 1, 16, *cells), draw(2, 1, 16, *cells)
    found, outputs = scene.predictions(x0, noise, 1.0)[0], scene.outputs
    hint, text = (values(outputs, node).double() for node in (hint_node, scene.texts[0]))
    weight = token_map(mask.double(), *cells)
    base, branch = wide(base_weights(BASE)), wide(control_weights(SEEDS["edge"]))
    wanted = []
    for sigma in torch.tensor(SIGMAS).tolist():
        x = (x0 + torch.tensor(sigma) * noise).double()
        total, count = torch.zeros_like(x), torch.zeros(1, 1, 5, 1, 1)
        for part in ([0, 1, 2], [2, 3, 4]):
            control = branch, hint[:, :, part], weight[part]
            total[:, :, part] += denoised(base, [control], x[:, :, part], sigma, text)
            count[:, :, part] += 1
        wanted.append(total / count)
    assert worst(found, wanted) < 1e-5
