"""Every baseline's command on a real server: the written graph on small stand-ins, a video in and a video out."""

import json

import baselines
import pytest
import run_workflow
import transfer1_scene
from shipped_graphs import node_of, put_input_files, write_clip
from stand_ins import FAMILIES, tiny, tiny_transfer1

SIZE, FRAMES = (96, 64), {"transfer1_noise": 9, "transfer1_own": 9, "vace_noise": 9, "per_frame": 3}
STEPS = 3


@pytest.fixture(scope="module")
def files(server, tmp_path_factory):
    transfer1_scene.install(server, tmp_path_factory.mktemp("released"))


def small(graph, name):
    """The same wires with small networks, frames and few steps."""
    frames = FRAMES[name]
    if name.startswith("transfer1"):
        tiny_transfer1(graph, frames, SIZE)
    else:
        family = {"vace_noise": "wan21_vace", "per_frame": "sd15_controlnet"}[name]
        tiny(graph, {**FAMILIES[family], "frames": frames, "size": SIZE})
    for node in graph.values():
        inputs = node["inputs"]
        if node["class_type"].startswith("Empty"):
            count = "batch_size" if name == "per_frame" else "length"
            inputs.update({"width": SIZE[0], "height": SIZE[1], count: frames})
        if node["class_type"] in ("KarrasScheduler", "BasicScheduler"):
            inputs["steps"] = STEPS


@pytest.mark.parametrize("name", baselines.BASELINES)
def test_a_baselines_command_makes_a_video(server, files, tmp_path, name, capsys):
    assert baselines.main(["-o", str(tmp_path)]) == 0
    (command,) = (line.split() for line in capsys.readouterr().out.splitlines() if f"{name}.api.json" in line)
    program, *arguments = command[1:]
    assert program == "scripts/run_workflow.py"
    path = tmp_path / f"{name}.api.json"
    graph = json.loads(path.read_text())
    put_input_files(server, graph)
    small(graph, name)
    graph["result"] = {"class_type": "VRTestStatistics", "inputs": {"value": [node_of(graph, "VAEDecode"), 0]}}
    graph["result"]["_meta"] = {"title": "result"}
    path.write_text(json.dumps(graph))
    clip, out = tmp_path / "drive.mp4", tmp_path / "clips"
    write_clip(clip)
    places = {"drive.mp4": str(clip), f"clips/{name}": str(out)}
    arguments = [places.get(argument, argument) for argument in arguments]
    assert run_workflow.main([*arguments, "--server", server.address]) == 0
    reports = json.loads((out / "report.json").read_text())["reports"]
    (found,) = (json.loads(item["text"]) for item in reports if item["node"]["title"] == "result")
    assert found["shape"] == [FRAMES[name], SIZE[1], SIZE[0], 3] and found["finite"] and found["std"] > 0
    assert list(out.glob(f"{name}*.mp4"))
