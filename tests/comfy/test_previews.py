"""What a user sees while a long node works: the plan before it starts, the bar step by step, pictures with it."""

import json
import struct
from io import BytesIO

import pytest
from comfy_server import Graph, Server
from PIL import Image
from shipped_graphs import write_clip
from tiny_graphs import dual_prompt
from tiny_graphs import start as tiny

from client.websocket import BINARY, TEXT

PICTURE = (1, 4)  # kinds of binary messages that end in a JPEG: bare, and behind a JSON header


@pytest.fixture(scope="module")
def showing(comfyui, tmp_path_factory):
    """A server with latent previews on."""
    server = Server(*comfyui, tmp_path_factory.mktemp("showing") / "base", "--preview-method", "latent2rgb")
    try:
        server.wait_until_up()
        yield server
    finally:
        server.stop()


def watch(server, graph):
    """(messages as (type, data) with "picture" for previews, history entry) of a run."""
    listener, found = server.client.listen("tests"), []
    prompt_id = server.queue(graph)
    for kind, payload in listener.payloads():
        if kind == BINARY and struct.unpack(">I", payload[:4])[0] in PICTURE:
            found.append(("picture", Image.open(BytesIO(payload[payload.index(b"\xff\xd8") :])).size))
        elif kind == TEXT:
            message = json.loads(payload)
            data = message.get("data", {})
            if message["type"] == "progress":
                found.append(("progress", (data["node"], data["value"], data["max"])))
            elif message["type"] == "video_realism.report":
                found.append(("report", (data["node"], data["text"])))
            elif message["type"] == "executing" and data.get("prompt_id") == prompt_id:
                if data["node"] is None:
                    break
            elif message["type"] == "execution_error":
                raise AssertionError(data["exception_message"])
    listener.close()
    return found, server.wait(prompt_id)


def steps_of(found, node):
    return [(value, total) for kind, data in found if kind == "progress" for n, value, total in [data] if n == node]


def test_the_long_video_sampler_shows_plan_steps_and_pictures(showing):
    graph, model, (one, two, _), latent, sigmas = tiny("wan")
    graph[str(latent)]["inputs"]["frames"] = 10
    settings = {"window": 17, "overlap": 5, "temporal_ratio": 4, "handover": "mean", "method": "exact"}
    wires = {"guider": dual_prompt(graph, model, one, two), "latent": latent, "sigmas": sigmas, "inversion": one}
    long = graph.add("VideoRealismLongVideoSampler", **wires, **settings)
    graph.add("VRTestStatistics", value=long[0])
    found, entry = watch(showing, graph)
    first = next(place for place, (kind, data) in enumerate(found) if kind == "progress" and data[0] == long)
    told = [place for place, (kind, data) in enumerate(found) if kind == "report" and data[0] == long]
    assert told and told[0] < first and "cost: 1.38 x" in found[told[0]][1][1]
    calls = 2 * 3 * (20 - 0)
    values = steps_of(found, long)
    assert values == [(step, values[0][1]) for step in range(1, values[0][1] + 1)]  # every step once, up to the end
    assert values[0][1] in (calls, calls - 6)  # a scheduler's trailing zero may be kept or dropped
    assert sum(kind == "picture" for kind, _ in found) >= values[0][1] // 2  # the bar sends them at its own pace
    assert "cost: 1.38 x" in entry["outputs"][long]["text"][0]


def test_enhance_realism_shows_a_picture_with_its_steps(showing):
    graph = Graph()
    frames = graph.add("VRTestRandomImages", frames=5, height=96, width=160, seed=0)
    values = {"realism": 0.5, "faithfulness": 0.5, "prompt": "", "model": "embedded", "seed": 0, "steps": 5}
    node = graph.add("VideoRealismEnhanceRealism", frames=frames, **values)
    graph.add("VRTestStatistics", value=node[0])
    found, _ = watch(showing, graph)
    assert len(steps_of(found, node)) >= 8
    assert sum(kind == "picture" for kind, _ in found) >= 4


def test_enhance_video_file_shows_plan_windows_and_pairs(showing):
    write_clip(showing.base / "input" / "shown.mp4", 39)
    graph = Graph()
    values = {"realism": 0.5, "faithfulness": 0.5, "prompt": "", "model": "embedded", "handover": "none", "seed": 0}
    values |= {
        "stitch": "crossfade",
        "steps": 5,
        "depth_model": "none",
        "segmentation_model": "none",
        "flow_model": "none",
        "filename_prefix": "shown",
    }
    node = graph.add("VideoRealismEnhanceVideoFile", video="shown.mp4", **values)
    found, entry = watch(showing, graph)
    texts = [data[1] for kind, data in found if kind == "report"]
    assert "39 frames in" in texts[0] and "x the frames of the clip" in texts[0]
    assert [text.splitlines()[-1] for text in texts] == [
        f"window {k} of {len(texts)}" for k in range(1, len(texts) + 1)
    ]
    shapes = {round(data[0] / data[1], 1) for kind, data in found if kind == "picture"}
    assert shapes == {1.5, 3.0}  # latents, and source and result side by side
    values = [value for value, _ in steps_of(found, node)]
    assert values == sorted(values) and values[-1] == steps_of(found, node)[-1][1]
    assert entry["outputs"][node]["images"][0]["filename"] == "shown_shown_00001.mp4"
