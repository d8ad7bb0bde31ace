"""Model Control with the wrong model, VAE or map: one sentence that names it."""

import pytest
from comfy_server import Graph, RunError
from control_scene import STACK, Scene


def test_a_model_without_a_control_input_is_named(server):
    graph = Graph()
    model = graph.add("VRTestTinyWan", seed=1, text_dim=32)
    graph.add("PreviewAny", source=graph.add("VideoRealismModelControl", model=model))
    with pytest.raises(RunError, match=r"This model \(WAN21\) has no control input of its own: connect a Wan VACE"):
        server.run(graph)


def test_the_control_of_another_model_and_a_missing_vae_are_named(server):
    scene = Scene("vace")
    wan = scene.add("VRTestTinyWan", seed=1, text_dim=32)
    scene.sampled(scene.stack(scene.map()), model=wan)
    scene.add("VRTestStatistics", value=scene.sampled(scene.stack(scene.map()), model=wan))
    with pytest.raises(RunError, match="the model that samples has no control input of its own"):
        server.run(scene)
    scene = Scene("vace")
    named = dict(positive=scene.prompts[0], negative=scene.prompts[1], control_net=scene.control, map=scene.map())
    node = scene.add(STACK, weight=1.0, start_percent=0.0, end_percent=1.0, **named)
    scene.add("VRTestStatistics", value=scene.sampled([node[0], node[1]]))
    with pytest.raises(RunError, match="connect the model's VAE to the vae input"):
        server.run(scene)


def test_a_map_of_another_length_is_named(server):
    scene = Scene("vace")
    scene.add("VRTestStatistics", value=scene.sampled(scene.stack(scene.map(frames=5))))
    with pytest.raises(RunError, match="map has 5 frames and the latent stands for 9"):
        server.run(scene)
