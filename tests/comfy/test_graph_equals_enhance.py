"""The shipped graph of the whole job gives the frames of `pipeline_core.enhance` with the same settings."""

import numpy as np
import pytest
import torch
from shipped_graphs import api_graph

from pipeline_core.enhance import enhance
from pipeline_core.job.settings import EnhanceSettings
from pipeline_core.models.folders.loading import load_video_model
from pipeline_core.world import RenderedBuffers, drive_scene, render


def node(graph, title):
    return next(node_id for node_id, node in graph.items() if node["_meta"]["title"] == title)


def clip_of(inputs):
    """What Demo Drive was told to render."""
    frames = inputs["frames"]
    scene = drive_scene(inputs["scene_seed"], frames, inputs["fps"])
    return render(scene, range(frames), (inputs["height"], inputs["width"]), inputs["style"])


@pytest.mark.parametrize(("precision", "steps"), [("auto", 20), ("fp32", 6)])
def test_realism_demo_gives_the_frames_of_enhance(server, precision, steps):
    """The graph shows the model's own pixels: detail 0."""
    graph = api_graph("realism_demo")
    graph[node(graph, "Load Video Model")]["inputs"]["precision"] = precision
    graph[node(graph, "Noise levels (steps + 1)")]["inputs"]["steps"] = steps + 1
    graph["frames"] = {"class_type": "VRTestImageFile", "inputs": {"image": [node(graph, "VAE Decode"), 0]}}
    found = np.load(server.run(graph, timeout=600)["frames"]["text"][0])

    clip = clip_of(graph[node(graph, "Demo Drive: source")]["inputs"])
    model = load_video_model(precision=precision)
    wanted, _ = enhance(clip.rgb, model, EnhanceSettings(steps=steps, detail=0.0), RenderedBuffers(clip))
    assert found.shape == tuple(wanted.shape)
    assert float((torch.from_numpy(found) - wanted).abs().max()) <= 1e-3
    assert float((wanted - clip.rgb).abs().mean()) > 0.02  # neither is the source
