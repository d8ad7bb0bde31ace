"""Model Preset, and the table of families against what ComfyUI itself knows of each model class and VAE."""

import json

import pytest
from comfy_server import Graph, RunError

from pipeline_core.models.families import FAMILIES, control_kind, find_family

CLASSES = {
    "CosmosT2V": "cosmos_transfer1",
    "WAN21_T2V": "wan",
    "WAN21_Vace": "wan_vace",
    "WAN21_FunControl2V": "wan21_fun",
    "WAN22_T2V": "wan_5b",
    "LTXV": "ltxv",
    "SD15": "sd15",
}
# What detection adds to a class's own keys when it reads a file.
READ = {
    "WAN22_T2V": {"in_dim": 48, "out_dim": 48},
    "WAN21_T2V": {"in_dim": 16, "out_dim": 16},
    "WAN21_FunControl2V": {"out_dim": 16},
}


@pytest.fixture(scope="module")
def facts(server):
    graph = Graph()
    node = graph.add("VRTestModelFacts")
    return json.loads(server.run(graph)[node]["text"][0])


@pytest.mark.parametrize("name", CLASSES)
def test_latents_noise_levels_and_shift_are_comfyuis(facts, name):
    found, family = facts[name], FAMILIES[CLASSES[name]]
    assert found["channels"] == family.channels
    assert found["dimensions"] == (3 if family.temporal_ratio > 1 else 2)
    assert ("shift" in found["sampling"]) == (family.interpolant == "flow")
    if "sigma_max" in found["sampling"]:
        assert (found["sampling"]["sigma_min"], found["sampling"]["sigma_max"]) == (family.sigma_min, family.sigma_max)


@pytest.mark.parametrize("name", CLASSES)
def test_what_comfyui_detects_is_recognised(facts, name):
    layout = {**facts[name]["unet_config"], **READ.get(name, {})}
    assert find_family(layout) is FAMILIES[CLASSES[name]]
    family = FAMILIES[CLASSES[name]]
    assert control_kind(layout) == (family.control if family.control in ("VACE", "Fun-Control", "IC-LoRA") else "")


@pytest.mark.parametrize("family", ["wan", "wan_5b", "ltxv", "cosmos_transfer1", "sd15"])
def test_the_vae_rule_is_comfyuis(server, family):
    """Detection keys of each VAE are enough for comfy.sd.VAE to say its ratios."""
    graph = Graph()
    node = graph.add("VRTestVAEFacts", family=family)
    found, row = json.loads(server.run(graph)[node]["text"][0]), FAMILIES[family]
    assert (found["spatial"], found["channels"]) == (row.spatial_ratio, row.channels)
    assert (found["temporal"] or 1) == row.temporal_ratio
    if row.temporal_ratio > 1:
        assert found["pixel_frames"] == [row.pixel_frames(latent) for latent in (1, 2, 5)]


def preset(server, class_type, steps=0, strength=1.0, shift=0.0, **options):
    graph = Graph()
    model = graph.add(class_type, seed=1, text_dim=32, **options) if class_type.startswith("VR") else None
    model = model or graph.add("VideoRealismLoadVideoModel", model="embedded", precision="fp32")
    node = graph.add("VideoRealismModelPreset", model=model, steps=steps, strength=strength, shift=shift)
    shown = [graph.add("PreviewAny", source=node[slot]) for slot in range(6)]
    outputs = server.run(graph)
    return outputs[node]["text"][0], [outputs[place]["text"][0] for place in shown]


@pytest.mark.parametrize(
    "class_type, options, said",
    [
        ("VRTestTinyWanVACE", {}, "Wan VACE: 1 + a multiple of 4 frames, up to 81"),
        ("VRTestTinyWanFun", {"version": "2.2"}, "two experts, changing over at sigma 0.875"),
        ("VRTestTinyLTXV", {}, "LTX-Video: 1 + a multiple of 8 frames, up to 97"),
        ("VRTestTinyCosmos", {"kind": "predict1"}, "35 steps from sigma 80 to 0.002"),
        ("VideoRealismLoadVideoModel", {}, "embedded: 1 + a multiple of 4 frames, up to 17"),
    ],
)
def test_a_loaded_model_is_recognised(server, class_type, options, said):
    text, (_, cfg, window, overlap, ratio, report) = preset(server, class_type, **options)
    assert said in text
    told = json.loads(report)
    assert [float(cfg), int(window), int(overlap), int(ratio)] == [
        told["cfg"],
        told["window"],
        told["overlap"],
        told["temporal_ratio"],
    ]


def test_levels_walk_the_shift_that_was_asked_for_and_invert_exactly(server):
    text, _ = preset(server, "VRTestTinyWanVACE", steps=12, strength=0.9, shift=5.0)
    assert "steps from sigma 0.9 to 0.02, shift 5" in text
    graph = Graph()
    model = graph.add("VRTestTinyWanVACE", seed=1, text_dim=32)
    prompt = graph.add("VRTestRandomConditioning", dim=32, tokens=8, seed=1, text=True)
    size = dict(channels=16, frames=3, height=8, width=8, batch=1)
    latent = graph.add("VRTestRandomLatent", **size, seed=7, scale=1.0)
    levels = graph.add("VideoRealismModelPreset", model=model, steps=0, strength=1.0, shift=0.0)
    wires = dict(model=model, inversion=prompt, latent=latent, sigmas=levels)
    found = graph.add("VideoRealismDDIMInvert", **wires, method="exact", measure_round_trip=True)
    report = graph.add("PreviewAny", source=found[3])
    assert json.loads(server.run(graph)[report]["text"][0])["round_trip"] < 1e-4


def test_inversion_tells_the_legal_windows_and_the_other_expert(server):
    graph = Graph()
    model = graph.add("VRTestTinyWanFun", seed=1, text_dim=32, version="2.2")
    prompt = graph.add("VRTestRandomConditioning", dim=32, tokens=8, seed=1, text=True)
    size = dict(channels=16, height=4, width=4, batch=1, seed=7, scale=1.0)
    joined = graph.add("VideoRealismTwoExperts", high_noise=model, low_noise=model, boundary=0.875)
    told = {}
    for name, network, frames in (("alone", model, 3), ("joined", joined, 3), ("long", joined, 22)):
        latent = graph.add("VRTestRandomLatent", frames=frames, **size)
        levels = graph.add("VideoRealismModelPreset", model=network, steps=8, strength=1.0, shift=0.0)
        wires = dict(model=network, inversion=prompt, latent=latent, sigmas=levels)
        told[name] = graph.add("VideoRealismDDIMInvert", **wires, method="exact", measure_round_trip=False)
        graph.add("PreviewAny", source=told[name][3])
    outputs = server.run(graph)
    text = {name: outputs[node]["text"][0] for name, node in told.items()}
    assert all("Wan 2.2 Fun-Control: 1 + a multiple of 4 frames, up to 81" in said for said in text.values())
    assert "join both in Two-Expert Model" in text["alone"] and "Expert" not in text["joined"]
    assert "These 85 frames are more" in text["long"] and "are more" not in text["joined"]


def test_chunk_plan_takes_the_windows_of_the_model(server):
    graph = Graph()
    model = graph.add("VRTestTinyWanVACE", seed=1, text_dim=32)
    node = graph.add("VideoRealismModelPreset", model=model, steps=0, strength=1.0, shift=0.0)
    control = graph.add("VideoRealismModelControl", model=model)
    frames = graph.add("VRTestFlatImages", frames=121, height=8, width=8, channels=3, value=0.5)
    plan = graph.add("VideoRealismChunkPlan", frames=frames, window=node[2], overlap=node[3], temporal_ratio=node[4])
    for shown in (plan[5], control):
        graph.add("PreviewAny", source=shown)
    outputs = server.run(graph)
    assert "121 frames in 2 chunks of 81" in outputs[plan]["text"][0]
    assert "edge 0.5, depth 0.5, segmentation 0.5" in outputs[control]["text"][0]


def test_a_model_that_is_not_in_the_table_is_named(server):
    with pytest.raises(RunError, match=r"This model \(BaseModel\) is not in the table: take a scheduler's sigmas"):
        preset(server, "VRTestTinySD15", prediction="eps")
