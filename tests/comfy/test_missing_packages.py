"""Without the packages that only some nodes need, the pack still loads, and those nodes say what to install."""

import pytest
from comfy_server import Graph, RunError, Server

# Hides packages the way a fresh environment does: nothing finds them.
HIDE = """
import importlib.machinery

find = importlib.machinery.PathFinder.find_spec
hidden = ("diffusers", "controlnet_aux")


def find_spec(name, path=None, target=None):
    return None if name.split(".")[0] in hidden else find(name, path, target)


importlib.machinery.PathFinder.find_spec = find_spec
"""


@pytest.fixture(scope="module")
def bare_server(comfyui, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bare")
    (folder / "sitecustomize.py").write_text(HIDE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        server = Server(*comfyui, folder / "base")
    try:
        server.wait_until_up()
        yield server
    finally:
        server.stop()


def test_the_pack_loads_and_only_the_node_that_needs_diffusers_asks_for_it(bare_server):
    assert "VideoRealismLoadVideoModel" in bare_server.object_info()
    graph = Graph()
    model = graph.add("VideoRealismLoadVideoModel", model="embedded", precision="auto")
    graph.add("PreviewAny", source=model[0])
    with pytest.raises(RunError) as raised:
        bare_server.run(graph)
    message = raised.value.exception_message.strip()
    assert "diffusers" in message and "pip install -r requirements.txt" in message and "\n" not in message

    graph = Graph()
    model = graph.add("VRTestTinyWan", seed=1, text_dim=32)
    text = graph.add("VRTestRandomConditioning", dim=32, tokens=8, seed=1, text=True)
    latent = graph.add("VRTestRandomLatent", channels=16, frames=3, height=8, width=8, batch=1, seed=1, scale=1.0)
    sigmas = graph.add("BasicScheduler", model=model, scheduler="simple", steps=20, denoise=1.0)
    inverted = graph.add(
        "VideoRealismDDIMInvert",
        model=model,
        inversion=text,
        latent=latent,
        sigmas=sigmas,
        method="exact",
        measure_round_trip=False,
    )
    graph.add("PreviewAny", source=inverted[3])
    assert "noise std" in bare_server.run(graph)[inverted]["text"][0]
