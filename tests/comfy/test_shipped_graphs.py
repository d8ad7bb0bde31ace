"""Every shipped API graph runs to success on the CPU; the one that names large model files does with tiny models."""

import pytest
from comfy_server import ROOT
from PIL import Image
from shipped_graphs import NAMES, all_nodes, api_graph, put_input_files, ui_workflow

# These name model files that cannot be here: see test_family_graphs.py and test_transfer1_control.py.
LARGE = (
    "wan21_vace",
    "wan22_fun_control",
    "ltx_ic_lora",
    "sd15_controlnet",
    "cosmos_transfer1",
    "cosmos_transfer1_long",
    "cosmos_transfer25",
    "stroke_painting",
    "image_refiner",
)
MODELS = "maps_from_models"  # see test_condition_nodes.py


@pytest.mark.parametrize("name", NAMES)
def test_titles_notes_and_thumbnail(name):
    """The headless runner sets values by title; ComfyUI lists the graph with the picture of its name."""
    titles = [node["_meta"]["title"] for node in api_graph(name).values()]
    assert len(set(titles)) == len(titles)
    nodes = all_nodes(ui_workflow(name))
    notes = [node["widgets_values"][0] for node in nodes if node["type"] == "MarkdownNote"]
    nodes = [node for node in nodes if node["type"] != "MarkdownNote"]
    # A title that is the node's own name is not stored: it is shown in the user's language.
    assert len(nodes) == len(titles) and {node["title"] for node in nodes if "title" in node} <= set(titles)
    assert len(notes) == 1 and "**Time**" in notes[0]
    picture = ROOT / "workflows" / f"{name}.jpg"
    assert picture.stat().st_size < 60_000
    assert Image.open(picture).width == 512


@pytest.mark.parametrize("name", [name for name in NAMES if name not in (*LARGE, MODELS)])
def test_shipped_api_graph(server, name):
    graph = api_graph(name, quick=True)
    put_input_files(server, graph)
    outputs = server.run(graph, timeout=600)
    titles = {graph[node_id]["_meta"]["title"]: output for node_id, output in outputs.items()}
    assert titles["Contact sheet"]["images"]
    if name == "objects_kept":
        assert "lights kept" in titles["Object Alignment"]["text"][0]
    else:
        assert titles["Enhance Video File" if name == "enhance_video_file" else "Save Video"]["images"]
