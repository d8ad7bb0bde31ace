"""The harness itself: native models with random weights sample, repeat, fail and stop the way ComfyUI promises."""

import json
import time

import pytest
from comfy_server import Graph, RunError
from tiny_graphs import MODELS, VIDEO, sampling_graph


def statistics(server, graph):
    outputs = server.run(graph)
    return json.loads(outputs[graph.statistics]["text"][0]), json.loads(outputs[graph.sizes]["text"][0])


@pytest.mark.parametrize("name", MODELS)
def test_tiny_models_sample_with_the_native_sampler_to_finite_repeatable_values(server, name):
    (first, sizes), (again, _) = (statistics(server, sampling_graph(name)) for _ in range(2))
    other, _ = statistics(server, sampling_graph(name, seed=4))
    assert first["finite"] and 0.01 < first["std"] < 1e3
    assert sizes == [2, 2, 2]  # three steps, both conditionings in one forward; the repeat was not served from cache
    assert first["sha256"] == again["sha256"] != other["sha256"]


def test_tiny_controlnet_steers_the_tiny_unet(server):
    plain, _ = statistics(server, sampling_graph("sd15-eps"))
    steered, sizes = statistics(server, sampling_graph("sd15-eps", control=True))
    assert steered["finite"] and sizes == [2, 2, 2]
    assert steered["sha256"] != plain["sha256"]


@pytest.mark.parametrize("kind, frames, latent_shape", [("wan", 9, [1, 16, 3, 4, 4]), ("taesd", 2, [2, 4, 4, 4])])
def test_tiny_vae_has_the_shapes_of_the_real_one(server, kind, frames, latent_shape):
    graph = Graph()
    vae = graph.add("VRTestTinyVAE", seed=1, kind=kind)
    images = graph.add("VRTestRandomImages", frames=frames, height=32, width=32, seed=0)
    latent = graph.add("VAEEncode", pixels=images, vae=vae)
    of_latent = graph.add("VRTestStatistics", value=latent)
    of_images = graph.add("VRTestStatistics", value=graph.add("VAEDecode", samples=latent, vae=vae))
    outputs = server.run(graph)
    encoded, decoded = (json.loads(outputs[node]["text"][0]) for node in (of_latent, of_images))
    assert encoded["shape"] == latent_shape and encoded["finite"]
    assert decoded["shape"] == [frames, 32, 32, 3] and decoded["finite"] and decoded["std"] > 1e-3


def test_compared_latents_give_the_relative_error(server):
    graph = Graph()
    size = dict(VIDEO, batch=1, seed=5)
    latents = [graph.add("VRTestRandomLatent", scale=scale, **size) for scale in (1.25, 1.0)]
    compared = graph.add("VRTestCompareLatents", latent=latents[0], reference=latents[1])
    assert float(server.run(graph)[compared]["text"][0]) == pytest.approx(0.25, rel=1e-6)


def test_a_node_that_raises_is_named_with_its_message(server):
    graph = Graph()
    latents = [graph.add("VRTestRandomLatent", **{**VIDEO, "frames": f}, batch=1, seed=1, scale=1.0) for f in (2, 3)]
    graph.add("VRTestCompareLatents", latent=latents[0], reference=latents[1])
    with pytest.raises(RunError) as raised:
        server.run(graph)
    assert (raised.value.kind, raised.value.node_type) == ("error", "VRTestCompareLatents")
    assert raised.value.exception_message == "shapes differ: (1, 16, 2, 8, 8) and (1, 16, 3, 8, 8)"


def test_a_prompt_that_is_refused_names_node_and_input(server):
    graph = sampling_graph("wan", steps=0)
    with pytest.raises(RunError) as raised:
        server.run(graph)
    assert (raised.value.kind, raised.value.node_type) == ("rejected", "KSampler")
    assert "steps" in raised.value.exception_message


def test_interrupting_stops_a_long_run_and_the_server_goes_on(server):
    prompt_id = server.queue(sampling_graph("wan", steps=10000))
    while not server.get("/queue")["queue_running"]:
        time.sleep(0.05)
    time.sleep(0.5)
    server.interrupt()
    entry = server.wait(prompt_id)
    assert [name for name, _ in entry["status"]["messages"]][-1] == "execution_interrupted"
    assert statistics(server, sampling_graph("wan"))[0]["finite"]
