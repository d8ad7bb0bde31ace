"""Load Clip and the pack's examples: offered after the input folder's own files, so that graphs run without any."""

import json
import urllib.error
import urllib.parse
import urllib.request

import pytest
from comfy_server import ROOT, Graph, RunError
from shipped_graphs import write_clip


def choices(server, node, name):
    spec = server.object_info(f"VideoRealism{node}")[f"VideoRealism{node}"]["input"]
    spec = {**spec["required"], **spec.get("optional", {})}[name]
    return spec[0] if isinstance(spec[0], list) else spec[1]["options"]


def test_examples_are_offered_after_the_user_s_own_files(server):
    write_clip(server.base / "input" / "aa_own.mp4")
    (server.base / "input" / "aa_recording").mkdir(exist_ok=True)
    (server.base / "input" / "3d").mkdir(exist_ok=True)
    for node, name in (("LoadClip", "file"), ("EnhanceVideoFile", "video")):
        files = choices(server, node, name)
        assert files[0] == "aa_own.mp4" and files[-2:] == ["example: drive", "example: drive_enhanced"]
    folders = choices(server, "SimulatorBuffers", "folder")
    assert folders[:2] == ["none", "aa_recording"] and folders[-1] == "example: drive_buffers"
    assert choices(server, "BatchFolder", "folder")[-1] == "example: drives"
    assert "3d" not in folders  # ComfyUI's own


@pytest.mark.parametrize("file, size", [("example: drive", (17, 96, 160)), ("aa_own.mp4", (17, 64, 96))])
def test_a_clip_is_loaded_whole(server, file, size):
    write_clip(server.base / "input" / "aa_own.mp4")
    graph = Graph()
    clip = graph.add("VideoRealismLoadClip", file=file)
    parts = graph.add("GetVideoComponents", video=clip)
    image = graph.add("VRTestStatistics", value=parts[0])
    outputs = server.run(graph)
    assert json.loads(outputs[image]["text"][0])["shape"] == [*size, 3]
    assert f"{size[2]}x{size[1]}" in outputs[clip]["text"][0]
    assert ("Your own clip" in outputs[clip]["text"][0]) == file.startswith("example")


def test_a_clip_that_is_gone_is_refused_before_anything_runs(server):
    graph = Graph()
    parts = graph.add("GetVideoComponents", video=graph.add("VideoRealismLoadClip", file="x"))
    graph.add("VRTestStatistics", value=parts)
    with pytest.raises(RunError, match="The clip x is not in ComfyUI's input folder") as raised:
        server.run(graph)
    assert raised.value.kind == "rejected"


def view(server, filename, kind="input"):
    query = urllib.parse.urlencode({"filename": filename, "type": kind})
    with urllib.request.urlopen(f"http://{server.address}/api/view?{query}") as answer:
        return answer.headers["Content-Type"], answer.read()


def test_the_frontend_is_given_the_examples_and_nothing_else(server):
    write_clip(server.base / "input" / "aa_own.mp4")
    examples = ROOT / "example_clips"
    assert view(server, "example: drive") == ("video/mp4", (examples / "drives" / "drive.mp4").read_bytes())
    assert view(server, "aa_own.mp4")[1] == (server.base / "input" / "aa_own.mp4").read_bytes()
    refused = ("example: gone", "input"), ("example: ../drives/drive", "input"), ("example: drive", "output")
    for name, kind in refused:
        with pytest.raises(urllib.error.HTTPError, match="40[04]"):
            view(server, name, kind)
