"""The workflows the pack ships, and what a server needs before they can run on it."""

import json
import shutil
import subprocess
import sys
from fractions import Fraction

import numpy as np
from comfy_server import ROOT
from PIL import Image

from client.workflow_graph import file_inputs

NAMES = sorted(path.stem for path in (ROOT / "workflows").glob("*.json"))
# (place among the widgets, value) of the input steps in tests that do not judge pictures. One graph runs as shipped.
QUICK_STEPS = {
    "KarrasScheduler": (0, 5),
    "VideoRealismEnhanceRealism": (6, 4),
    "VideoRealismEnhanceVideoFile": (10, 4),
}
AS_SHIPPED = "realism_demo"
# Of model files: their own tests run these, or their nodes, smaller than shipped, on tiny ones.
FULL_SIZE = (
    "cosmos_transfer1",
    "cosmos_transfer1_long",
    "cosmos_transfer25",
    "image_refiner",
    "ltx_ic_lora",
    "maps_from_models",
    "sd15_controlnet",
    "stroke_painting",
    "wan21_vace",
    "wan22_fun_control",
)


def ui_workflow(name, quick=False):
    workflow = json.loads((ROOT / "workflows" / f"{name}.json").read_text(encoding="utf-8"))
    for node in all_nodes(workflow):
        if quick and name != AS_SHIPPED and node["type"] in QUICK_STEPS:
            place, steps = QUICK_STEPS[node["type"]]
            node["widgets_values"][place] = steps
    return workflow


def all_nodes(workflow):
    """The nodes of a UI workflow, those inside its subgraphs too; what stands for a subgraph is none of them."""
    subgraphs = workflow.get("definitions", {}).get("subgraphs", [])
    boxes = {subgraph["id"] for subgraph in subgraphs}
    return [node for graph in (workflow, *subgraphs) for node in graph["nodes"] if node["type"] not in boxes]


def api_graph(name, quick=False):
    graph = json.loads((ROOT / "workflows" / "api" / f"{name}.api.json").read_text(encoding="utf-8"))
    for node in graph.values():
        if quick and name != AS_SHIPPED and node["class_type"] in QUICK_STEPS:
            node["inputs"]["steps"] = QUICK_STEPS[node["class_type"]][1]
    return graph


def node_of(graph, kind):
    return next(node_id for node_id, node in graph.items() if node["class_type"] == kind)


def classes(server, graph):
    names = {node["class_type"] for node in graph.values()}
    return {name: server.object_info(name).get(name, {}) for name in sorted(names)}


def put_input_files(server, graph):
    """Gives every loader of the graph a small file of the name that is written in it, or a simulator's recording."""
    for node in graph.values():
        if node["class_type"] == "VideoRealismSimulatorBuffers" and node["inputs"]["folder"] != "none":
            if not example(node["inputs"]["folder"]):
                put_recording(server.base / "input", node["inputs"]["folder"])
        if node["class_type"] == "VideoRealismBatchFolder":
            shutil.rmtree(server.base / "output" / node["inputs"]["output"], ignore_errors=True)  # all is to do again
    for node_id, name, media in file_inputs(graph, classes(server, graph)):
        path = server.base / "input" / graph[node_id]["inputs"][name]
        if not path.exists() and not example(path.name):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_clip(path) if "video" in media else write_picture(path)


def example(name):
    return name.startswith("example: ")


def put_recording(folder, name):
    """A clip with its buffers folder NAME beside it, as the command writes them."""
    if not (folder / name).exists():
        folder.mkdir(exist_ok=True)
        clip = folder / f"{name.removesuffix('_buffers')}.mp4"
        told = ["--seed", "910003", "--frames", "17", "--output", str(clip), "--buffers", str(folder / name)]
        subprocess.run([sys.executable, "-m", "pipeline_core", "render", *told], cwd=ROOT, check=True)


def missing_models(server, graph):
    """Model files the graph names and the server lacks: such a graph is checked but cannot run here."""
    info, missing = classes(server, graph), []
    for node in graph.values():
        declared = info[node["class_type"]].get("input", {})
        for name, spec in {**declared.get("required", {}), **declared.get("optional", {})}.items():
            value = node["inputs"].get(name)
            options = spec[0] if isinstance(spec[0], list) else (spec[1] if len(spec) > 1 else {}).get("options", [])
            named_file = isinstance(value, str) and value.endswith((".safetensors", ".pth", ".pt", ".gguf"))
            if named_file and value not in options:
                missing.append(value)
    return missing


def pattern(frames, height=64, width=96):
    """A moving gradient, so that motion, edges and colours are there to be measured: (F, H, W, 3) uint8."""
    y, x = np.mgrid[:height, :width]
    shifted = [np.stack([(x * 3 + 8 * t) % 256, (y * 4) % 256, (x + y + 4 * t) % 256], -1) for t in range(frames)]
    return np.stack(shifted).astype(np.uint8)


def write_picture(path):
    Image.fromarray(pattern(1)[0]).save(path)


def write_clip(path, frames=17):
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(10))
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        for image in pattern(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
