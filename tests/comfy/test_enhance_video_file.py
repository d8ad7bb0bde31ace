"""Enhance Video File in the server: the command's own frames; a cancelled or killed run is gone on from.

The oracle is the command line on the same file in the server's interpreter, on as many threads: equal frames, however
often the node was stopped on the way.
"""

import json
import signal
import subprocess
import time

import numpy as np
import pytest
import torch
from comfy_server import ROOT, Graph, RunError, Server
from made_clips import make_clip, pictures
from shipped_graphs import write_clip

from client.own_server import environment
from pipeline_core.cli.render import render_file
from pipeline_core.video import media

FRAMES, STEPS = 39, 5  # three windows and padding
NODE = "VideoRealismEnhanceVideoFile"


def graph_of(video, prefix="video/test", **given):
    """(graph, node, a read-out of its report)."""
    graph = Graph()
    values = {"realism": 0.5, "faithfulness": 0.5, "prompt": "", "model": "embedded", "handover": "none", "seed": 0}
    values |= {
        "stitch": "crossfade",
        "steps": STEPS,
        "depth_model": "none",
        "segmentation_model": "none",
        "flow_model": "none",
        **given,
    }
    node = graph.add(NODE, title="Enhance", video=video, filename_prefix=prefix, **values)
    return graph, node, graph.add("PreviewAny", source=node[1])


def finished(server, outputs, node, shown):
    """(report, frames) of a run that succeeded."""
    report = json.loads(outputs[shown]["text"][0])
    (file,) = outputs[node]["images"]
    path = server.base / "output" / file["subfolder"] / file["filename"]
    assert report["output"] == f"{file['subfolder']}/{file['filename']}"
    assert not path.with_name(f"{path.name}.windows").exists()
    return report, media.read_clip(path)


def windows_there(server, count, seconds=120):
    """The folder of unfinished windows, once it names `count` of them."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for manifest in (server.base / "output").rglob("manifest.json"):
            if len(json.loads(manifest.read_text()).get("windows", ())) >= count:
                return manifest.parent
        time.sleep(0.02)
    raise AssertionError(f"no {count} windows within {seconds} s:\n{server.log(3000)}")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "drive_by.mp4"
    write_clip(path, FRAMES)
    return path


@pytest.fixture(scope="module")
def wanted(comfyui, clip):
    """What the command makes of the clip."""
    target = clip.with_name("wanted.mp4")
    options = ["enhance", str(clip), "-o", str(target), "--steps", str(STEPS), "--handover", "none"]
    command = [comfyui[1], "-m", "pipeline_core", *options]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-1000:]
    return media.read_clip(target)


def put(server, clip):
    (server.base / "input" / clip.name).write_bytes(clip.read_bytes())
    return clip.name


def test_the_commands_frames_rate_and_size(server, clip, wanted):
    graph, node, shown = graph_of(put(server, clip))
    parts = graph.add("GetVideoComponents", video=node[0])
    frames = graph.add("VRTestStatistics", value=parts[0])
    shown_frames = [graph.add("VRTestStatistics", value=node[place]) for place in (2, 3)]
    outputs = server.run(graph, timeout=300)
    report, found = finished(server, outputs, node, shown)
    assert torch.equal(found, wanted)
    assert report["frames"] == FRAMES == len(found) and report["windows_taken_over"] == 0
    assert (report["fps"], report["size"]) == ("10", [64, 96])
    assert json.loads(outputs[frames]["text"][0])["shape"] == [FRAMES, 64, 96, 3]
    windows = len(report["plan"]["windows"])
    assert windows >= 3
    assert [json.loads(outputs[place]["text"][0])["shape"] for place in shown_frames] == [[16, 64, 96, 3]] * 2
    assert f"{FRAMES} frames in {windows} windows" in outputs[node]["text"][0]
    again, *nodes = graph_of(clip.name, seed=1)  # another run never writes over a finished one
    assert finished(server, server.run(again, timeout=300), *nodes)[0]["output"] != report["output"]


def test_cancelled_and_queued_again_it_goes_on(server, clip, wanted):
    graph, node, shown = graph_of(put(server, clip), "cancelled/clip")
    prompt = server.queue(graph)
    folder = windows_there(server, 1)
    server.interrupt()
    messages = dict(server.wait(prompt)["status"]["messages"])
    assert messages["execution_interrupted"]["node_type"] == NODE
    assert sorted(path.name for path in folder.parent.iterdir()) == [folder.name]  # no half-written video
    report, found = finished(server, server.run(graph, timeout=300), node, shown)
    assert 1 <= report["windows_taken_over"] < len(report["plan"]["windows"])
    assert torch.equal(found, wanted)
    changed, *nodes = graph_of(clip.name, "cancelled/other")
    server.queue(changed)
    windows_there(server, 1)
    server.interrupt()
    changed[node]["inputs"]["realism"] = 0.9  # other settings make other windows
    report, found = finished(server, server.run(changed, timeout=300), *nodes)
    assert report["windows_taken_over"] == 0 and not torch.equal(found, wanted)


def test_a_killed_server_loses_no_finished_window(comfyui, clip, wanted, tmp_path):
    graph, node, shown = graph_of(clip.name)
    first = Server(*comfyui, tmp_path / "base")
    try:
        first.wait_until_up()
        put(first, clip)
        first.queue(graph)
        folder = windows_there(first, 1)
    finally:
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
    there = len(json.loads((folder / "manifest.json").read_text())["windows"])
    second = Server(*comfyui, tmp_path / "base")
    try:
        second.wait_until_up()
        report, found = finished(second, second.run(graph, timeout=300), node, shown)
    finally:
        second.stop()
    assert report["windows_taken_over"] == there >= 1
    assert torch.equal(found, wanted)
    assert [path.name for path in folder.parent.iterdir()] == [report["output"].split("/")[-1]]  # nothing is left over


def test_buffers_beside_the_clip_are_used(server):
    folder = server.base / "input"
    render_file(910003, 9, 24.0, (32, 48), "synthetic", folder / "drive_b.mp4", folder / "drive_b_buffers")
    graph, node, shown = graph_of("drive_b.mp4", steps=6)
    report, _ = finished(server, server.run(graph, timeout=300), node, shown)
    assert set(report["plan"]["controls"]) == {"edge", "depth", "segmentation"}


def test_a_cut_clip_is_refused_unless_accepted(server, tmp_path):
    make_clip(tmp_path / "whole.mp4", pictures(40, 32, 48).astype(np.uint8), sound="aac")
    data = (tmp_path / "whole.mp4").read_bytes()
    (server.base / "input" / "cut.mp4").write_bytes(data[: int(len(data) * 0.78)])
    graph, node, shown = graph_of("cut.mp4", "video/cut")
    with pytest.raises(RunError, match="announces 40 frames.*set accept_damaged"):
        server.run(graph)
    graph[str(node)]["inputs"]["accept_damaged"] = True
    report, found = finished(server, server.run(graph, timeout=300), node, shown)
    assert "announces 40 frames" in report["damage"] and len(found) == report["frames"] < 40


@pytest.mark.parametrize(
    "given, sentence",
    [
        ({"video": "../../models/embedded/preset.json"}, "not in"),
        ({"video": "/etc/hostname"}, "not in"),
        ({"prefix": "../../away"}, "outside the output folder"),
    ],
)
def test_what_cannot_be_is_said(server, clip, given, sentence):
    graph, *_ = graph_of(**{"video": put(server, clip), **given})
    with pytest.raises(RunError, match=sentence):
        server.run(graph)
    assert not (server.base / "away").exists() and not (server.base.parent / "away").exists()
