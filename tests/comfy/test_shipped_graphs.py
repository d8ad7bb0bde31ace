"""Every shipped API graph runs to success on the CPU; the one that names large model files does with tiny models."""

import json

import pytest
from comfy_server import ROOT, RunError
from PIL import Image
from shipped_graphs import NAMES, api_graph, missing_models, put_input_files, ui_workflow

WAN = "wan21_vace"
LARGE = (WAN, "cosmos_transfer1")  # these name model files that cannot be here


def test_every_workflow_has_its_api_graph():
    found = sorted(path.name for path in (ROOT / "workflows" / "api").glob("*"))
    assert found == [f"{name}.api.json" for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_titles_notes_and_thumbnail(name):
    """The headless runner sets values by title; ComfyUI lists the graph with the picture of its name."""
    titles = [node["_meta"]["title"] for node in api_graph(name).values()]
    assert len(set(titles)) == len(titles)
    nodes = ui_workflow(name)["nodes"]
    assert [node["title"] for node in nodes if node["type"] != "MarkdownNote"] == titles
    notes = [node["widgets_values"][0] for node in nodes if node["type"] == "MarkdownNote"]
    assert len(notes) == 1 and "**Time**" in notes[0]
    picture = ROOT / "workflows" / f"{name}.jpg"
    assert picture.stat().st_size < 60_000
    assert Image.open(picture).width == 512


@pytest.mark.parametrize("name", [name for name in NAMES if name not in LARGE])
def test_shipped_api_graph(server, name):
    graph = api_graph(name, quick=True)
    put_input_files(server, graph)
    outputs = server.run(graph, timeout=600)
    titles = {graph[node_id]["_meta"]["title"]: output for node_id, output in outputs.items()}
    assert titles["Contact sheet"]["images"] and titles["Save Video"]["images"]


def test_without_its_models_the_vace_graph_is_refused_for_them_alone(server):
    graph = api_graph(WAN)
    put_input_files(server, graph)
    missing = missing_models(server, graph)
    with pytest.raises(RunError) as refused:
        server.run(graph)
    faults = [error for found in refused.value.details["node_errors"].values() for error in found["errors"]]
    assert len(faults) == len(missing) == 3
    assert {error["type"] for error in faults} == {"value_not_in_list"}
    assert all(any(model in error["details"] for model in missing) for error in faults)


def test_vace_graph_on_tiny_models(server):
    """The same wires, with a tiny Wan VACE, a tiny VAE and random text in the place of the loaders."""
    graph = api_graph(WAN)
    put_input_files(server, graph)
    text = {"dim": 32, "tokens": 8, "text": True}
    for node_id, node in list(graph.items()):
        kind = node["class_type"]
        if kind == "UNETLoader":
            node.update(class_type="VRTestTinyWanVACE", inputs={"seed": 1, "text_dim": 32})
        elif kind == "VAELoader":
            node.update(class_type="VRTestTinyVAE", inputs={"seed": 1, "kind": "wan"})
        elif kind == "CLIPTextEncode":
            node.update(class_type="VRTestRandomConditioning", inputs={**text, "seed": int(node_id)})
        elif kind == "CLIPLoader":
            del graph[node_id]
        elif kind == "ImageScale":
            node["inputs"].update(width=96, height=64)
        elif kind == "ImageFromBatch":
            node["inputs"]["length"] = 9
    graph["result"] = {"class_type": "VRTestStatistics", "inputs": {"value": [node_of(graph, "VAEDecode"), 0]}}
    outputs = server.run(graph)
    found = json.loads(outputs["result"]["text"][0])
    assert found["shape"] == [9, 64, 96, 3] and found["finite"] and found["std"] > 0
    assert "20 steps, sigma 1 to" in outputs[node_of(graph, "VideoRealismDDIMInvert")]["text"][0]


def node_of(graph, kind):
    return next(node_id for node_id, node in graph.items() if node["class_type"] == kind)
