"""The shipped graphs of ComfyUI's own model families on tiny models of the same classes, with the shipped wires.

Without their files they are refused for those alone; with stand-ins for the loaders they run from the video file to
the saved video, at a round trip that is measured in the same run.
"""

import json

import pytest
from comfy_server import Graph, RunError
from shipped_graphs import api_graph, missing_models, node_of, put_input_files
from stand_ins import FAMILIES, PICTURES, tiny


@pytest.mark.parametrize("name", [*FAMILIES, *PICTURES])
def test_without_its_files_a_graph_is_refused_for_them_alone(server, name):
    graph = api_graph(name)
    put_input_files(server, graph)
    missing = missing_models(server, graph)
    with pytest.raises(RunError) as refused:
        server.run(graph)
    faults = [error for found in refused.value.details["node_errors"].values() for error in found["errors"]]
    assert len(faults) == len(missing) == {**FAMILIES, **PICTURES}[name]["files"]
    assert {error["type"] for error in faults} == {"value_not_in_list"}
    assert all(any(model in error["details"] for model in missing) for error in faults)


@pytest.mark.parametrize("name", FAMILIES)
def test_graph_on_tiny_models(server, name):
    family, graph = FAMILIES[name], api_graph(name)
    put_input_files(server, graph)
    tiny(graph, family)
    graph["result"] = {"class_type": "VRTestStatistics", "inputs": {"value": [node_of(graph, "VAEDecode"), 0]}}
    graph["report"] = {"class_type": "PreviewAny", "inputs": {"source": [node_of(graph, "VideoRealismDDIMInvert"), 3]}}
    outputs = server.run(graph, timeout=300)
    found = json.loads(outputs["result"]["text"][0])
    width, height = family["size"]
    assert found["shape"] == [family["frames"], height, width, 3] and found["finite"] and found["std"] > 0
    report = json.loads(outputs["report"]["text"][0])
    assert report["round_trip"] < 1e-4 and report["steps"] in (20, 30)
    assert outputs[node_of(graph, "SaveVideo")]["images"]


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_on_tiny_models(server, name):
    """From frames to saved pictures; the noise is that of the published step, calibrated as often as published."""
    pictures, graph = PICTURES[name], api_graph(name)
    put_input_files(server, graph)
    tiny(graph, pictures)
    graph["result"] = {"class_type": "VRTestStatistics", "inputs": {"value": [node_of(graph, "VAEDecode"), 0]}}
    calibrated = node_of(graph, "VideoRealismNoiseCalibrate")
    graph["report"] = {"class_type": "PreviewAny", "inputs": {"source": [calibrated, 1]}}
    outputs = server.run(graph, timeout=300)
    result, report = (json.loads(outputs[node]["text"][0]) for node in ("result", "report"))
    width, height = pictures["size"]
    assert result["shape"] == [pictures["frames"], height, width, 3] and result["finite"] and result["std"] > 0
    assert report["rounds"] == pictures["rounds"] == len(report["residuals"]) - 1
    assert report["sigma"] == pytest.approx({600: 2.285, 300: 0.833}[pictures["t0"]], rel=0.02)
    saved = [node_id for node_id, node in graph.items() if node["class_type"] == "SaveImage"]
    assert all(outputs[node_id]["images"] for node_id in saved) and len(saved) == 2


@pytest.mark.parametrize(
    "kind, channels, told",
    [
        ("vace", 16, "Wan VACE: 1 + a multiple of 4"),
        ("fun-2.1", 16, "Wan 2.1 Fun-Control: 1 + a multiple of 4"),
        ("fun-2.2", 16, "Wan 2.2 Fun-Control: 1 + a multiple of 4"),
        ("ltxv", 128, "LTX-Video: 1 + a multiple of 8"),
    ],
)
def test_a_file_in_the_released_key_layout_is_loaded_recognised_and_inverted(server, kind, channels, told):
    """ComfyUI's own Load Diffusion Model reads it; what is told of it comes from what was detected."""
    made = Graph()
    made.add("VRTestWriteModel", kind=kind, seed=1, name=kind)
    server.run(made)
    graph = Graph()
    model = graph.add("UNETLoader", unet_name=f"{kind}.safetensors", weight_dtype="default")
    text = graph.add("VRTestRandomConditioning", dim=4096, tokens=8, seed=1, text=True)
    text = graph.add("VRTestPaddedText", conditioning=text) if kind == "ltxv" else text
    ratios = dict(temporal=8, spatial=32) if kind == "ltxv" else dict(temporal=4, spatial=8)
    vae = graph.add("VRTestFrameVAE", channels=channels, number=0, **ratios)
    map = graph.add("VRTestFrameNumbers", frames=2 * ratios["temporal"] + 1, size=4 * ratios["spatial"], offset=0.1)
    control = graph.add("VideoRealismModelControl", model=model)
    wires = dict(positive=text, negative=text, control_net=control, map=map, vae=vae)
    stack = graph.add("VideoRealismControlNetStack", weight=1.0, start_percent=0.0, end_percent=1.0, **wires)
    size = dict(channels=channels, frames=3, height=4, width=4, batch=1)
    latent = graph.add("VRTestRandomLatent", **size, seed=7, scale=1.0)
    levels = graph.add("VideoRealismModelPreset", model=model, steps=0, strength=1.0, shift=0.0)
    wires = dict(model=model, inversion=stack[0], latent=latent, sigmas=levels)
    found = graph.add("VideoRealismDDIMInvert", **wires, method="exact", measure_round_trip=True)
    shown = graph.add("PreviewAny", source=found[3])
    outputs = server.run(graph)
    assert told in outputs[levels]["text"][0] and told in outputs[found]["text"][0]
    assert json.loads(outputs[shown]["text"][0])["round_trip"] < 1e-4
